"""Exports: what stands in each format, what is refused, and the way back in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.cli.main import library
from mediafm.config import Config
from mediafm.data.import_files import open_import
from mediafm.errors import ConfigError, IntegrityError, NotFoundError, StoreError
from mediafm.fusion import Space
from mediafm.steps.exports import EXPORT_KEY, export_vectors
from mediafm.steps.fused import FusedStep
from mediafm.steps.import_profile import write_profile
from mediafm.steps.imports import ImportReport, import_file
from mediafm.steps.runner import run_step
from mediafm.steps.workspace import Workspace
from mediafm.store.views import newest_rows
from mediafm.types import Modality

COLUMNS = [
    *("title_id", "shot_index", "start_seconds", "end_seconds", "is_present", "vector", "group_id"),
    *("fingerprint", "producer_id", "checkpoint_sha256", "object_sha256"),
]


def vectors_of(seed: int, num_rows: int = 5) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(num_rows, 4)).astype(np.float32)
    found[1] = 0.0
    return found


def root_of(
    folder: Path, name: str, file: Path, asked: dict[Modality, str] | None = None
) -> tuple[Config, ImportReport]:
    """A root with everything of a file in it."""
    opened = open_import(file, asked or {})
    profile = folder / f"{name}.toml"
    write_profile(profile, opened, "made elsewhere")
    config = Config.model_validate({"root": str(folder / name), "profile": str(profile)})
    with Workspace.open(config) as workspace:
        return config, import_file(workspace, opened)


def write(folder: Path, **arrays: Any) -> Path:
    path = folder / "feats.npz"
    plain = {
        "title_id": np.array(["a", "a", "a", "b", "b"]),
        "start_seconds": np.array([0.0, 1.0, 2.5, np.nan, np.nan]),
        "end_seconds": np.array([1.0, 2.5, 3.0, np.nan, np.nan]),
        "video": vectors_of(0),
        "audio": vectors_of(1),
        "text": vectors_of(2),
    }
    np.savez(path, **{**plain, **arrays})
    return path


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return root_of(tmp_path, "first", write(tmp_path))[0]


def test_parquet_has_a_row_a_shot_with_its_lineage(config: Config, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    report = export_vectors(config, out, "video_embeddings", dtype="float32")
    assert (report.num_titles, report.num_rows, report.num_present) == (2, 5, 4)
    table = pq.read_table(out)
    assert table.column_names == COLUMNS
    rows = table.to_pylist()
    assert [(row["title_id"], row["shot_index"], row["is_present"]) for row in rows] == [
        ("a", 0, True),
        ("a", 1, False),
        ("a", 2, True),
        ("b", 0, True),
        ("b", 1, True),
    ]
    assert (rows[1]["vector"], rows[1]["end_seconds"], rows[3]["start_seconds"]) == (None, 2.5, None)
    with Workspace.open(config) as workspace:
        (record,) = newest_rows(workspace.store, "video_embeddings", ["a"])
    told = (rows[0]["fingerprint"], rows[0]["producer_id"], rows[0]["object_sha256"])
    assert told == (record.fingerprint, record.producer_id, record.sha256)
    about = json.loads(pq.read_metadata(out).metadata[EXPORT_KEY])
    assert about["table"] == "video_embeddings"
    assert about["encoders"][0]["settings"] == {"feature_set": "made elsewhere"}


def test_all_formats_say_the_same(config: Config, tmp_path: Path) -> None:
    for ending in ("parquet", "arrow", "npz"):
        export_vectors(config, tmp_path / f"out.{ending}", "audio_embeddings", file_format=ending)
    expected = pq.read_table(tmp_path / "out.parquet").to_pylist()
    with pa.OSFile(str(tmp_path / "out.arrow")) as file:
        arrow = pa.ipc.open_file(file).read_all()
    assert arrow.to_pylist() == expected
    assert json.loads(arrow.schema.metadata[EXPORT_KEY])["table"] == "audio_embeddings"
    with np.load(tmp_path / "out.npz", allow_pickle=False) as archive:
        assert archive["vector"].dtype == np.float16
        assert archive["title_id"].tolist() == [row["title_id"] for row in expected]
        assert archive["is_present"].tolist() == [row["is_present"] for row in expected]
        assert np.isnan(archive["start_seconds"]).tolist() == [False] * 3 + [True] * 2
        assert json.loads(str(archive[EXPORT_KEY.decode()]))["num_titles"] == 2


def test_fused_vectors_name_their_space(config: Config, tmp_path: Path) -> None:
    with Workspace.open(config) as workspace:
        run_step(workspace, FusedStep(workspace), workspace.all_titles())
        space_id = workspace.space.space_id
    export_vectors(config, tmp_path / "fused.parquet", "fused_embeddings")
    about = json.loads(pq.read_metadata(tmp_path / "fused.parquet").metadata[EXPORT_KEY])
    assert about["space_id"] == space_id == Space.from_json(about["space"]).space_id
    table = pq.read_table(tmp_path / "fused.parquet")
    assert table.column("has_text").to_pylist() == [True, False, True, True, True]


def test_tables_of_one_row_a_title_have_no_shots(config: Config, tmp_path: Path) -> None:
    export_vectors(config, tmp_path / "meta.parquet", "metadata_embeddings")
    table = pq.read_table(tmp_path / "meta.parquet")
    assert "shot_index" not in table.column_names
    assert table.column("title_id").to_pylist() == ["a", "b"]


def test_only_some_titles(config: Config, tmp_path: Path) -> None:
    assert export_vectors(config, tmp_path / "b.parquet", "video_embeddings", title_ids=["b"]).num_rows == 2
    with pytest.raises(NotFoundError, match="no current video_embeddings of nobody"):
        export_vectors(config, tmp_path / "n.parquet", "video_embeddings", title_ids=["b", "nobody"])


def test_no_file_is_overwritten_unasked(config: Config, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    out.write_text("mine")
    with pytest.raises(ConfigError, match="no file is overwritten unasked"):
        export_vectors(config, out, "video_embeddings")
    assert out.read_text() == "mine"
    export_vectors(config, out, "video_embeddings", is_forced=True)
    assert pq.read_table(out).num_rows == 5


def test_what_goes_wrong_leaves_nothing(config: Config, tmp_path: Path) -> None:
    folder = tmp_path / "outs"
    folder.mkdir()
    with Workspace.open(config) as workspace:
        (record,) = newest_rows(workspace.store, "video_embeddings", ["b"])
    damaged = Path(config.root) / record.object_key
    damaged.chmod(0o600)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    with pytest.raises(IntegrityError, match="the ledger says"):
        export_vectors(config, folder / "out.parquet", "video_embeddings")
    assert list(folder.iterdir()) == []
    with pytest.raises(ConfigError, match="there is no folder"):
        export_vectors(config, folder / "none" / "out.parquet", "video_embeddings")
    found = CliRunner().invoke(library, ["export", str(folder / "out.csv")])
    assert (found.exit_code, (folder / "out.csv").exists()) == (2, False)
    assert "OUT ends in .csv: it ends in .parquet, .npz, .arrow, or --format says what it is" in found.output
    with pytest.raises(ConfigError, match="'csv'; an export knows parquet, npz, arrow"):
        export_vectors(config, folder / "out.csv", "video_embeddings", file_format="csv")
    with pytest.raises(NotFoundError, match="no current contextual_embeddings of any title"):
        export_vectors(config, folder / "out.parquet", "contextual_embeddings")


def test_what_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    config, _ = root_of(tmp_path, "large", write(tmp_path, video=vectors_of(0) * 1e6))
    with pytest.raises(StoreError, match="not finite as float16"):
        export_vectors(config, tmp_path / "out.parquet", "video_embeddings")
    assert export_vectors(config, tmp_path / "out.parquet", "video_embeddings", dtype="float32").num_rows == 5


@pytest.mark.parametrize("ending", ["parquet", "npz"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_what_was_exported_can_be_imported_elsewhere(config: Config, tmp_path: Path, ending: str, dtype: str) -> None:
    first = tmp_path / f"one.{ending}"
    export_vectors(config, first, "video_embeddings", file_format=ending, dtype=dtype)
    other, report = root_of(tmp_path, "other", first, {Modality.VIDEO: ""})
    assert (report.num_shots, report.num_present, report.refused) == (5, {"video": 4}, [])
    second = tmp_path / f"two.{ending}"
    export_vectors(other, second, "video_embeddings", file_format=ending, dtype=dtype)
    told = [open_import(each, {Modality.VIDEO: ""}).titles() for each in (first, second)]
    for ours, theirs in zip(*told, strict=True):
        np.testing.assert_array_equal(ours.vectors[Modality.VIDEO], theirs.vectors[Modality.VIDEO])  # type: ignore[union-attr]
        np.testing.assert_array_equal(ours.start_seconds, theirs.start_seconds)  # type: ignore[union-attr]


def test_what_was_exported_and_comes_back_is_the_same_content(config: Config, tmp_path: Path) -> None:
    out = tmp_path / "back.parquet"
    export_vectors(config, out, "video_embeddings")
    with Workspace.open(config) as workspace:
        report = import_file(workspace, open_import(out, {Modality.VIDEO: ""}))
    assert (report.made, report.unchanged, report.notes) == ([], ["a", "b"], [])


def test_series_and_capitals_survive_the_way_round(tmp_path: Path) -> None:
    names, series = np.array(["A", "A", "A", "b", "b"]), np.array(["", "", "", "My Series", ""])
    config, _ = root_of(tmp_path, "grouped", write(tmp_path, title_id=names, group_id=series))
    out = tmp_path / "back.parquet"
    export_vectors(config, out, "video_embeddings")
    assert pq.read_table(out).column("group_id").to_pylist() == ["A"] * 3 + ["my series"] * 2
    with Workspace.open(config) as workspace:
        report = import_file(workspace, open_import(out, {Modality.VIDEO: ""}))
        assert [title.group_id for title in workspace.all_titles()] == ["A", "my series"]
    assert (report.made, report.unchanged) == ([], ["A", "b"])


@settings(max_examples=8, deadline=None)
@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3), absent=st.sets(st.integers(0, 11)))
def test_order_and_presence_survive_the_way_round(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], absent: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("round")
    names = np.repeat([f"t{number}" for number in range(len(lengths))], lengths)
    vectors = np.arange(1, len(names) * 4 + 1, dtype=np.float32).reshape(-1, 4)
    gone = np.isin(np.arange(len(names)), list(absent))
    vectors[gone] = 0.0
    np.savez(folder / "in.npz", title_id=names, video=vectors)
    config, _ = root_of(folder, "root", folder / "in.npz")
    export_vectors(config, folder / "out.parquet", "video_embeddings")
    rows = pq.read_table(folder / "out.parquet").to_pylist()
    assert [row["title_id"] for row in rows] == names.tolist()
    assert [row["is_present"] for row in rows] == (~gone).tolist()
    assert [row["vector"] for row in rows if row["is_present"]] == vectors[~gone].tolist()
