"""Which titles came, changed or went since the last look at the catalogues; names, sizes and times alone are read.

A file is taken up once two looks in a row saw it alike: one that is still being copied is left alone. A title that is
gone is marked once two looks in a row missed it. What a look remembers for the next (`Watch`) is small: what the ledger
has on record needs no memory, and of the others only the first few are watched.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mediafm.automation import NewTitlesSettings
from mediafm.catalog.title import Problem
from mediafm.steps.catalogs import known_catalogs, scan_known
from mediafm.steps.outcome import TitleOutcome
from mediafm.steps.present import PresentTitle
from mediafm.steps.titles import signature, take_in
from mediafm.steps.workspace import Workspace
from mediafm.types import Json, TitleState

FORMAT_VERSION = 1
SIGNATURE_DIGITS = 16
FEW_VANISHED = 10
"""So many may go at once, whatever share of the catalogue they are (our choice)."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What one look remembers for the next.

    began: when there was no watch before, in seconds since 1970: sets what is asked for apart from earlier watches'.
    seen: title -> signature of titles that are new or changed, and were not asked for yet.
    absent: known titles that no catalogue listed.
    tried: title -> (signature, runs) of titles that were asked for and are not on record yet.
    """

    began: int = 0
    seen: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    tried: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Json]:
        return {
            "version": FORMAT_VERSION,
            "began": self.began,
            "seen": dict(self.seen),
            "absent": list(self.absent),
            "tried": {title_id: [sign, count] for title_id, (sign, count) in self.tried.items()},
        }

    @classmethod
    def from_json(cls, parts: Mapping[str, Any] | None, now: int = 0) -> Watch:
        """The inverse of `as_json`; a watch of another version, or none, begins anew: that costs one look."""
        if not parts or parts.get("version") != FORMAT_VERSION:
            return cls(began=now)
        return cls(
            began=int(parts["began"]),
            seen=dict(parts["seen"]),
            absent=tuple(parts["absent"]),
            tried={title_id: (str(sign), int(count)) for title_id, (sign, count) in parts["tried"].items()},
        )

    def num_tries(self, title_id: str, sign: str) -> int:
        known, count = self.tried.get(title_id, ("", 0))
        return count if known == sign else 0


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """What a look found.

    ready: new and changed titles to take up now, by id, at most a tick's worth.
    num_settling: such titles that were not seen alike twice yet, or wait for a later tick.
    vanished: known titles that two looks missed.
    given_up: titles whose runs never came to record them.
    withheld: why titles that seem to be gone are not marked; "" where none is.
    """

    ready: tuple[str, ...]
    num_settling: int
    vanished: tuple[str, ...]
    given_up: tuple[str, ...]
    withheld: str
    problems: tuple[Problem, ...]
    watch: Watch


def look(workspace: Workspace, watch: Watch, settings: NewTitlesSettings, in_flight: Collection[str]) -> Arrivals:
    """Looks once. Nothing is written, and no media is opened.

    Args:
        in_flight: titles that a run is at, or waits to be at: they are left alone.
    """
    catalog = scan_known(workspace)
    present = {title.title_id: title for title in workspace.all_titles()}
    pending: dict[str, str] = {}
    for title in catalog.titles:
        sign = signature(title)[:SIGNATURE_DIGITS]
        if title.title_id not in in_flight and not _is_on_record(present.get(title.title_id), sign):
            pending[title.title_id] = sign
    given_up = tuple(one for one, sign in pending.items() if watch.num_tries(one, sign) >= settings.max_attempts)
    for title_id in given_up:
        del pending[title_id]
    num_pending = len(pending)
    watched = dict(list(pending.items())[: 2 * settings.max_titles_per_tick])
    is_stuck = len(given_up) >= settings.max_titles_per_tick
    ready = [] if is_stuck else [one for one, sign in watched.items() if watch.seen.get(one) == sign]
    ready = ready[: settings.max_titles_per_tick]
    listed = {title.title_id for title in catalog.titles}
    gone, withheld = _gone(workspace, present, listed | set(in_flight), catalog.problems, settings)
    tried = {
        one: (sign, count)
        for one, (sign, count) in watch.tried.items()
        if one in in_flight or one in given_up or pending.get(one) == sign
    }
    return Arrivals(
        ready=tuple(ready),
        num_settling=num_pending - len(ready),
        vanished=tuple(one for one in gone if one in set(watch.absent)),
        given_up=given_up,
        withheld=withheld,
        problems=catalog.problems,
        watch=replace(watch, seen=watched, absent=tuple(gone), tried=tried),
    )


def asked_for(watch: Watch, title_ids: Sequence[str]) -> Watch:
    """The watch after runs were asked for over some of the titles that it saw: they are counted, and seen anew."""
    tried = {one: (watch.seen[one], watch.num_tries(one, watch.seen[one]) + 1) for one in title_ids}
    seen = {one: sign for one, sign in watch.seen.items() if one not in tried}
    return replace(watch, seen=seen, tried={**watch.tried, **tried})


def mark_vanished(workspace: Workspace, title_ids: Sequence[str]) -> tuple[TitleOutcome, ...]:
    """Puts on record that no catalogue lists these titles any more; what was made of them stays."""
    outcomes = take_in(workspace, [], title_ids).outcomes if title_ids else ()
    workspace.ledger.flush()
    return outcomes


def _is_on_record(known: PresentTitle | None, sign: str) -> bool:
    """Whether the ledger has the title as it is now; what it then lacks is for `mediafm retry` and `mediafm run`."""
    if known is None or known.state is TitleState.VANISHED:
        return False
    if known.state is TitleState.FORGOTTEN:
        return True
    return str(known.source.get("signature", ""))[:SIGNATURE_DIGITS] == sign


def _gone(
    workspace: Workspace,
    present: Mapping[str, PresentTitle],
    there: Collection[str],
    problems: Sequence[Problem],
    settings: NewTitlesSettings,
) -> tuple[list[str], str]:
    """Titles of media that are on record and in no catalogue; and why they are not marked all the same."""
    media = [
        one
        for one in present.values()
        if not one.is_imported and one.state in (TitleState.OK, TitleState.QUARANTINED, TitleState.FAILED)
    ]
    gone = [one.title_id for one in media if one.title_id not in there and not _is_hidden(one)]
    unread = sorted({problem.where for problem in problems} & set(known_catalogs(workspace)))
    if gone and unread:
        return [], f"{len(gone)} titles are not listed, but {', '.join(unread)} cannot be read: none is marked"
    if len(gone) > max(FEW_VANISHED, settings.max_vanished_share * len(media)):
        return [], (
            f"{len(gone)} of {len(media)} titles are not listed any more: more than max_vanished_share allows, as when "
            "a disk is not mounted; none is marked. If they are really gone, raise it for a while"
        )
    return sorted(gone)[: settings.max_titles_per_tick], ""


def _is_hidden(title: PresentTitle) -> bool:
    """Whether nobody can tell if the title's file is there: a folder above it cannot be read."""
    path = str(title.source.get("path", ""))
    if not path or "://" in path:
        return False
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return False
