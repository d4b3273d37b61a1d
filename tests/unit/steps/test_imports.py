"""Imported vectors in a root: titles without media, titles of media, and all who read their spans."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediafm.config import Config
from mediafm.data.import_files import open_import
from mediafm.errors import ConfigError, LineageMismatchError
from mediafm.lineage.records import LedgerRecord
from mediafm.probes.labels import read_labels
from mediafm.probes.vectors import TitleShots
from mediafm.steps.catalogs import imported_titles, known_labels
from mediafm.steps.checks import span_gaps
from mediafm.steps.contact_sheets import draw_contact_sheets
from mediafm.steps.features import title_shots
from mediafm.steps.forgetting import forget
from mediafm.steps.import_profile import write_profile
from mediafm.steps.imports import ImportReport, import_file
from mediafm.steps.plan import titles_to_ingest
from mediafm.steps.present import PresentTitle
from mediafm.steps.rows import spans_of
from mediafm.steps.summary import title_rows
from mediafm.steps.titles import take_in
from mediafm.steps.workspace import Workspace
from mediafm.store.rebuild import rebuild_ledger
from mediafm.store.schemas import SCHEMAS
from mediafm.store.vectors import arrow_to_vectors
from mediafm.store.views import connect, newest_rows
from mediafm.types import Span, TitleState

NAMES = np.array(["a", "a", "a", "b", "b"])


def vectors_of(seed: int, num_rows: int = 5, width: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num_rows, width)).astype(np.float32)


def save(folder: Path, name: str = "feats", **arrays: Any) -> Path:
    path = folder / f"{name}.npz"
    np.savez(path, **{"title_id": NAMES, **{key: np.asarray(value) for key, value in arrays.items()}})
    return path


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A root whose profile imports video and audio, each four wide, and reads text by itself."""
    path = save(tmp_path, "shape", video=vectors_of(0), audio=vectors_of(1), transcript=["x"] * 5)
    write_profile(tmp_path / "profile.toml", open_import(path, {}), "made elsewhere")
    return Config.model_validate({"root": str(tmp_path / "root"), "profile": str(tmp_path / "profile.toml")})


@contextmanager
def opened(config: Config, **changed: Any) -> Iterator[Workspace]:
    with Workspace.open(config.model_copy(update=changed)) as workspace:
        yield workspace


def take(config: Config, path: Path, **changed: Any) -> ImportReport:
    with opened(config, **changed) as workspace:
        return import_file(workspace, open_import(path, {}))


def present(config: Config, title_id: str = "a") -> PresentTitle:
    with opened(config) as workspace:
        (title,) = workspace.titles([title_id])
        return title


def stored_vectors(config: Config, table: str, title_id: str = "a") -> tuple[np.ndarray, np.ndarray]:
    with opened(config) as workspace:
        (title,) = workspace.titles([title_id])
        return arrow_to_vectors(workspace.store.read(title.chain.identity(table)).column("vector"))


def test_a_title_without_media_is_there_with_its_shots_and_vectors(config: Config, tmp_path: Path) -> None:
    video = vectors_of(2)
    video[1] = 0.0
    report = take(config, save(tmp_path, video=video, audio=vectors_of(3), transcript=["one", "", "three", "", ""]))
    assert (report.made, report.num_shots, report.num_present) == (["a", "b"], 5, {"video": 4, "audio": 5})
    title = present(config)
    assert (title.state, title.is_imported, title.generation, title.group_id) == (TitleState.OK, True, 1, "a")
    found, is_present = stored_vectors(config, "video_embeddings")
    assert is_present.tolist() == [True, False, True]
    np.testing.assert_allclose(found[[0, 2]], video[[0, 2]], rtol=2e-3, atol=1e-3)
    with opened(config) as workspace:
        spans = workspace.store.read(title.chain.identity("spans"))
        assert spans.column("start_seconds").to_pylist() == spans.column("start_frame").to_pylist() == [None] * 3
        cues = workspace.store.read(title.chain.identity("cues"))
        assert list(zip(cues["shot_index"].to_pylist(), cues["text"].to_pylist(), strict=True)) == [
            (0, "one"),
            (2, "three"),
        ]
        assert workspace.store.read(title.chain.identity("frames")).num_rows == 0


def test_ledger_rows_name_the_file(config: Config, tmp_path: Path) -> None:
    path = save(tmp_path, video=vectors_of(2))
    sha256 = take(config, path).sha256
    with opened(config) as workspace:
        (raw,) = newest_rows(workspace.store, "titles", ["a"])
        (video,) = newest_rows(workspace.store, "video_embeddings", ["a"])
    assert raw.details["source"] == {"kind": "imported", "file": "feats.npz", "sha256": sha256, "name": "a"}
    assert video.details["imported_from"] == {"file": "feats.npz", "sha256": sha256}


def test_the_same_file_again_does_nothing(config: Config, tmp_path: Path) -> None:
    path = save(tmp_path, video=vectors_of(2), audio=vectors_of(3), label=[0, 1, 0, 1, 0])
    take(config, path)
    with opened(config) as workspace:
        before = newest_rows(workspace.store, "titles")
    report = take(config, path)
    assert (report.made, report.unchanged) == ([], ["a", "b"])
    with opened(config) as workspace:
        assert newest_rows(workspace.store, "titles") == before


def test_other_content_is_the_next_generation_of_its_titles_only(config: Config, tmp_path: Path) -> None:
    video = vectors_of(2)
    take(config, save(tmp_path, video=video))
    first = present(config)
    video = video.copy()
    video[4] += 1
    report = take(config, save(tmp_path, video=video))
    assert (report.made, report.unchanged) == (["b"], ["a"])
    assert (present(config).generation, present(config, "b").generation) == (1, 2)
    assert present(config).fingerprint == first.fingerprint


def test_modalities_may_come_in_files_of_their_own(config: Config, tmp_path: Path) -> None:
    take(
        config, save(tmp_path, "video", video=vectors_of(2), start_seconds=np.arange(5.0), end_seconds=np.arange(5) + 1)
    )
    video_facet = present(config).facets["video"]
    assert present(config).facets["audio"] == ""
    take(config, save(tmp_path, "audio", audio=vectors_of(3)))
    title = present(config)
    assert (title.generation, title.facets["video"]) == (2, video_facet)
    np.testing.assert_allclose(stored_vectors(config, "audio_embeddings")[0], vectors_of(3)[:3], rtol=2e-3, atol=1e-3)
    take(config, save(tmp_path, "video", video=vectors_of(4)))
    np.testing.assert_allclose(stored_vectors(config, "audio_embeddings")[0], vectors_of(3)[:3], rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(stored_vectors(config, "video_embeddings")[0], vectors_of(4)[:3], rtol=2e-3, atol=1e-3)
    with opened(config) as workspace:
        spans = spans_of(workspace.store.read(present(config).chain.identity("spans")))
    assert spans == [Span(0, 1), Span(1, 2), Span(2, 3)]


def test_another_number_of_shots_needs_all_modalities(config: Config, tmp_path: Path) -> None:
    take(config, save(tmp_path, video=vectors_of(2), audio=vectors_of(3)))
    longer = np.array(["a"] * 4)
    report = take(config, save(tmp_path, title_id=longer, video=vectors_of(4, 4)))
    assert "title a: 4 shots; the title's audio vectors, imported before, are of 3" in report.refused[0].reason
    both = save(tmp_path, title_id=longer, video=vectors_of(4, 4), audio=vectors_of(5, 4))
    assert take(config, both).made == ["a"]


def test_vectors_too_large_or_too_small_for_float16_rest_as_float32(config: Config, tmp_path: Path) -> None:
    video = vectors_of(2) * 1e6
    audio = vectors_of(3) * 3e-6
    take(config, save(tmp_path, video=video, audio=audio))
    np.testing.assert_array_equal(stored_vectors(config, "video_embeddings")[0], video[:3])
    np.testing.assert_array_equal(stored_vectors(config, "audio_embeddings")[0], audio[:3])


def test_labels_are_remembered_and_read(config: Config, tmp_path: Path) -> None:
    path = save(tmp_path, video=vectors_of(2), label=[0, 1, 0, 1, 0], score=[0.5, 1, 2, 3, np.nan])
    report = take(config, path)
    with opened(config) as workspace:
        assert [str(each) for each in known_labels(workspace)] == [report.labels_file]
        labels = read_labels(known_labels(workspace))
    assert {label_set.task: len(label_set.rows) for label_set in labels.sets} == {"feats_label": 5, "feats_score": 4}
    assert not labels.problems
    assert take(config, path).labels_file == report.labels_file
    assert not list(Path(report.labels_file).parent.glob("*.part"))


def test_a_bad_title_goes_without_its_labels(config: Config, tmp_path: Path) -> None:
    video = vectors_of(2)
    video[4] = np.nan
    report = take(config, save(tmp_path, video=video, label=[0, 1, 0, 1, 0]))
    assert (report.made, [each.name for each in report.refused], report.num_labels) == (["a"], ["b"], 3)
    assert '"b"' not in Path(report.labels_file).read_text()


def test_what_does_not_fit_the_profile_is_said_at_once(config: Config, tmp_path: Path) -> None:
    wide = save(tmp_path, video=vectors_of(2, width=7), text=vectors_of(3))
    with pytest.raises(
        ConfigError, match=r"video is 4 wide in the profile and 7 in the file; text comes from .*lite-text"
    ):
        take(config, wide)
    with pytest.raises(ConfigError, match=r"video comes from the encoder 'lite-video'; .*--write-profile"):
        take(config, save(tmp_path, video=vectors_of(2)), profile="lite")


def test_titles_without_media_need_shots_that_are_given(config: Config, tmp_path: Path) -> None:
    cutting = tmp_path / "cutting.toml"
    cutting.write_text(Path(config.profile).read_text().replace('"given"', '"lite"').replace("settings = { shot", "# "))
    report = take(config, save(tmp_path, video=vectors_of(2)), profile=str(cutting))
    assert "no media of this title, and the detector 'lite'" in report.refused[0].reason
    assert not report.made


def test_a_written_profile_is_kept(config: Config, tmp_path: Path) -> None:
    file = open_import(save(tmp_path, video=vectors_of(2)), {})
    path = tmp_path / "new.toml"
    assert write_profile(path, file, "mine")
    assert not write_profile(path, file, "mine")
    with pytest.raises(ConfigError, match="a profile is not overwritten"):
        write_profile(path, file, "yours")


def add_media_title(workspace: Workspace, title_id: str, spans: Sequence[Span]) -> None:
    """A title of media that was probed and cut; nothing of it is real but its identities."""
    import pyarrow as pa

    facets = {name: f"{name}-of-{title_id}" for name in ("video", "audio", "text", "metadata")}
    record = LedgerRecord(
        asset="raw_titles",
        table="titles",
        title_id=title_id,
        fingerprint="of the media",
        facets=facets,
        details={"source": {"path": "/nowhere.mp4"}, "group_id": title_id},
    )
    workspace.ledger.add(record)
    workspace.ledger.flush()
    (title,) = workspace.titles([title_id])
    rows = [
        {
            "shot_index": index,
            "start_seconds": span.start_seconds,
            "end_seconds": span.end_seconds,
            "start_frame": index,
            "end_frame": index + 1,
        }
        for index, span in enumerate(spans)
    ]
    workspace.store.write(title.chain.identity("spans"), pa.Table.from_pylist(rows, schema=SCHEMAS["spans"]))


@pytest.fixture
def with_media(config: Config) -> Config:
    with opened(config) as workspace:
        add_media_title(workspace, "a", [Span(0, 1), Span(1, 2), Span(2, 4)])
    return config


def only_a(folder: Path, video: np.ndarray, **arrays: Any) -> Path:
    return save(folder, title_id=np.array(["a"] * len(video)), video=video, **arrays)


def test_a_title_of_media_gets_its_vectors_once(with_media: Config, tmp_path: Path) -> None:
    path = only_a(tmp_path, vectors_of(2, 3))
    assert take(with_media, path).matched == ["a"]
    assert not present(with_media).is_imported
    np.testing.assert_allclose(
        stored_vectors(with_media, "video_embeddings")[0], vectors_of(2, 3), rtol=2e-3, atol=1e-3
    )
    assert take(with_media, path).unchanged == ["a"]
    (refused,) = take(with_media, only_a(tmp_path, vectors_of(9, 3))).refused
    assert "title a: other video vectors" in refused.reason
    assert "two sets of vectors under one name are not one space" in refused.reason
    assert "another feature_set" in refused.reason


def test_vectors_of_a_title_of_media_match_its_shots(with_media: Config, tmp_path: Path) -> None:
    (refused,) = take(with_media, only_a(tmp_path, vectors_of(2, 2))).refused
    assert "2 vectors; the title has 3 shots" in refused.reason
    near = {"start_seconds": [0.05, 1.0, 2.0], "end_seconds": [1.0, 2.0, 4.0]}
    far = {"start_seconds": [0.0, 1.0, 2.0], "end_seconds": [1.0, 2.0, 4.5]}
    (refused,) = take(with_media, only_a(tmp_path, vectors_of(2, 3), **far)).refused
    assert "shot 2 has end_seconds 4.500; the root's shot has 4.000" in refused.reason
    assert take(with_media, only_a(tmp_path, vectors_of(2, 3), **near)).matched == ["a"]


def test_imported_titles_do_not_vanish(config: Config, tmp_path: Path) -> None:
    take(config, save(tmp_path, video=vectors_of(2)))
    with opened(config) as workspace:
        assert imported_titles(workspace) == ["a", "b"]
        assert imported_titles(workspace, besides=["a"]) == ["b"]
        report = take_in(workspace, [], ["a", "gone"])
        assert [outcome.state for outcome in report.outcomes] == [TitleState.OK, TitleState.VANISHED]
        assert titles_to_ingest(workspace, [], ["a", "b"]) == ["a", "b"]
    assert present(config).state is TitleState.OK


def test_a_lost_record_is_a_failure_that_says_what_to_do(config: Config, tmp_path: Path) -> None:
    path = save(tmp_path, video=vectors_of(2))
    take(config, path)
    (Path(config.root) / present(config).object_key).unlink()
    with opened(config) as workspace:
        (outcome,) = take_in(workspace, [], ["a"]).outcomes
    assert outcome.state is TitleState.FAILED
    assert "import its file 'feats.npz' again" in outcome.reason
    assert take(config, path).made == ["a"]


def test_nothing_that_reads_spans_stumbles_over_missing_times(config: Config, tmp_path: Path) -> None:
    take(config, save(tmp_path, video=vectors_of(2)))
    with opened(config) as workspace:
        titles = workspace.all_titles()
        assert span_gaps(workspace, "shots").findings == ()
        assert draw_contact_sheets(workspace, titles) == {}
        shots = next(iter(title_shots(workspace, titles)))
        assert not shots.has_times
        assert shots.weights.tolist() == [1.0, 1.0, 1.0]
        rows = title_rows(workspace.store)
        assert [(row["shots"], row["duration_seconds"]) for row in rows] == [(3, None), (2, None)]
        with pytest.raises(LineageMismatchError, match=r"shot 0 has no times; .* Import the title again with start"):
            spans_of(workspace.store.read(titles[0].chain.identity("spans")))
        with connect(workspace.store) as connection:
            assert connection.execute("SELECT count(*), count(start_seconds) FROM shots").fetchall() == [(5, 0)]


def test_the_ledger_comes_back_from_the_files(config: Config, tmp_path: Path) -> None:
    take(config, save(tmp_path, video=vectors_of(2)))
    for file in (Path(config.root) / "ledger").rglob("*.parquet"):
        file.unlink()
    with opened(config) as workspace:
        rebuild_ledger(workspace.store, workspace.run)
        assert imported_titles(workspace) == ["a", "b"]


def test_a_report_is_one_json_object(config: Config, tmp_path: Path) -> None:
    report = take(config, save(tmp_path, title_id=np.array(["_x"] * 3 + ["b"] * 2), video=vectors_of(2))).as_json()
    assert json.loads(json.dumps(report)) == report
    assert list(report["renamed"]) == ["_x"]  # type: ignore[arg-type]


def test_shots_with_times_weigh_by_them() -> None:
    shots = TitleShots(title_id="a", group_id="a", start_seconds=np.array([0.0, 1.0]), end_seconds=np.array([1.0, 4.0]))
    assert shots.weights.tolist() == [1.0, 3.0]
    untimed = TitleShots(title_id="a", group_id="a", start_seconds=np.full(2, np.nan), end_seconds=np.full(2, np.nan))
    assert untimed.overlap_seconds(Span(0, 1)).tolist() == [0.0, 0.0]


def test_what_was_forgotten_is_not_imported_again(config: Config, tmp_path: Path) -> None:
    path = save(tmp_path, video=vectors_of(2), audio=vectors_of(3), transcript=["x"] * 5)
    take(config, path)
    with opened(config) as workspace:
        forget(workspace, "a")
    report = take(config, path)
    assert ([refused.name for refused in report.refused], report.unchanged) == (["a"], ["b"])
    assert "what was forgotten does not come back" in report.refused[0].reason
    assert not list((config.root_path / "store").rglob("a"))
