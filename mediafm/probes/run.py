"""Every task of the labels on every feature set, as one report."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from mediafm.catalog.title import Problem
from mediafm.config import ProbeSettings
from mediafm.errors import NotFoundError
from mediafm.probes.clips import find_clips
from mediafm.probes.compare import Progress, TaskResults, measure_tasks
from mediafm.probes.context_bought import choice_of, context_bought
from mediafm.probes.design import TaskDesign
from mediafm.probes.feature_sets import FeatureSet
from mediafm.probes.intervals import CONFIDENCE, interval
from mediafm.probes.labels import Labels
from mediafm.probes.measure import FeatureResult, Measured
from mediafm.probes.report import ProbeDifference, ProbeReport, ProbeRow
from mediafm.probes.vectors import TitleShots

DEFAULTS = ProbeSettings()


def run_probes(
    labels: Labels,
    titles: Iterable[TitleShots],
    feature_sets: Sequence[FeatureSet],
    settings: ProbeSettings = DEFAULTS,
    compared: Sequence[tuple[str, str]] = (),
    seen_groups: Mapping[str, Collection[str]] | None = None,
    progress: Progress | None = None,
    *,
    subjects: Sequence[str] = (),
    test_groups: Collection[str] | None = None,
    torch_device: str | None = None,
) -> ProbeReport:
    """Measures every task of `labels` on every feature set.

    Args:
        labels: from `read_labels`.
        titles: the catalogue's shots in time.
        feature_sets: in the order of the report.
        settings: folds, draws, seed, the common width, and the least number of groups for a class.
        compared: pairs (ours, theirs) of feature names whose differences are wanted.
        seen_groups: for feature sets of a checkpoint, the groups that it was trained on.
        progress: told a sentence before each feature set.
        subjects: the sets of which is said what context bought: contextual, and joined with what it was made of.
        test_groups: groups that judge while all others train; None for k folds over all groups.
        torch_device: the GPU on which torch fits what is large; None for the processor.

    Raises:
        NotFoundError: `compared` or `subjects` name a set that is not there, or two sets have one name.
    """
    _refuse_names(feature_sets, [*subjects, *(name for pair in compared for name in pair)])
    by_title = {title.title_id: title for title in titles}
    tasks = [find_clips(label_set, by_title, settings) for label_set in labels.sets]
    results = measure_tasks(tasks, feature_sets, settings, test_groups, torch_device, progress)
    return make_report(results, feature_sets, labels, compared, seen_groups or {}, subjects)


def make_report(
    tasks: Sequence[TaskResults],
    feature_sets: Sequence[FeatureSet],
    labels: Labels,
    compared: Sequence[tuple[str, str]],
    seen_groups: Mapping[str, Collection[str]],
    subjects: Sequence[str],
) -> ProbeReport:
    """The report of results that were measured before; arguments as for `run_probes`."""
    designs = [task.design for task in tasks]
    possible = [task for task in tasks if not task.design.impossible]
    return ProbeReport(
        rows=tuple(_rows(possible, feature_sets, seen_groups)),
        context_bought=tuple(context_bought(possible, feature_sets, subjects)),
        differences=tuple(_differences(possible, compared)),
        dropped=(*labels.problems, *(problem for design in designs for problem in design.dropped)),
        not_measured=tuple(Problem(design.task.task, design.impossible) for design in designs if design.impossible),
        labels_sha256=labels.sha256,
    )


def _refuse_names(feature_sets: Sequence[FeatureSet], wanted: Sequence[str]) -> None:
    names = [one.name for one in feature_sets]
    strange = sorted(set(wanted) - set(names)) or sorted({name for name in names if names.count(name) > 1})
    if strange:
        raise NotFoundError(
            f"feature sets {', '.join(strange)}",
            rule=f"what is compared is among the sets, and each is there once: {', '.join(names)}",
            where="probes",
            remedy="Name sets that are measured.",
        )


def _rows(
    tasks: Sequence[TaskResults], feature_sets: Sequence[FeatureSet], seen_groups: Mapping[str, Collection[str]]
) -> Iterator[ProbeRow]:
    for task in tasks:
        widths = list(task.by_width())
        num_rows = len(widths) * len(feature_sets) * len(task.design.measures)
        for _, results in widths:
            for measure_name in task.design.measures:
                for one in feature_sets:
                    seen = _share_seen(task.design, seen_groups.get(one.name))
                    yield _row(task.design, measure_name, one, results[one.name], num_rows, seen)


def _row(
    design: TaskDesign, measure_name: str, one: FeatureSet, result: FeatureResult, num_rows: int, seen: float | None
) -> ProbeRow:
    measured = result.measured[measure_name]
    return ProbeRow(
        task=design.task.task,
        kind=design.task.kind.value,
        measure=measure_name,
        features=one.name,
        is_baseline=one.is_baseline,
        width=result.width,
        pca_width=result.pca_width,
        choice=choice_of(one, result),
        value=measured.interval.value,
        low=measured.interval.low,
        high=measured.interval.high,
        chance=measured.chance,
        is_above_chance=_is_above_chance(design, measured, num_rows),
        num_clips=len(design.task.clips),
        num_groups=design.num_groups,
        num_classes=len(design.classes),
        num_folds=design.num_folds,
        num_absent_clips=result.num_absent_clips,
        num_unconverged=result.num_unconverged,
        strengths=result.strengths,
        seen_by_checkpoint=seen,
    )


def _is_above_chance(design: TaskDesign, measured: Measured, num_rows: int) -> bool:
    """Bonferroni over a task's rows (our choice): a label that is noise should win in none of them."""
    confidence = 1 - (1 - CONFIDENCE) / num_rows
    strict = interval(measured.interval.value, measured.replicates, design.num_groups, confidence=confidence)
    return strict.low is not None and strict.low > measured.chance


def _share_seen(design: TaskDesign, seen: Collection[str] | None) -> float | None:
    judged = {clip.group_id for clip, fold in zip(design.task.clips, design.folds, strict=True) if fold >= 0}
    return None if seen is None else len(judged & set(seen)) / len(judged)


def _differences(tasks: Sequence[TaskResults], compared: Sequence[tuple[str, str]]) -> Iterator[ProbeDifference]:
    for task in tasks:
        for pca_width, _ in task.by_width():
            for measure_name in task.design.measures:
                for ours, theirs in compared:
                    found = task.difference(ours, theirs, measure_name, pca_width)
                    yield ProbeDifference(
                        task=task.design.task.task,
                        measure=measure_name,
                        features=ours,
                        against=theirs,
                        pca_width=pca_width,
                        value=found.value,
                        low=found.low,
                        high=found.high,
                    )
