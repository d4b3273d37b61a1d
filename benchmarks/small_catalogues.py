"""Small catalogues: are exported vectors ever worse than the fused ones they are made of? And what is the skill?

`python -m benchmarks small [--catalog FOLDER]`. A few dozen titles are few for a masked-shot model: a plain one
over-fits, and its vectors are worth less than what it read. Measured, with three seeds each, the default way to train
and the plain one (published form, random first weights, everything trained):

- 30 titles of scenes, judged by probes on titles that no catalogue holds;
- every NPZ in FOLDER, split by title. Label-free: whether a shot's nearest neighbour lies near it in time, on titles
  that trained nothing, and what read-outs of the table by layer tell. Where the file has `scores` of titles: how well
  ridge regressions on title vectors tell them, in folds by title. Labels of shots are not looked at: those of the one
  file at hand, CMU-MOSI, were seen by the networks that made its vectors, so a probe on it would prove nothing.

The goal of the default is a ratio of 1 to the fused vectors; a difference whose interval holds zero does not deny it.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks import small_measures
from benchmarks.context_baselines import VectorFunction, Vectors, baselines
from benchmarks.context_judge import CONTEXT_TASKS, Judge, JudgeSettings, best_smoothing, fresh
from benchmarks.context_table import NEIGHBOURS
from benchmarks.row import Row
from benchmarks.small_features import FeatureCatalog, read_features
from mediafm.config import TrainingSettings
from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import ManifestTitle, TrainingManifest, build_manifest
from mediafm.data.scenes import SceneCatalog
from mediafm.data.scenes_settings import SceneSettings
from mediafm.data.sequences import TitleSequence
from mediafm.data.split import Split
from mediafm.embedder import Embedder
from mediafm.fusion import Space
from mediafm.train.config import resolve
from mediafm.train.loop import TrainResult, train

NUM_SCENE_TITLES = 30
FRESH = (400, 200)
"""Titles that fit the probes, and titles that judge."""
SEEDS = (0, 1, 2)
MAX_SECONDS = 300.0
"""Of one training; the row of skill says what each ended by."""
GOAL = 1.0
SMOOTHED = "fused ++ mean of +-"


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a model is trained: fields of `TrainingSettings` and of `TrainConfig` that differ from the defaults."""

    name: str
    training: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    goal: float | None = None


DEFAULT = Way(name="default", goal=GOAL)
PLAIN = Way(
    name="plain",
    training={"preset": "published_shallow", "objective": "msm"},
    changes={"first_weights": "random", "is_first_block_held": False},
)
WAYS = (DEFAULT, PLAIN)


class Catalog(Protocol):
    """Titles to train on."""

    @property
    def titles(self) -> tuple[ManifestTitle, ...]: ...

    @property
    def space(self) -> Space: ...

    def load(self, title: ManifestTitle) -> TitleSequence: ...


def rows(catalog: Path | None = None) -> list[Row]:
    """Exported vectors against fused ones, and skill; `catalog` is a folder of NPZ files with vectors."""
    found = [row for way in WAYS for row in scene_rows(way)]
    for path in sorted(catalog.glob("*.npz")) if catalog is not None and catalog.is_dir() else ():
        features = read_features(path)
        found += [row for way in WAYS for row in feature_rows(features, way)]
    return found


def trained(catalog: Catalog, way: Way, seeds: Sequence[int] = SEEDS) -> tuple[TrainingManifest, list[TrainResult]]:
    """A run for each seed, on one manifest."""
    manifest = build_manifest(catalog.titles, catalog.space.as_json(), TrainingSettings())
    results = []
    with tempfile.TemporaryDirectory(prefix="mediafm-bench-") as folder:
        corpus = open_corpus(manifest, catalog.load, Path(folder))
        for seed in seeds:
            settings = TrainingSettings(**{"max_seconds": MAX_SECONDS, **way.training, "seed": seed})
            results.append(train(manifest, corpus, replace(resolve(settings, manifest, corpus), **way.changes)))
    return manifest, results


def scene_rows(way: Way, num_titles: int = NUM_SCENE_TITLES, num_fresh: tuple[int, int] = FRESH) -> list[Row]:
    """Scenes, where context carries the answer and labels are known."""
    catalog = SceneCatalog(SceneSettings(num_titles=num_titles))
    _, results = trained(catalog, way)
    judge = Judge(catalog, fresh(catalog, *num_fresh), JudgeSettings())
    without_model = judge.table({name: baselines()[name] for name in baselines() if _is_rival(name)})
    exported = [judge.row(f"seed {seed}", _exported(result)) for seed, result in zip(SEEDS, results, strict=True)]
    what = f"{num_titles} scene titles, {way.name}"
    found = []
    for task, unit in (*((task, "average precision") for task in CONTEXT_TASKS), (NEIGHBOURS, "share")):
        for rival in (without_model.row("fused"), best_smoothing(without_model)):
            compared = small_measures.judged(exported, rival, task)
            found.append(compared.as_row(f"{what}, {task}", unit, rival.name, _goal(way, rival.name)))
    return [*found, *_layer_rows(what, results), _skill_row(what, results)]


def feature_rows(catalog: FeatureCatalog, way: Way) -> list[Row]:
    """One file's titles."""
    manifest, results = trained(catalog, way)
    what = f"{catalog.name}, {len(catalog.titles)} titles, {way.name}"
    unseen = [
        planned.title.title_id for split in (Split.VALIDATION, Split.TEST) for planned, _ in manifest.parts(split)
    ]
    embedders = [Embedder(result.checkpoint) for result in results]
    shots = [{name: one.embed(catalog.sequences[name]).shots for name in unseen} for one in embedders]
    fused = {name: np.asarray(catalog.sequences[name].fused, np.float32) for name in unseen}
    compared = small_measures.neighbours(shots, fused)
    found = [compared.as_row(f"{what}, near neighbour", "share", "fused", _goal(way, "fused"))]
    if catalog.traits:
        names = list(catalog.traits)
        titles = [np.stack([one.embed(catalog.sequences[name]).title for name in names]) for one in embedders]
        means = np.stack([title_mean(catalog.sequences[name]) for name in names])
        told = small_measures.traits(titles, means, np.stack([catalog.traits[name] for name in names]))
        found.append(told.as_row(f"{what}, traits of titles", "correlation", "fused", _goal(way, "fused")))
    return [*found, *_layer_rows(what, results), _skill_row(what, results)]


def title_mean(sequence: TitleSequence) -> Vectors:
    """A title's vector made of fused ones as `mediafm.embedder` makes it of contextual ones, float32 [E]."""
    mean = np.asarray(sequence.fused, np.float32).mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def _exported(result: TrainResult) -> VectorFunction:
    embedder = Embedder(result.checkpoint)
    return lambda title: embedder.embed(title.sequence).shots


def _is_rival(name: str) -> bool:
    return name == "fused" or name.startswith(SMOOTHED)


def _goal(way: Way, rival: str) -> float | None:
    return way.goal if rival == "fused" else None


def _layer_rows(what: str, results: Sequence[TrainResult]) -> list[Row]:
    """What read-outs tell from exported and from fused vectors, on validation titles; means over seeds."""
    found = []
    for key, told in (("own_skill", "telling itself"), ("hidden_neighbour_skill", "telling a hidden neighbour")):
        ours, fused = zip(*(_layer_values(result.report, key) for result in results), strict=True)
        if None in ours or None in fused:
            continue
        blocks = " ".join(str(list(result.checkpoint.export_layers)) for result in results)
        found.append(
            Row(
                name=f"small: {what}, {told} (difference {_mean(ours) - _mean(fused):+.3f}; exports {blocks})",
                value=_mean(ours),
                unit="skill",
                rival="fused",
                rival_value=_mean(fused),
                better="higher",
            )
        )
    return found


def _layer_values(report: Mapping[str, Any], key: str) -> tuple[float | None, float | None]:
    table = report["layers"]
    chosen = next(row for row in table["rows"] if list(row["export_layers"]) == list(table["export_layers"]))
    fused = next(row for row in table["rows"] if row["name"] == "fused")
    return chosen[key], fused[key]


def _skill_row(what: str, results: Sequence[TrainResult]) -> Row:
    """Skill on test titles by the model's own head; the interval of each seed is over titles."""
    skills: list[Any] = [result.report["skill"]["random"] for result in results]  # type: ignore[index, call-overload]
    runs: list[Any] = [result.report["run"] for result in results]
    told = ", ".join(
        f"{one['skill']:+.3f} {_ends(one['interval'])} by {run['stop_reason']}"
        for one, run in zip(skills, runs, strict=True)
    )
    return Row(
        name=f"small: {what}, skill (seeds {told})",
        value=_mean([one["skill"] for one in skills]),
        unit="skill",
        goal=0.0,
        better="higher",
    )


def _ends(ends: Sequence[float] | None) -> str:
    return "without interval" if ends is None else f"[{ends[0]:+.3f} {ends[1]:+.3f}]"


def _mean(values: Sequence[Any]) -> float:
    return statistics.mean(float(value) for value in values)
