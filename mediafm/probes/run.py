"""Every task of the labels on every feature set, in one pass over each feature set's titles."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias

from mediafm.catalog.title import Problem
from mediafm.config import ProbeSettings
from mediafm.probes.clips import clip_vectors, find_clips
from mediafm.probes.design import TaskDesign, design_task
from mediafm.probes.intervals import CONFIDENCE, interval
from mediafm.probes.labels import Labels
from mediafm.probes.measure import FeatureResult, Measured, difference, measure
from mediafm.probes.report import ProbeDifference, ProbeReport, ProbeRow
from mediafm.probes.vectors import TitleShots, TitleVectors

FeatureSource: TypeAlias = Callable[[], Iterable[TitleVectors]]
"""Gives a feature set's vectors, title by title; called once."""
Results: TypeAlias = Mapping[str, Sequence[FeatureResult]]
"""Feature set -> the result of each task."""
DEFAULTS = ProbeSettings()


def run_probes(
    labels: Labels,
    titles: Iterable[TitleShots],
    features: Mapping[str, FeatureSource],
    settings: ProbeSettings = DEFAULTS,
    compared: Sequence[tuple[str, str]] = (),
    seen_groups: Mapping[str, Collection[str]] | None = None,
    progress: Callable[[str], None] | None = None,
) -> ProbeReport:
    """Measures every task of `labels` on every feature set.

    Args:
        labels: from `read_labels`.
        titles: the catalogue's shots in time.
        features: name -> source; the order is the report's. Titles are read one at a time.
        settings: folds, draws, seed, and the least number of groups for a class.
        compared: pairs (ours, theirs) of feature names whose differences are wanted.
        seen_groups: for feature sets of a checkpoint, the groups that it was trained on.
        progress: told a sentence before each feature set.
    """
    by_title = {title.title_id: title for title in titles}
    tasks = [find_clips(label_set, by_title) for label_set in labels.sets]
    designs = [design_task(task, settings) for task in tasks]
    possible = [design for design in designs if not design.impossible]
    results: dict[str, list[FeatureResult]] = {}
    for name, source in features.items():
        if progress:
            progress(f"probing {name}")
        vectors = clip_vectors([design.task for design in possible], source())
        with _one_thread():
            results[name] = [measure(design, each) for design, each in zip(possible, vectors, strict=True)]
    return ProbeReport(
        rows=tuple(_rows(possible, results, seen_groups or {})),
        differences=tuple(_differences(possible, results, compared)),
        dropped=(*labels.problems, *(problem for design in designs for problem in design.dropped)),
        not_measured=tuple(Problem(design.task.task, design.impossible) for design in designs if design.impossible),
        labels_sha256=labels.sha256,
    )


def _one_thread() -> AbstractContextManager[object]:
    """Linear algebra in one thread: the matrices are small, and on busy cores threads wait for each other.

    Measured on two busy cores, 1,447 clips by 5 feature sets: 45 s with two threads, 2 s with one.
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def _rows(
    designs: Sequence[TaskDesign], results: Results, seen_groups: Mapping[str, Collection[str]]
) -> Iterator[ProbeRow]:
    for number, design in enumerate(designs):
        for measure_name in design.measures:
            for name, by_task in results.items():
                seen = _share_seen(design, seen_groups.get(name))
                yield _row(design, measure_name, name, by_task[number], len(results), seen)


def _row(
    design: TaskDesign, measure_name: str, name: str, result: FeatureResult, num_compared: int, seen: float | None
) -> ProbeRow:
    measured = result.measured[measure_name]
    return ProbeRow(
        task=design.task.task,
        kind=design.task.kind.value,
        measure=measure_name,
        features=name,
        value=measured.interval.value,
        low=measured.interval.low,
        high=measured.interval.high,
        chance=measured.chance,
        is_above_chance=_is_above_chance(design, measured, num_compared * len(design.measures)),
        num_clips=len(design.task.clips),
        num_groups=design.num_groups,
        num_classes=len(design.classes),
        num_folds=design.num_folds,
        num_absent_clips=result.num_absent_clips,
        num_unconverged=result.num_unconverged,
        strengths=result.chosen,
        seen_by_checkpoint=seen,
    )


def _is_above_chance(design: TaskDesign, measured: Measured, num_comparisons: int) -> bool:
    """Bonferroni over a task's rows (our choice): a label that is noise should win in none of them."""
    confidence = 1 - (1 - CONFIDENCE) / num_comparisons
    strict = interval(measured.interval.value, measured.replicates, design.num_groups, confidence=confidence)
    return strict.low is not None and strict.low > measured.chance


def _share_seen(design: TaskDesign, seen: Collection[str] | None) -> float | None:
    groups = set(design.task.groups)
    return None if seen is None else len(groups & set(seen)) / len(groups)


def _differences(
    designs: Sequence[TaskDesign], results: Results, compared: Sequence[tuple[str, str]]
) -> Iterator[ProbeDifference]:
    for number, design in enumerate(designs):
        for measure_name in design.measures:
            for ours, theirs in compared:
                found = difference(
                    design, results[ours][number].measured[measure_name], results[theirs][number].measured[measure_name]
                )
                yield ProbeDifference(
                    task=design.task.task,
                    measure=measure_name,
                    features=ours,
                    against=theirs,
                    value=found.value,
                    low=found.low,
                    high=found.high,
                )
