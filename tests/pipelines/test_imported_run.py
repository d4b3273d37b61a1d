"""`mediafm run` over imported vectors: titles without media, titles of media, and the real files of the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mediafm.config import Config
from mediafm.data.import_files import open_import
from mediafm.progress import Silent
from mediafm.steps.exports import export_vectors
from mediafm.steps.import_profile import write_profile
from mediafm.steps.imports import ImportReport, import_file
from mediafm.steps.search import search_shots
from mediafm.steps.summary import title_rows
from mediafm.steps.workspace import Workspace
from mediafm.types import Modality
from mediafm_pipelines.catalog_run import CatalogRun
from mediafm_pipelines.summary import run_summary, summary_text

TRAINING = {"max_steps": 12, "preset": "tiny"}
NUM_TITLES, NUM_SHOTS = 10, 12


def config_of(folder: Path, profile: Path) -> Config:
    settings: dict[str, Any] = {"training": TRAINING, "probes": {"num_bootstrap": 20}, "device": "cpu"}
    return Config.model_validate({"root": str(folder / "root"), "profile": str(profile), **settings})


def take(config: Config, path: Path, asked: dict[Modality, str] | None = None) -> ImportReport:
    with Workspace.open(config) as workspace:
        return import_file(workspace, open_import(path, asked or {}))


def run(config: Config, catalog: Path | None = None) -> tuple[CatalogRun, dict[str, Any]]:
    started = CatalogRun(config, Silent())
    started.execute(str(catalog) if catalog else None)
    return started, run_summary(started)


def brought(folder: Path, file: Path, feature_set: str = "made elsewhere") -> Config:
    """A root that holds a file, under the profile that was written for it."""
    write_profile(folder / "profile.toml", open_import(file, {}), feature_set)
    config = config_of(folder, folder / "profile.toml")
    take(config, file)
    return config


def made_file(folder: Path) -> Path:
    """Scenes of three shots around centres of their own, texts, a label a shot that the vectors tell, and no times."""
    rng = np.random.default_rng(0)
    num_rows = NUM_TITLES * NUM_SHOTS
    centres = np.repeat(rng.normal(size=(num_rows // 3, 6)), 3, axis=0)
    video = (centres + 0.1 * rng.normal(size=centres.shape)).astype(np.float32)
    video[5] = 0.0
    path = folder / "scenes.npz"
    np.savez(
        path,
        title_id=np.repeat([f"Title_{number}" for number in range(NUM_TITLES)], NUM_SHOTS),
        position=np.tile(np.arange(NUM_SHOTS), NUM_TITLES),
        video=video,
        transcript=np.array([f"words of shot {row}" for row in range(num_rows)]),
        label=(centres[:, 0] > 0).astype(np.int64),
    )
    return path


@pytest.mark.slow
def test_titles_without_media_go_through_the_whole_graph(tmp_path: Path) -> None:
    config = brought(tmp_path, made_file(tmp_path))
    _, summary = run(config)
    assert (len(summary["titles"]["ok"]), summary["faults"], summary["waiting"]) == (NUM_TITLES, [], [])
    assert summary["checkpoint"]["sha256"]
    assert "10 titles ok" in summary_text(summary)
    with Workspace.open(config) as workspace:
        coverage = {row["title_id"]: row["coverage"] for row in title_rows(workspace.store)}
    assert coverage["Title_0"] == {"video": pytest.approx(11 / 12), "audio": 0.0, "text": 1.0}
    (first, *_) = search_shots(config, "Title_0", 0, 3, "contextual_embeddings")
    assert (first["start_seconds"], first["end_seconds"]) == (None, None)
    export_vectors(config, tmp_path / "out.parquet", "contextual_embeddings")
    exported = pq.read_table(tmp_path / "out.parquet")
    assert exported.num_rows == NUM_TITLES * NUM_SHOTS
    assert set(exported.column("checkpoint_sha256").to_pylist()) == {summary["checkpoint"]["sha256"]}
    export_vectors(config, tmp_path / "titles.parquet", "title_embeddings")
    assert pq.read_table(tmp_path / "titles.parquet").num_rows == NUM_TITLES

    again, _ = run(config)
    assert again.results == []

    forced = CatalogRun(config, Silent(), is_forced=True)
    forced.execute(None)
    assert run_summary(forced)["faults"] == []
    assert len(run_summary(forced)["titles"]["ok"]) == NUM_TITLES


@pytest.mark.slow
def test_titles_of_media_wait_for_their_vectors_and_go_on(drawn_catalog: Path, tmp_path: Path) -> None:
    profile = tmp_path / "mixed.toml"
    profile.write_text(
        'name = "mixed"\n[detector]\nname = "lite"\n'
        '[video]\nname = "imported"\nsettings = { feature_set = "ours", width = 4 }\n'
        '[audio]\nname = "lite-audio"\n[text]\nname = "lite-text"\n'
    )
    config = config_of(tmp_path, profile)
    _, waiting = run(config, drawn_catalog)
    assert waiting["faults"] == []
    assert all("video_embeddings" in reason for reason in waiting["reasons"].values())
    with Workspace.open(config) as workspace:
        shots = {row["title_id"]: row["shots"] for row in title_rows(workspace.store)}
    names = [title_id for title_id, count in sorted(shots.items()) for _ in range(count)]
    path = tmp_path / "ours.npz"
    vector = np.random.default_rng(0).normal(size=(len(names), 4))
    np.savez(path, title_id=np.array(names), vector=vector)
    report = take(config, path, {Modality.VIDEO: ""})
    assert (sorted(report.matched), report.refused) == (sorted(shots), [])
    _, done = run(config, drawn_catalog)
    assert (sorted(done["titles"]["ok"]), done["faults"]) == (sorted(shots), [])
    assert done["checkpoint"]["sha256"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "num_titles", "num_shots", "task"),
    [("mosi_train", 62, 1447, "mosi_train_label"), ("pom", 40, 800, "pom_score_00")],
)
def test_the_real_files_of_the_project_go_through(
    shared_media: Path, tmp_path: Path, name: str, num_titles: int, num_shots: int, task: str
) -> None:
    """All of MOSI, and the first forty titles of POM: it has 903."""
    file = tmp_path / f"{name}.npz"
    with np.load(shared_media / "features" / file.name, allow_pickle=False) as archive:
        stacked = "title_id" not in archive
        np.savez(file, **{key: archive[key][:num_titles] if stacked else archive[key] for key in archive})
    config = brought(tmp_path, file)
    started, summary = run(config)
    assert (len(summary["titles"]["ok"]), summary["shots"], summary["faults"]) == (num_titles, num_shots, [])
    from mediafm.steps.evaluation import evaluate_candidate

    with Workspace.open(started.config) as workspace:
        evaluation, _ = evaluate_candidate(workspace, summary["checkpoint"]["sha256"])
    assert evaluation.probes is not None
    rows = [row for row in evaluation.probes["rows"] if row["task"] == task and row["pca_width"] is None]
    assert {row["features"] for row in rows} >= {"fused", "contextual", "contextual of the clip alone"}
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
