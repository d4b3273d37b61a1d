"""The whole catalogue on disk: real files that the library reads, the same twice, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from mediafm.catalog.scan import scan_catalog
from mediafm.config import MediaLimits
from mediafm.errors import ConfigError, MediaFMError
from mediafm.media.synthetic.catalog import SampleCatalog, write_sample
from mediafm.media.synthetic.script import write_script
from mediafm.media.synthetic.settings import TINY
from mediafm.media.timed_text_embedded import read_embedded

SMALL = replace(TINY, num_scenes=2, width_px=96, height_px=54)
SEED = 3


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleCatalog:
    """Six titles: with sidecars, with embedded text, two episodes, without sound, with silences."""
    return write_sample(tmp_path_factory.mktemp("sample") / "six", 6, SEED, settings=SMALL, num_workers=2)


def by_role(sample: SampleCatalog, role: str) -> dict[str, object]:
    titles = json.loads(sample.truth_path.read_text())["titles"]
    return next(title for title in titles if title["role"] == role)


def contents(directory: Path) -> dict[str, bytes]:
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def test_the_catalogue_scan_finds_the_same_ids_and_no_problems(sample: SampleCatalog) -> None:
    catalog = scan_catalog(str(sample.directory), MediaLimits())
    assert sorted(sample.title_ids) == [title.title_id for title in catalog.titles]
    assert catalog.problems == ()
    assert len({title.group_id for title in catalog.titles}) == 5
    assert all(title.metadata.title and title.metadata.genres for title in catalog.titles)
    assert sum(bool(title.sidecars) for title in catalog.titles) == 5


def test_files_hold_the_streams_and_frames_that_the_truth_says(sample: SampleCatalog) -> None:
    for truth in json.loads(sample.truth_path.read_text())["titles"]:
        with av.open(str(sample.directory / truth["file"])) as container:
            assert container.streams.video[0].codec_context.name == "h264"
            assert [stream.codec_context.name for stream in container.streams.audio] == ["aac"] * truth["has_sound"]
            assert container.streams.video[0].average_rate == truth["frame_rate"]
            times = [frame.time for frame in container.decode(video=0)]
        assert len(times) == truth["num_frames"]
        assert times == pytest.approx(np.arange(len(times)) / truth["frame_rate"], abs=0.001)


def test_sound_and_picture_begin_and_end_together(sample: SampleCatalog) -> None:
    truth = by_role(sample, "plain")
    with av.open(str(sample.directory / str(truth["file"]))) as container:
        frames = list(container.decode(audio=0))
    assert frames[0].time == pytest.approx(0.0, abs=0.07)
    seconds = sum(frame.samples for frame in frames) / SMALL.sample_rate_hz
    expected = truth["shots"][-1]["end_seconds"]  # type: ignore[index]
    assert seconds == pytest.approx(expected, abs=0.15)


def test_silent_scenes_are_silent_in_the_file(sample: SampleCatalog) -> None:
    truth = by_role(sample, "silences")
    with av.open(str(sample.directory / str(truth["file"]))) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    for number, scene in enumerate(truth["scenes"]):  # type: ignore[arg-type,var-annotated]
        start, end = (
            scene[key] / SMALL.frames_per_second * SMALL.sample_rate_hz for key in ("start_frame", "end_frame")
        )
        middle = samples[round(start) + 2048 : round(end) - 2048]
        assert (np.abs(middle).max() < 1e-4) == (number in truth["silent_scenes"])  # type: ignore[operator]


def test_the_embedded_text_is_read_back(sample: SampleCatalog) -> None:
    truth = by_role(sample, "embedded")
    path = sample.directory / str(truth["file"])
    with av.open(str(path)) as container:
        index = container.streams.subtitles[0].index
    parsed = read_embedded(str(path), index, MediaLimits())
    lines = write_script(1, SEED, SMALL).lines
    assert [cue.text for cue in parsed.cues] == [line.text for line in lines]
    assert [cue.start_seconds for cue in parsed.cues] == pytest.approx([line.start_seconds for line in lines])
    assert [cue.end_seconds for cue in parsed.cues] == pytest.approx([line.end_seconds for line in lines])


def test_the_truth_names_every_variable_of_a_scene(sample: SampleCatalog) -> None:
    scene = by_role(sample, "plain")["scenes"][0]  # type: ignore[index]
    script = write_script(0, SEED, SMALL)
    assert scene["genres"] == list(script.scenes[0].genres)
    assert scene["cast"] == [script.cast[index].name for index in script.scenes[0].cast_indices]
    assert scene["evidence"]["look_genre"] == script.scenes[0].evidence.look_genre


def test_a_second_call_does_nothing(sample: SampleCatalog) -> None:
    before = {name: (sample.directory / name).stat().st_mtime_ns for name in contents(sample.directory)}
    again = write_sample(sample.directory, 6, SEED, settings=SMALL)
    assert not again.is_new
    assert replace(again, is_new=True) == sample
    assert before == {name: (sample.directory / name).stat().st_mtime_ns for name in contents(sample.directory)}


def test_fewer_titles_are_the_first_ones_byte_for_byte(sample: SampleCatalog, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fewer = write_sample(tmp_path / "two", 2, SEED, lambda *step: seen.append(step), settings=SMALL, num_workers=1)
    assert seen == [(1, 2), (2, 2)]
    assert fewer.title_ids == sample.title_ids[:2]
    whole = contents(sample.directory)
    for name, data in contents(fewer.directory).items():
        if name.startswith(fewer.title_ids):
            assert whole[name] == data, name


def test_other_files_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="it holds other files"):
        write_sample(tmp_path, 1, SEED, settings=SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("num_titles", "seed", "settings", "difference"),
    [
        (6, SEED + 1, SMALL, "seed"),
        (5, SEED, SMALL, "num_titles"),
        (6, SEED, replace(SMALL, picture_crf=30), "settings"),
    ],
)
def test_another_sample_is_not_overwritten(
    sample: SampleCatalog, num_titles: int, seed: int, settings: object, difference: str
) -> None:
    with pytest.raises(ConfigError, match=f"a sample with another {difference}"):
        write_sample(sample.directory, num_titles, seed, settings=settings)  # type: ignore[arg-type]


@pytest.fixture
def copied(sample: SampleCatalog, tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "copy"
    for name, data in contents(sample.directory).items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)
    return directory


def test_a_damaged_sample_is_named(sample: SampleCatalog, copied: Path) -> None:
    (copied / "truth.json").unlink()
    with pytest.raises(ConfigError, match=r"truth\.json first"):
        write_sample(copied, 6, SEED, settings=SMALL)
    (copied / "sample.json").write_text("{")
    with pytest.raises(ConfigError, match=r"sample\.json cannot be read"):
        write_sample(copied, 6, SEED, settings=SMALL)


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise MediaFMError(f"{done} of {total}", rule="the caller had enough")

    with pytest.raises(MediaFMError, match="1 of 3"):
        write_sample(tmp_path / "none", 3, SEED, stop, settings=SMALL, num_workers=1)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    written = write_sample(tmp_path / "empty", 1, SEED, settings=replace(SMALL, num_scenes=1))
    assert written.is_new
    assert (written.directory / f"{written.title_ids[0]}.mp4").is_file()


@pytest.mark.parametrize(("num_titles", "seed"), [(0, 0), (1, -1)])
def test_impossible_numbers_are_refused(tmp_path: Path, num_titles: int, seed: int) -> None:
    with pytest.raises(ConfigError, match=f"{num_titles} titles of seed {seed}"):
        write_sample(tmp_path / "none", num_titles, seed)
