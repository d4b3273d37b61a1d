"""What a damaged title's ingest is judged by: one word and one sentence each.

`ok` and `refused` are as they should be, `limit` is a decoding child that was ended and reported. `crash`, `hang` and
`empty` are faults: an error that nobody meant to raise, an ingest that does not go on, and less than the sound file
gave without a word of why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

Kind = Literal["ok", "refused", "limit", "crash", "hang", "empty"]
KINDS: tuple[Kind, ...] = ("ok", "refused", "limit", "crash", "hang", "empty")
BAD: frozenset[Kind] = frozenset({"crash", "hang", "empty"})
KEPT_SHARE = 0.5
"""Fewer of the sound file's frames than this, without a word, is silent loss. Our choice: some containers cannot know
that their end is missing, but half of a file does not go by a single cut."""
VECTORS = ("video_embeddings", "audio_embeddings", "text_embeddings", "fused_embeddings")
_OUR_FAULTS = ("the reading process failed (", "this is a fault of the program")
_LIMITS = ("failed twice: ",)

Facts = Mapping[str, Any]
"""As `benchmarks.fuzz_worker.found` tells of a title."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """why: the reason that was given, or what is wrong; empty for a title that is whole."""

    kind: Kind
    why: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def judge(facts: Facts, before: Facts) -> Verdict:
    """Args: facts: of the damaged title. before: of the sound one."""
    bad_steps = [step for step in facts["steps"] if step["state"] not in ("ok", "waiting")]
    reason = "; ".join(step["reason"] for step in bad_steps)
    if any(fault in reason for fault in _OUR_FAULTS) or any(step["state"] != "quarantined" for step in bad_steps):
        return Verdict(kind="crash", why=reason)
    if bad_steps:
        if not all("; " in step["reason"] for step in bad_steps):
            return Verdict(kind="empty", why=f"set aside without a rule: {reason!r}")
        return Verdict(kind="limit" if any(limit in reason for limit in _LIMITS) else "refused", why=reason)
    if broken := [*facts.get("unreadable", ()), *_broken(facts)]:
        return Verdict(kind="crash", why="; ".join(broken))
    if lost := list(_lost(facts, before)):
        return Verdict(kind="empty", why="; ".join(lost))
    return Verdict(kind="ok", why="; ".join(words(facts)))


def words(facts: Facts) -> list[str]:
    """Everything that is said about a title that is not quite as it should be."""
    said = facts["said"]
    return [
        *facts.get("info", {}).get("notes", ()),
        *(note for table in said.values() for note in table.get("notes", ())),
        *said.get("cues", {}).get("problems", ()),
        *([f"{count} cues outside"] if (count := said.get("cues", {}).get("num_cues_outside")) else []),
    ]


def _broken(facts: Facts) -> list[str]:
    """What is wrong with values that call themselves sound."""
    if missing := [name for name in ("info", "spans", "frames", "cues", *VECTORS) if name not in facts]:
        return [f"no {', '.join(missing)}"]
    spans, num_shots = facts["spans"], len(facts["spans"]["shot_index"])
    times = list(zip(spans["start_seconds"], spans["end_seconds"], strict=True))
    borders = list(zip(spans["start_frame"], spans["end_frame"], strict=True))
    found = {
        "no shot": num_shots == 0,
        "times that are no numbers": not all(math.isfinite(time) for pair in times for time in pair),
        "shots that end before they begin": any(end <= start for start, end in times),
        "shots that overlap or leave a gap": any(
            one[1] != two[0] for rows in (times, borders) for one, two in pairwise(rows)
        ),
        "a first shot that is not at frame 0": bool(borders) and borders[0][0] != 0,
        "frames that are no pictures": not facts["frames"]["are_sound"],
        "shots without a frame": facts["frames"]["shots"] != list(range(num_shots)),
        "blank cues": not facts["cues"]["are_sound"],
        "a shot without a picture's vector": facts["video_embeddings"]["present"] != num_shots,
        **{f"{name} that are not finite, or zero": not facts[name]["are_sound"] for name in VECTORS},
        **{f"{name} of other shots": facts[name]["rows"] != num_shots for name in VECTORS},
    }
    return [sentence for sentence, is_wrong in found.items() if is_wrong]


def _sound_seconds(facts: Facts) -> float:
    chosen = (track for track in facts["info"]["audio"] if track["is_chosen"])
    return sum(float(track["end_seconds"] - track["start_seconds"]) for track in chosen)


def _has_gap(rows: Sequence[tuple[float, float]]) -> bool:
    return any(one[1] != two[0] for one, two in pairwise(rows))


def _lost(facts: Facts, before: Facts) -> list[str]:
    """What the sound file gave and the damaged one does not, where nothing is said of it."""
    if "spans" not in before:
        return []
    said = facts["said"]
    of_file: Sequence[str] = facts["info"]["notes"]
    had, has = before["spans"]["end_frame"][-1], facts["spans"]["end_frame"][-1]
    had_cues, has_cues = (
        each["cues"]["count"] + each["said"].get("cues", {}).get("num_cues_outside", 0) for each in (before, facts)
    )
    had_sound = before["audio_embeddings"]["present"] and _sound_seconds(before)
    # Sound that is there and too faint counts as none in the table, and needs no word.
    has_sound = facts["audio_embeddings"]["present"] or _sound_seconds(facts) >= KEPT_SHARE * had_sound
    found = {
        f"{has} of {had} frames": has < KEPT_SHARE * had and not [*of_file, *said["spans"].get("notes", ())],
        "no sound": had_sound and not has_sound and not [*of_file, *said["audio_embeddings"].get("notes", ())],
        f"no cue of {had_cues}": had_cues and not has_cues and not [*of_file, *said["cues"].get("problems", ())],
    }
    return [f"{what}, and not a word" for what, is_lost in found.items() if is_lost]
