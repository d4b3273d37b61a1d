"""Titles that are ok but not whole: what is missing of them is told, in the record, at a run's end and by status."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from mediafm.catalog.scan import scan_catalog
from mediafm.cli.status import status
from mediafm.steps.pipeline import ingest
from mediafm.steps.summary import root_status, title_notes
from mediafm.steps.workspace import Workspace
from mediafm.testing.mutations import mutate
from mediafm.types import TitleState

Damage = Callable[[bytes, int], bytes]
FRAMES, RATE_HZ = 50, 16_000


def write_film(path: Path, damage_sound: Damage | None = None) -> None:
    """Two seconds of grey and AAC; `damage_sound` is given each packet's bytes and number."""
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("aac", rate=RATE_HZ, layout="mono")
        for index in range(FRAMES):
            pixels = np.full((48, 64, 3), 100 + index, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
        tone = np.sin(2 * np.pi * 440 * np.arange(2 * RATE_HZ) / RATE_HZ).astype(np.float32)
        packets = []
        for start in range(0, tone.size, 1024):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE_HZ, start
            packets += audio.encode(frame)
        for number, packet in enumerate([*packets, *audio.encode(None)]):
            if damage_sound is None:
                container.mux(packet)
                continue
            damaged = av.Packet(damage_sound(bytes(packet), number))
            damaged.stream, damaged.time_base = audio, packet.time_base
            damaged.pts, damaged.dts, damaged.duration = packet.pts, packet.dts, packet.duration
            container.mux(damaged)


def noise(data: bytes, number: int) -> bytes:
    """A packet without a header that a decoder would know, another one each."""
    return mutate(b"\xff" * 40, "flip_few", seed=0, name="sound", index=number)


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    folder = tmp_path / "catalog"
    folder.mkdir()
    return folder


def notes_of(workspace: Workspace, catalog: Path) -> dict[str, list[str]]:
    """The notes after an ingest in which every title ended ok."""
    reports = ingest(workspace, scan_catalog(str(catalog), workspace.config.limits).titles)
    states = {outcome.state for report in reports for outcome in report.outcomes}
    assert states == {TitleState.OK}
    notes = title_notes(workspace.store)
    assert root_status(workspace.config)["notes"] == notes
    return notes


def test_sound_that_does_not_decode_is_told_and_a_sound_film_says_nothing(workspace: Workspace, catalog: Path) -> None:
    write_film(catalog / "whole.mkv")
    write_film(catalog / "noise.mkv", noise)
    notes = notes_of(workspace, catalog)
    assert set(notes) == {"noise"}
    assert any("packets of sound could not be decoded" in note for note in notes["noise"])


def test_an_end_that_is_missing_is_told_by_the_probe(workspace: Workspace, catalog: Path) -> None:
    """Cut between two packets, where no decoder meets a fault: only the header's claim tells it."""
    whole = catalog / "cut.mkv"
    write_film(whole)
    with av.open(str(whole)) as container:
        ends = [packet.pos for packet in container.demux() if packet.pos is not None and packet.pos > 0]
    data = whole.read_bytes()
    whole.write_bytes(data[: sorted(ends)[len(ends) // 3]])
    (told,) = notes_of(workspace, catalog).values()
    assert any("the header claims" in note for note in told)


def test_cues_that_all_lie_outside_are_told(workspace: Workspace, catalog: Path) -> None:
    write_film(catalog / "film.mkv")
    (catalog / "film.en.srt").write_text("1\n00:20:01,000 --> 00:20:02,000\nToo late.\n")
    assert notes_of(workspace, catalog) == {"film": ["none of 1 cues falls into the picture's time"]}


def test_status_shows_notes_and_of_many_the_first(
    workspace: Workspace, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediafm.cli.status.MAX_NOTES", 1)
    for name in ("one", "two"):
        write_film(catalog / f"{name}.mkv")
        (catalog / f"{name}.en.srt").write_text("1\n00:20:01,000 --> 00:20:02,000\nToo late.\n")
    notes_of(workspace, catalog)
    shown = CliRunner().invoke(status, ["--root", workspace.config.root])
    assert shown.exit_code == 0, shown.output
    assert "note: one: none of 1 cues falls into the picture's time\n" in shown.output
    assert "note: two" not in shown.output
    assert "(and 1 more notes; --json has them all)" in shown.output
