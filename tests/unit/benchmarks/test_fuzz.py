"""The fuzz run: what it calls bad, that a case is made again from its name, and that damage does no harm."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from benchmarks.fuzz import Report, fuzz
from benchmarks.fuzz_batches import run_batch
from benchmarks.fuzz_cases import Case, Maker, plan
from benchmarks.fuzz_judge import VECTORS, judge
from benchmarks.fuzz_originals import Original, make_originals
from mediafm.errors import MediaFMError, NotFoundError
from mediafm.progress import Silent
from mediafm.testing.mutations import MEDIA_KINDS, TEXT_KINDS

RATE_HZ = 16_000
NUM_FAST, NUM_SLOW = 15, 150
REFUSED = "the file is empty (0 bytes); a title holds media."
ABSENT = {"rows": 2, "present": 0, "are_sound": True}


def facts(**changed: Any) -> dict[str, Any]:
    """A whole title of two shots, sound and a cue."""
    vectors = {name: {"rows": 2, "present": 2, "are_sound": True} for name in VECTORS}
    return {
        "title_id": "a",
        "steps": [{"step": "raw_titles", "state": "ok", "reason": ""}],
        "said": {"spans": {"notes": []}, "cues": {"problems": [], "num_cues_outside": 0}, "audio_embeddings": {}},
        "info": {"notes": [], "audio": [{"is_chosen": True, "start_seconds": 0.0, "end_seconds": 2.0}]},
        "spans": {
            "shot_index": [0, 1],
            "start_seconds": [0.0, 1.0],
            "end_seconds": [1.0, 2.0],
            "start_frame": [0, 25],
            "end_frame": [25, 50],
        },
        "frames": {"shots": [0, 1], "are_sound": True},
        "cues": {"count": 1, "are_sound": True},
        **copy.deepcopy(vectors),
        **changed,
    }


def ended(state: str, reason: str) -> dict[str, Any]:
    return facts(steps=[{"step": "shots", "state": state, "reason": reason}])


@pytest.mark.parametrize(
    ("found", "kind", "why"),
    [
        (facts(), "ok", ""),
        (ended("quarantined", REFUSED), "refused", "0 bytes"),
        (ended("quarantined", "reading it (cut) failed twice: it took long; a rule."), "limit", "it took long"),
        (ended("quarantined", "failed twice: the reading process failed (TypeError); a rule."), "crash", "TypeError"),
        (ended("failed", "a: ValueError: x; this is a fault of the program"), "crash", "ValueError"),
        (ended("failed", "a span from 1 to 1 s; a span must end after it starts."), "crash", "a span must end"),
        (ended("quarantined", "no"), "empty", "set aside without a rule"),
        (facts(spans={**facts()["spans"], "start_seconds": [0.0, 1.5]}), "crash", "overlap or leave a gap"),
        (facts(spans={**facts()["spans"], "end_seconds": [1.0, float("inf")]}), "crash", "no numbers"),
        (facts(frames={"shots": [0], "are_sound": True}), "crash", "shots without a frame"),
        (facts(video_embeddings={"rows": 2, "present": 1, "are_sound": True}), "crash", "without a picture's vector"),
        (facts(fused_embeddings={"rows": 2, "present": 2, "are_sound": False}), "crash", "not finite"),
        (facts(unreadable=["spans: ValueError: x"]), "crash", "ValueError"),
        (facts(cues={"count": 0, "are_sound": True}), "empty", "no cue of 1, and not a word"),
        (facts(info={"notes": [], "audio": []}, audio_embeddings=ABSENT), "empty", "no sound, and not a word"),
    ],
)  # fmt: skip
def test_what_is_bad_is_called_so(found: dict[str, Any], kind: str, why: str) -> None:
    verdict = judge(found, facts())
    assert verdict.kind == kind
    assert why in verdict.why


def test_what_is_lost_needs_a_word_and_faint_sound_needs_none() -> None:
    short = facts(
        spans={key: values[:1] for key, values in facts()["spans"].items()}, frames={"shots": [0], "are_sound": True}
    )
    short |= {name: {"rows": 1, "present": 1, "are_sound": True} for name in VECTORS}
    short["spans"]["end_frame"] = [20]
    assert judge(short, facts()).why == "20 of 50 frames, and not a word"
    said = {**short["said"], "spans": {"notes": ["decoding stopped after 20 frames"]}}
    assert judge({**short, "said": said}, facts()).kind == "ok"
    faint = facts(audio_embeddings=ABSENT)
    assert judge(faint, facts()).kind == "ok"


def named(*names: str) -> list[Original]:
    return [Original(name=name, path=Path(name), is_text=name.endswith("srt")) for name in names]


def test_a_plan_takes_every_original_and_kind_in_turns() -> None:
    cases = plan(named("a.mp4", "b.mkv", "c.srt"), 3 * len(TEXT_KINDS))
    assert len(set(cases)) == len(cases)
    assert {case.kind for case in cases if case.original == "c.srt"} == set(TEXT_KINDS)
    assert {
        case.kind for case in plan(named("a.mp4", "b.mkv"), 2 * len(MEDIA_KINDS)) if case.original == "a.mp4"
    } == set(MEDIA_KINDS)
    assert all(Case.parse(case.name) == case for case in cases)
    with pytest.raises(NotFoundError, match="a case is named ORIGINAL:KIND:INDEX"):
        Case.parse("a.mp4:melted:0")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of picture and sound as MP4 and AVI, and captions."""
    folder = tmp_path_factory.mktemp("films")
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * RATE_HZ) / RATE_HZ).astype(np.float32)
    for name, codecs in (("one.mp4", ("libx264", "aac")), ("two.avi", ("mpeg4", "pcm_s16le"))):
        with av.open(str(folder / name), "w", container_options={"fflags": "+bitexact"}) as container:
            video = container.add_stream(codecs[0], rate=25)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            audio = container.add_stream(codecs[1], rate=RATE_HZ, layout="mono")
            for index in range(50):
                pixels = np.full((48, 64, 3), 230 if index // 25 else index, np.uint8)
                container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(video.encode(None))
            for start in range(0, tone.size, 1024):
                frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="fltp", layout="mono")
                frame.sample_rate, frame.pts = RATE_HZ, start
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    (folder / "one.en.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nGood evening.\n")
    return folder


def test_clips_are_one_of_each_make_in_other_containers_too_with_text_of_every_format(
    films: Path, tmp_path: Path
) -> None:
    names = {original.name: original.path.read_bytes() for original in make_originals(films, tmp_path / "one")}
    assert {"one.mp4", "two.avi", "one.en.srt", "remuxed.mkv", "remuxed.ts"} < names.keys()
    assert {"lines.srt", "lines.vtt", "lines.ass", "lines.ttml"} < names.keys()
    again = {original.name: original.path.read_bytes() for original in make_originals(films, tmp_path / "two")}
    assert again == names, "a case is made again from its name only if the clips are the same again"
    (tmp_path / "none").mkdir()
    with pytest.raises(MediaFMError, match="damage is done to files that were sound"):
        make_originals(tmp_path / "none", tmp_path / "three")


def test_a_case_is_made_again_from_its_name(films: Path, tmp_path: Path) -> None:
    maker = Maker(originals=make_originals(films, tmp_path / "clips"), seed=3)
    for name in ("first", "again"):
        (tmp_path / name).mkdir()
        maker.write(Case.parse("lines.srt:spliced:0"), tmp_path / name, "a")
        maker.write(Case.parse("two.avi:flip_few:2"), tmp_path / name, "b")
    first, again = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("first", "again")
    )
    assert first == again
    assert len(first) == 3, "damaged text has a sound film beside it"
    with pytest.raises(NotFoundError, match="a case damages a file of this run"):
        maker.write(Case.parse("other.mp4:flip_few:0"), tmp_path / "first", "c")


def test_a_worker_that_tells_nothing_is_ended_and_one_that_dies_is_told_of() -> None:
    folders: list[Path] = []
    silent = run_batch(folders.append, 0.5, ("-c", "import time; time.sleep(600)"))
    assert silent.end == "hang: nothing for 0 s after the start"
    told = 'print(\'{"step": "shots", "title": "a"}\', flush=True)'
    dead = run_batch(folders.append, 60.0, ("-c", f"import sys; {told}; sys.exit('no more')"))
    assert dead.end.startswith("exit code 1 after shots of a: no more")
    assert dead.seconds.keys() == {"a"}
    assert len(folders) == 2
    assert not any(folder.exists() for folder in folders), "nothing is left behind"


def assert_no_harm(report: Report, count: int) -> None:
    assert not report.bad, "\n".join(f"{case.name}: {verdict}" for case, verdict in report.bad.items())
    assert len(report.verdicts) + report.left_out == count
    assert report.verdicts


def test_damaged_films_and_captions_do_no_harm(films: Path, tmp_path: Path) -> None:
    report = fuzz(films, NUM_FAST, 0, 120.0, Silent(), tmp_path)
    assert_no_harm(report, NUM_FAST)
    found = report.as_json()
    assert sum(found["counts"].values()) == NUM_FAST
    assert found["counts"]["ok"], "not all damage is fatal"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_damaged_real_media_do_no_harm(shared_media: Path, tmp_path: Path) -> None:
    assert_no_harm(fuzz(shared_media, NUM_SLOW, 1, 900.0, Silent(), tmp_path), NUM_SLOW)
