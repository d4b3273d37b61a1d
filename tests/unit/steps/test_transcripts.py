"""Titles without timed text through the step, by the fake that reads tones: real files, exact words and times."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mediafm.catalog.scan import scan_catalog
from mediafm.config import Config
from mediafm.encoders.fake_transcriber import RATE_HZ, tones
from mediafm.lineage.audit import audit_title
from mediafm.steps import transcripts
from mediafm.steps.checks import QUESTIONS
from mediafm.steps.coverage import coverage_markdown, transcripts_markdown
from mediafm.steps.embeddings import TextEmbeddingsStep
from mediafm.steps.encoders import borrow_transcriber, free_encoders
from mediafm.steps.outcome import StepReport
from mediafm.steps.pipeline import ingest
from mediafm.steps.plan import titles_to_ingest
from mediafm.steps.present import IMPORTED_SOURCE
from mediafm.steps.runner import run_step
from mediafm.steps.shots import ShotsStep, shots_steps
from mediafm.steps.summary import root_status
from mediafm.steps.titles import take_in
from mediafm.steps.transcripts import TranscriptsStep
from mediafm.steps.workspace import Workspace
from mediafm.store.audited import open_audited
from mediafm.store.views import connect
from mediafm.testing.stored_titles import make
from tests.unit.steps.conftest import PROFILE

TRANSCRIBER = """
[transcriber]
name = "fake-transcriber"
settings = { window_seconds = 2, overlap_seconds = 0.5 }
"""
SRT = "1\n00:00:00,050 --> 00:00:00,300\nwritten by hand\n"


@pytest.fixture(autouse=True)
def _freed() -> Iterator[None]:
    yield
    free_encoders()


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    folder = tmp_path / "catalog"
    folder.mkdir()
    return folder


def config_of(tmp_path: Path, transcriber: str = TRANSCRIBER) -> Config:
    profile = tmp_path / f"profile-{bool(transcriber)}.toml"
    profile.write_text(PROFILE + transcriber)
    return Config.model_validate({"root": str(tmp_path / "root"), "profile": str(profile), "device": "cpu"})


def film(path: Path, sound: NDArray[np.float32] | None, starts_at_seconds: float = 0.0) -> None:
    """Grey pictures for as long as the sound, which is kept exactly."""
    seconds = starts_at_seconds + (2.0 if sound is None else len(sound) / RATE_HZ)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio: Any = None
        if sound is not None:
            audio = container.add_stream("pcm_s16le", rate=RATE_HZ)
            audio.layout = "mono"
        for index in range(int(seconds * 10)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + index % 200, np.uint8), format="rgb24")
            frame.pts = index
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            samples = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], format="s16", layout="mono")
            samples.sample_rate, samples.time_base = RATE_HZ, Fraction(1, RATE_HZ)
            samples.pts = round(starts_at_seconds * RATE_HZ)
            container.mux(audio.encode(samples))
            container.mux(audio.encode(None))


def run(config: Config, catalog: Path) -> dict[str, StepReport]:
    """The way to the text vectors."""
    titles = scan_catalog(str(catalog), config.limits).titles
    with Workspace.open(config, run_id="run") as workspace:
        reports = [take_in(workspace, titles)]
        for step in (*shots_steps(workspace), TextEmbeddingsStep(workspace)):
            workspace.ledger.flush()
            reports.append(run_step(workspace, step, workspace.titles([title.title_id for title in titles])))
    return {report.asset: report for report in reports}


def select(config: Config, query: str) -> list[tuple[Any, ...]]:
    with Workspace.open(config) as workspace, connect(workspace.store) as connection:
        return connection.execute(query).fetchall()


CURRENT = "SELECT table_name, fingerprint FROM current"


def test_what_is_spoken_becomes_words_and_cues_at_its_times(tmp_path: Path, catalog: Path) -> None:
    film(catalog / "spoken.mkv", tones("the seven samurai ride at dawn"), starts_at_seconds=1.0)
    config = config_of(tmp_path)
    reports = run(config, catalog)
    assert reports["transcripts"].counts() == {"ok": 1}
    rows = select(config, "SELECT text, start_seconds, end_seconds, confidence FROM words ORDER BY position")
    assert [row[0] for row in rows] == ["the", "seven", "samurai", "ride", "at", "dawn"]
    assert rows[0][1] == pytest.approx(1.02, abs=0.021)
    assert rows[1][1] - rows[0][1] == pytest.approx(0.32, abs=0.021)
    assert all(0.9 < row[3] <= 1.0 for row in rows)
    ((text, source, language, confidence),) = select(config, "SELECT text, source, language, confidence FROM cues")
    assert (text, source, language) == ("the seven samurai ride at dawn", "asr", "en")
    assert confidence == pytest.approx(np.mean([row[3] for row in rows]), abs=1e-4)
    assert select(config, "SELECT count(*) FROM text_embeddings WHERE is_present") == [(1,)]


def test_titles_that_are_not_heard_are_all_concluded(
    tmp_path: Path, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcripts, "MAX_UNHEARD", 2)
    for number in range(5):
        film(catalog / f"mute{number}.mkv", None)
    film(catalog / "mute2b.mkv", tones("at dawn"))
    config = config_of(tmp_path)
    assert run(config, catalog)["transcripts"].counts() == {"ok": 6}
    assert select(config, "SELECT DISTINCT title_id FROM words") == [("mute2b",)]


def test_a_title_with_timed_text_of_its_own_has_no_words(tmp_path: Path, catalog: Path) -> None:
    film(catalog / "written.mkv", tones("not to be heard"))
    (catalog / "written.srt").write_text(SRT)
    film(catalog / "mute.mkv", None)
    config = config_of(tmp_path)
    run(config, catalog)
    assert select(config, "SELECT * FROM words") == []
    assert select(config, "SELECT text, source, confidence FROM cues") == [("written by hand", "sidecar", None)]
    told = select(
        config, "SELECT title_id, details ->> 'left_out' FROM current WHERE table_name = 'words' ORDER BY title_id"
    )
    assert told == [("mute", "it has no sound"), ("written", "it has timed text of its own (written.srt)")]


def test_a_sidecar_that_comes_and_goes_moves_words_and_cues(tmp_path: Path, catalog: Path) -> None:
    film(catalog / "film.mkv", tones("spoken"))
    config = config_of(tmp_path)
    run(config, catalog)
    before = dict(select(config, CURRENT))
    (catalog / "film.srt").write_text(SRT)
    run(config, catalog)
    after = dict(select(config, CURRENT))
    assert {table for table in before if before[table] != after[table]} == {
        "titles",
        "words",
        "cues",
        "text_embeddings",
    }
    assert select(config, "SELECT source FROM cues") == [("sidecar",)]
    (catalog / "film.srt").unlink()
    report = run(config, catalog)["transcripts"]
    assert report.num_made == 0, "its words are still there"
    assert select(config, "SELECT text, source FROM cues") == [("spoken", "asr")]


@pytest.mark.parametrize(
    ("transcriber", "expected"),
    [
        (TRANSCRIBER, {"titles", "words", "cues", "audio_embeddings", "text_embeddings", "fused_embeddings"}),
        ("", {"titles", "audio_embeddings", "fused_embeddings"}),
    ],
)
def test_another_sound_moves_the_text_exactly_where_it_is_heard(
    tmp_path: Path, catalog: Path, transcriber: str, expected: set[str]
) -> None:
    """The whole way."""
    config = config_of(tmp_path, transcriber)
    values = []
    for text in ("abcd", "abce"):
        film(catalog / "film.mkv", tones(text))
        with Workspace.open(config, run_id=text) as workspace:
            titles = scan_catalog(str(catalog), config.limits).titles
            ingest(workspace, titles)
            assert titles_to_ingest(workspace, titles) == []
        values.append(dict(select(config, CURRENT)))
    before, after = values
    assert {table for table in after if before[table] != after[table]} == expected


def test_turning_a_transcriber_on_and_off_leaves_no_stale_text(tmp_path: Path, catalog: Path) -> None:
    film(catalog / "film.mkv", tones("hello"))
    silent, spoken = config_of(tmp_path, ""), config_of(tmp_path)
    run(silent, catalog)
    assert select(silent, "SELECT count(*) FROM cues") == [(0,)]
    run(spoken, catalog)
    assert select(spoken, "SELECT text FROM cues") == [("hello",)]
    run(silent, catalog)
    assert select(silent, "SELECT count(*) FROM cues") == [(0,)]
    assert select(silent, "SELECT count(*) FROM current WHERE table_name = 'words'") == [(0,)]


def test_settings_of_cues_move_no_word(tmp_path: Path, catalog: Path) -> None:
    film(catalog / "film.mkv", tones("one two"))
    config = config_of(tmp_path)
    run(config, catalog)
    shorter = config_of(tmp_path, f"{TRANSCRIBER}cues = {{ max_characters = 4 }}\n")
    assert run(shorter, catalog)["transcripts"].num_made == 0
    assert select(shorter, "SELECT text FROM cues ORDER BY start_seconds") == [("one",), ("two",)]


def test_status_coverage_and_audit_tell_it_from_captions(tmp_path: Path, catalog: Path) -> None:
    film(catalog / "spoken.mkv", tones("hello there"))
    film(catalog / "written.mkv", tones("hello"))
    (catalog / "written.srt").write_text(SRT)
    config = config_of(tmp_path)
    run(config, catalog)
    status = root_status(config)
    assert [(title["title_id"], title["text_source"]) for title in status["titles"]] == [
        ("spoken", "asr"),
        ("written", "timed_text"),
    ]
    assert (status["transcribed"]["num_titles"], status["transcribed"]["num_captioned"]) == (1, 1)
    assert 0.9 < status["transcribed"]["mean_confidence"] <= 1
    with Workspace.open(config) as workspace, open_audited(workspace.store) as ledger:
        titles = workspace.titles(["spoken", "written"])
        assert "of 1 of 2 titles is machine-made" in coverage_markdown(workspace, "text_embeddings", titles)
        table = transcripts_markdown(workspace, titles)
        assert "| spoken | 2 |" in table
        assert "| written | 0 |  | it has timed text of its own (written.srt) |" in table
        assert "1 of 2 titles have machine-made text" in table
        tree = str(audit_title(ledger, "spoken").as_json())
        assert "fake-transcriber" in tree


def test_words_that_the_transcriber_is_unsure_of_are_found(tmp_path: Path, catalog: Path) -> None:
    clean = tones("clear speech")
    noise = np.random.default_rng(0).normal(0, 0.12, len(clean)).astype(np.float32)
    film(catalog / "clear.mkv", clean)
    film(catalog / "noisy.mkv", clean + noise)
    config = config_of(tmp_path)
    run(config, catalog)
    with Workspace.open(config) as workspace:
        answer = QUESTIONS["unsure_words"](workspace, "transcripts")
    assert answer.num_looked_at == 2
    (finding,) = answer.findings
    assert finding.startswith("noisy: its 2 transcribed words have a mean confidence of 0.")


def test_a_file_that_cannot_be_read_holds_nobody_up(tmp_path: Path, catalog: Path) -> None:
    for name in ("a", "b", "c"):
        film(catalog / f"{name}.mkv", tones(f"title {name}"))
    config = config_of(tmp_path)
    titles = scan_catalog(str(catalog), config.limits).titles
    with Workspace.open(config, run_id="run") as workspace:
        take_in(workspace, titles)
        workspace.ledger.flush()
        (catalog / "b.mkv").unlink()
        report = run_step(workspace, TranscriptsStep(workspace), workspace.titles(["a", "b", "c"]))
    assert [outcome.state for outcome in report.outcomes] == ["ok", "failed", "ok"]
    assert "the file is not there" in report.outcomes[1].reason
    found = select(config, "SELECT title_id, string_agg(text, ' ' ORDER BY position) FROM words GROUP BY 1 ORDER BY 1")
    assert found == [("a", "title a"), ("c", "title c")]


def test_a_real_clip_with_its_captions_and_without(tmp_path: Path, catalog: Path, shared_media: Path) -> None:
    """What the fake hears in real speech is nonsense; that it is written down only where captions lack is not."""
    shutil.copy(shared_media / "titles" / "friday.mp4", catalog / "bare.mp4")
    shutil.copy(shared_media / "titles" / "friday.mp4", catalog / "captioned.mp4")
    shutil.copy(shared_media / "titles" / "friday.vtt", catalog / "captioned.vtt")
    config = config_of(tmp_path)
    run(config, catalog)
    told = dict(select(config, "SELECT title_id, details ->> 'sound_seconds' FROM current WHERE table_name = 'words'"))
    assert told["captioned"] is None
    assert 4 < float(told["bare"]) < 8
    assert select(config, "SELECT count(*) FROM words WHERE title_id = 'captioned'") == [(0,)]
    assert select(config, "SELECT DISTINCT source FROM cues WHERE title_id = 'captioned'") == [("sidecar",)]


def test_the_transcriber_is_loaded_once(tmp_path: Path) -> None:
    with Workspace.open(config_of(tmp_path)) as workspace:
        assert borrow_transcriber(workspace) is borrow_transcriber(workspace)


def test_a_title_that_came_with_its_vectors_waits(workspace: Workspace) -> None:
    make(workspace.store, workspace.ledger, "a", ["titles"], workspace.producers)
    workspace.ledger.flush()
    (title,) = workspace.titles(["a"])
    imported = replace(title, source={"kind": IMPORTED_SOURCE})
    for step in (TranscriptsStep(workspace), ShotsStep(workspace)):
        assert "came without media" in step.waits_for(imported)
        assert step.waits_for(title) == ""
