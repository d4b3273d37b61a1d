"""Judges vectors on a labelled catalogue: linear probes per label, same-scene neighbours, chance and intervals.

`python -m benchmarks.context_judge --titles 300 [--fresh 400 200] [--json]` prints the rows that need no model. A
model's row comes from `Judge.row(name, function)`, where the function gives a `SceneTitle`'s vectors, float32 [N, W].

Titles of the manifest's train and validation splits fit the probes, those of its test split judge. Where the test split
has too few, titles are judged in folds by group: titles that the judged model trained on are then among them. `fresh`
fits and judges on titles beyond the catalogue instead, the same ones whatever its size: 30 titles hold too few scenes
to fit a probe on, whatever the vectors are worth.

Score: macro average precision over the classes of one-vs-rest ridge probes (see `context_ridge`). Intervals: bootstrap
over the groups of judged titles, by `mediafm.probes.intervals`, the same draws for every row.
Legend: N shots of a title, W width, K classes, B draws, G groups.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import click
import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.context_baselines import VectorFunction, Vectors, baselines, unit_rows
from benchmarks.context_ridge import both_sides, one_hot, ridge_scores
from benchmarks.context_table import NEIGHBOURS, JudgedRow, JudgedTable, Score
from mediafm.config import TrainingSettings
from mediafm.data.manifest import ManifestTitle, TrainingManifest, build_manifest
from mediafm.data.scenes import LABELS, SceneCatalog, SceneTitle
from mediafm.data.scenes_settings import SceneSettings
from mediafm.data.split import Split
from mediafm.errors import MediaFMError
from mediafm.probes.folds import group_folds
from mediafm.probes.intervals import draw_weights, interval
from mediafm.probes.ranking import average_precision, drawn_average_precision, nan_mean
from mediafm.probes.vectors import Flags, Floats, Indexes

CONTEXT_TASKS = ("scene_type", "character_role")
"""Tasks whose answer lies in the context; what a smoothed row is chosen by."""
FIRST_FRESH = 1_000_000
"""Number of the first fresh title, or the first after it that begins a series."""
_TIE = 1e-6
"""Cosines that differ by less, in float32, do not differ."""


@dataclass(frozen=True, kw_only=True)
class JudgeSettings:
    """How titles are judged.

    max_fit_shots, max_tested_shots: beyond them, whole titles are left out, evenly.
    min_tested_titles: with fewer test titles in the manifest, titles are judged in `num_folds` folds.
    num_inner_folds: by group among the fitting titles, for the choice of a penalty.
    num_bootstrap: B. seed: of folds and draws.
    """

    max_fit_shots: int = 20_000
    max_tested_shots: int = 10_000
    min_tested_titles: int = 10
    num_folds: int = 5
    num_inner_folds: int = 3
    num_bootstrap: int = 200
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Division:
    """name: in words. folds: titles that fit, and titles that are judged; no title is judged twice."""

    name: str
    folds: tuple[tuple[tuple[ManifestTitle, ...], tuple[ManifestTitle, ...]], ...]


def divide(manifest: TrainingManifest, settings: JudgeSettings) -> Division:
    """By the manifest's split, or in folds where that leaves too few titles to judge."""
    titles = [(planned.title, planned.group_id) for planned in manifest.titles]
    tested = [planned.title for planned, _ in manifest.parts(Split.TEST)]
    if not manifest.is_within_title and len(tested) >= settings.min_tested_titles:
        protected = {title.title_id for title in tested}
        fit = [title for title, _ in titles if title.title_id not in protected]
        capped = (tuple(_capped(fit, settings.max_fit_shots)), tuple(_capped(tested, settings.max_tested_shots)))
        return Division("manifest's split", (capped,))
    fold_of = group_folds([group for _, group in titles], settings.num_folds, np.random.default_rng(settings.seed))
    folds = []
    for fold in range(int(fold_of.max()) + 1):
        fit = [title for (title, _), number in zip(titles, fold_of, strict=True) if number != fold]
        held = [title for (title, _), number in zip(titles, fold_of, strict=True) if number == fold]
        cap = settings.max_tested_shots // settings.num_folds
        folds.append((tuple(_capped(fit, settings.max_fit_shots)), tuple(_capped(held, cap))))
    return Division(f"{len(folds)} folds by group", tuple(folds))


def fresh(catalog: SceneCatalog, num_fit: int, num_tested: int) -> Division:
    """Titles of the catalogue's world that no catalogue holds, so no model has seen them; series are not divided."""
    per_series = catalog.settings.titles_per_series
    begin = -(-FIRST_FRESH // per_series) * per_series
    middle = begin + -(-num_fit // per_series) * per_series
    fit = tuple(catalog.manifest_title(number) for number in range(begin, middle))
    tested = tuple(catalog.manifest_title(number) for number in range(middle, middle + num_tested))
    return Division("fresh titles", ((fit, tested),))


@dataclass(frozen=True, eq=False)
class Judge:
    """One division of one catalogue, ready for any number of rows; all rows share titles, folds and draws."""

    catalog: SceneCatalog
    division: Division
    settings: JudgeSettings

    @classmethod
    def of(
        cls, catalog: SceneCatalog, manifest: TrainingManifest | None = None, settings: JudgeSettings | None = None
    ) -> Judge:
        """A judge by the split of `manifest`, made with default training settings if none is given."""
        settings = settings or JudgeSettings()
        if manifest is None:
            manifest = build_manifest(catalog.titles, catalog.space.as_json(), TrainingSettings())
        return cls(catalog, divide(manifest, settings), settings)

    @cached_property
    def titles(self) -> Mapping[str, SceneTitle]:
        """Every title that fits or is judged, drawn once."""
        wanted = {title.title_id: title for fit, tested in self.division.folds for title in (*fit, *tested)}
        return {title_id: self.catalog.draw(title) for title_id, title in wanted.items()}

    @cached_property
    def tested(self) -> tuple[SceneTitle, ...]:
        return tuple(self.titles[title.title_id] for _, tested in self.division.folds for title in tested)

    @cached_property
    def _group_of_title(self) -> Indexes:
        _, number = np.unique([each.title.group_id for each in self.tested], return_inverse=True)
        return np.asarray(number, np.int64)

    @cached_property
    def _draws(self) -> Floats:
        """[B, G]: how often each group of judged titles is drawn."""
        num_groups = int(self._group_of_title.max()) + 1
        drawn = draw_weights(num_groups, self.settings.num_bootstrap, np.random.default_rng(self.settings.seed))
        return drawn.astype(np.float64)

    def row(self, name: str, function: VectorFunction) -> JudgedRow:
        """The scores of what `function` makes of titles.

        Raises:
            MediaFMError: it gives another number of rows than a title has shots, or a number that is not finite.
        """
        began = time.perf_counter()
        vectors = {title_id: _checked(title_id, function(each), each) for title_id, each in self.titles.items()}
        made = time.perf_counter()
        # Matrices are small: on a busy machine, threads that wait for each other cost more than they save.
        with threadpool_limits(limits=1, user_api="blas"):
            scores = {
                task: score for tasks in self._tasks_together for task, score in self._probe(tasks, vectors).items()
            }
            ordered = {task: scores[task] for task in LABELS} | {NEIGHBOURS: self._neighbours(vectors)}
        return JudgedRow(
            name=name,
            width=next(iter(vectors.values())).shape[1],
            scores=ordered,
            vector_seconds=made - began,
            judge_seconds=time.perf_counter() - made,
        )

    def table(self, functions: Mapping[str, VectorFunction]) -> JudgedTable:
        """A row for each function."""
        return self.table_of([self.row(name, function) for name, function in functions.items()])

    def table_of(self, rows: Iterable[JudgedRow]) -> JudgedTable:
        """Rows that this judge made, as a table."""
        fit = {title.title_id: title.num_shots for titles, _ in self.division.folds for title in titles}
        return JudgedTable(
            rows=tuple(rows),
            division=self.division.name,
            num_fit_titles=len(fit),
            num_fit_shots=sum(fit.values()),
            num_tested_titles=len(self.tested),
            num_tested_shots=sum(each.sequence.num_shots for each in self.tested),
        )

    @cached_property
    def _tasks_together(self) -> list[list[str]]:
        """Tasks with labels on the same shots share one fit."""
        found: dict[bytes, list[str]] = {}
        for task in LABELS:
            labelled = np.concatenate([each.labels[task] for each in self.titles.values()]) >= 0
            found.setdefault(labelled.tobytes(), []).append(task)
        return list(found.values())

    @cached_property
    def _num_classes(self) -> Mapping[str, int]:
        return {task: 1 + max(int(each.labels[task].max()) for each in self.titles.values()) for task in LABELS}

    def _probe(self, tasks: list[str], vectors: Mapping[str, Vectors]) -> dict[str, Score]:
        """Scores of tasks that are labelled on the same shots."""
        widths = [one_hot(np.zeros(1, np.int64), self._num_classes[task]).shape[1] for task in tasks]
        ends = np.cumsum(widths)
        tested, truth, on_fit = [], [], []
        for number, (fit_titles, tested_titles) in enumerate(self.division.folds):
            fit_rows, fit_target, fit_groups = self._stacked(fit_titles, tasks, vectors)
            rows, target, _ = self._stacked(tested_titles, tasks, vectors)
            rng = np.random.default_rng((self.settings.seed, number))
            inner = group_folds(fit_groups, self.settings.num_inner_folds, rng)
            found = ridge_scores(fit_rows, fit_target, inner, rows)
            tested.append(found.tested)
            truth.append(target > 0.5)
            on_fit.append(_precisions(fit_target > 0.5, found.inner))
        scores, is_positive, fit_K = np.concatenate(tested), np.concatenate(truth), nan_mean(np.array(on_fit), 0)
        weights_BC = self._draws[:, self._group_of_shot(tasks[0])]
        spans = [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]
        return {
            task: self._score(is_positive[:, span], scores[:, span], weights_BC, float(nan_mean(fit_K[span], 0)))
            for task, span in zip(tasks, spans, strict=True)
        }

    def _stacked(
        self, titles: Sequence[ManifestTitle], tasks: list[str], vectors: Mapping[str, Vectors]
    ) -> tuple[Vectors, Floats, list[str]]:
        """Labelled shots of titles: rows, one-hot targets of all tasks beside each other, groups."""
        rows, targets, groups = [], [], []
        for title in titles:
            labels = self.titles[title.title_id].labels
            is_labelled = labels[tasks[0]] >= 0
            rows.append(vectors[title.title_id][is_labelled])
            hot = [one_hot(labels[task][is_labelled], self._num_classes[task]) for task in tasks]
            targets.append(np.concatenate(hot, axis=1))
            groups += [title.group_id] * int(is_labelled.sum())
        return np.concatenate(rows), np.concatenate(targets), groups

    def _group_of_shot(self, task: str) -> Indexes:
        """Of the tested shots that are labelled, in the order in which they are stacked."""
        counts = [int((each.labels[task] >= 0).sum()) for each in self.tested]
        return np.repeat(self._group_of_title, counts)

    def _score(self, is_positive_CK: Flags, scores_CK: Floats, weights_BC: Floats, on_fit: float) -> Score:
        usable = np.flatnonzero(both_sides(is_positive_CK))
        drawn = np.array([drawn_average_precision(is_positive_CK[:, k], scores_CK[:, k], weights_BC) for k in usable])
        replicates = nan_mean(drawn, 0)
        value = float(nan_mean(_precisions(is_positive_CK, scores_CK), 0))
        num_groups = self._draws.shape[1]
        return Score(
            measured=interval(value, replicates, num_groups, 0.0, 1.0),
            chance=float(is_positive_CK[:, usable].mean()),
            on_fit=on_fit,
            replicates=replicates,
            num_groups=num_groups,
        )

    def _neighbours(self, vectors: Mapping[str, Vectors]) -> Score:
        """Mean over judged titles of the share of shots whose nearest neighbour is of their true scene."""
        shares = [neighbour_share(vectors[each.title.title_id], each.script.scene) for each in self.tested]
        share_T, chance_T = np.array(shares).T
        weights_BT = self._draws[:, self._group_of_title]
        replicates = weights_BT @ share_T / weights_BT.sum(axis=1)
        num_groups = self._draws.shape[1]
        return Score(
            measured=interval(float(share_T.mean()), replicates, num_groups, 0.0, 1.0),
            chance=float(chance_T.mean()),
            on_fit=None,
            replicates=replicates,
            num_groups=num_groups,
        )


def neighbour_share(vectors_NW: Vectors, scene_N: Indexes) -> tuple[float, float]:
    """The share of shots whose nearest neighbour by cosine is of their scene, and that of a random neighbour.

    Adjacent shots are left out; of several equally near the share counts, as in `mediafm.train.layers`.
    """
    apart = np.abs(np.arange(len(scene_N))[:, None] - np.arange(len(scene_N)))
    unit = unit_rows(vectors_NW)
    similarity = np.where(apart <= 1, -np.inf, unit @ unit.T)
    is_nearest = similarity >= similarity.max(axis=1, keepdims=True) - _TIE
    is_same = (scene_N[:, None] == scene_N) & (apart > 1)
    share = (is_nearest & is_same).sum(axis=1) / is_nearest.sum(axis=1)
    return float(share.mean()), float((is_same.sum(axis=1) / (apart > 1).sum(axis=1)).mean())


def best_smoothing(table: JudgedTable) -> JudgedRow:
    """The smoothed row that does best inside the fitting titles, over the tasks of context."""
    smoothed = [row for row in table.rows if row.name.startswith("fused ++ mean of +-")]
    return max(smoothed, key=lambda row: row.on_fit(CONTEXT_TASKS))


def _precisions(is_positive_CK: Flags, scores_CK: Floats) -> Floats:
    """[K]; NaN for a class without positives or negatives."""
    return np.array([average_precision(is_positive_CK[:, k], scores_CK[:, k]) for k in range(scores_CK.shape[1])])


def _capped(titles: Sequence[ManifestTitle], max_shots: int) -> list[ManifestTitle]:
    """As many titles as hold about that many shots, at even distances; at least one."""
    total = sum(title.num_shots for title in titles)
    keep = len(titles) if total <= max_shots else max(1, len(titles) * max_shots // total)
    return [titles[number * len(titles) // keep] for number in range(keep)]


def _checked(title_id: str, vectors: Vectors, title: SceneTitle) -> Vectors:
    if vectors.ndim != 2 or len(vectors) != title.sequence.num_shots or not np.isfinite(vectors).all():
        raise MediaFMError(
            f"vectors {vectors.shape}, finite: {bool(np.isfinite(vectors).all())}",
            rule=f"a vector function gives finite vectors [{title.sequence.num_shots}, W]",
            where=f"title {title_id}",
        )
    return np.asarray(vectors, np.float32)


@click.command()
@click.option("--titles", "num_titles", type=click.IntRange(min=5), default=300, show_default=True)
@click.option("--fresh", "num_fresh", type=int, nargs=2, help="Fit and judge on so many titles beyond the catalogue.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "is_json", is_flag=True, help="One JSON object.")
def main(num_titles: int, num_fresh: tuple[int, int] | None, seed: int, is_json: bool) -> None:
    """Judge the rows that need no model."""
    catalog = SceneCatalog(SceneSettings(num_titles=num_titles, seed=seed))
    judge = Judge(catalog, fresh(catalog, *num_fresh), JudgeSettings()) if num_fresh else Judge.of(catalog)
    table = judge.table(baselines())
    click.echo(json.dumps(table.as_json()) if is_json else table.as_text())
    if not is_json:
        click.echo(f"smoothing chosen on the titles that fit: {best_smoothing(table).name}")


if __name__ == "__main__":
    main()
