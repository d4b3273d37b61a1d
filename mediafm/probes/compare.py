"""Every task on every feature set, fitted once: what reports, gates and anybody else compare without fitting again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from mediafm.config import ProbeSettings
from mediafm.probes.clips import TaskClips
from mediafm.probes.design import TaskDesign, design_task
from mediafm.probes.feature_sets import FeatureSet
from mediafm.probes.folds import held_out
from mediafm.probes.intervals import Interval
from mediafm.probes.linear import LINEAR, LinearSettings
from mediafm.probes.measure import FeatureResult, difference, measure

DEFAULTS = ProbeSettings()
Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class TaskResults:
    """One task: its design, and what each feature set reached on it, replicates included.

    results: feature set -> as it is; in the order of the sets. Empty if the design is impossible.
    at_common_width: the same after PCA to one width inside each training part; empty where that is switched off.
    """

    design: TaskDesign
    results: Mapping[str, FeatureResult]
    at_common_width: Mapping[str, FeatureResult]

    def by_width(self) -> Iterator[tuple[int | None, Mapping[str, FeatureResult]]]:
        """(None, results), then (common width, results at it) if there are any."""
        for results in (self.results, self.at_common_width):
            if results:
                yield next(iter(results.values())).pca_width, results

    def difference(self, ours: str, theirs: str, measure_name: str, pca_width: int | None = None) -> Interval:
        """How much better one set is than another, paired by clip, fold and drawn group."""
        results = dict(self.by_width())[pca_width]
        return difference(self.design, results[ours].measured[measure_name], results[theirs].measured[measure_name])


def measure_tasks(
    tasks: Sequence[TaskClips],
    feature_sets: Sequence[FeatureSet],
    settings: ProbeSettings = DEFAULTS,
    test_groups: Collection[str] | None = None,
    torch_device: str | None = None,
    progress: Progress | None = None,
) -> list[TaskResults]:
    """Designs each task and fits each feature set on it, one BLAS thread, one set's vectors in memory at a time.

    Args:
        tasks: from `find_clips`.
        feature_sets: names differ. Each is asked once, and once more where all are brought to a common width.
        settings: folds, draws, seed, the common width, and from what size torch fits.
        test_groups: groups that judge while all others train; None for k folds over all groups.
        torch_device: the GPU on which torch fits what is large; None for the processor.
        progress: told a sentence before each feature set.
    """
    linear = replace(LINEAR, torch_above=settings.torch_above, torch_device=torch_device)
    designs = [design_task(task, settings, test_groups) for task in tasks]
    possible = [design for design in designs if not design.impossible]
    measured = _Measuring(possible, linear, progress or (lambda _sentence: None))
    results = measured.on(feature_sets, [None] * len(possible))
    at_common: list[dict[str, FeatureResult]] = [{} for _ in possible]
    if settings.common_width:
        widths = [_common_width(design, each, settings) for design, each in zip(possible, results, strict=True)]
        at_common = measured.on(feature_sets, widths)
    found = {id(design): pair for design, *pair in zip(possible, results, at_common, strict=True)}
    return [
        TaskResults(design=design, results=results, at_common_width=at_common)
        for design in designs
        for results, at_common in [found.get(id(design), [{}, {}])]
    ]


def _common_width(design: TaskDesign, results: Mapping[str, FeatureResult], settings: ProbeSettings) -> int:
    """At most the narrowest set that says anything, and at most the smallest training part."""
    widths = [result.width for result in results.values() if result.num_absent_clips < len(design.task.clips)]
    trained = [int(trains.sum()) for trains, _ in held_out(design.folds)]
    return max(1, min([settings.common_width, *widths, *trained]))


@dataclass(frozen=True)
class _Measuring:
    designs: Sequence[TaskDesign]
    linear: LinearSettings
    tell: Progress

    def on(self, feature_sets: Sequence[FeatureSet], widths: Sequence[int | None]) -> list[dict[str, FeatureResult]]:
        """Task by task, set -> result. `widths`: by task, the components to bring the vectors to."""
        found: list[dict[str, FeatureResult]] = [{} for _ in self.designs]
        for one in feature_sets:
            self.tell(f"probing {one.name}" + (" at the common width" if any(widths) else ""))
            by_task = one.of([design.task for design in self.designs])
            for design, alternatives, width, results in zip(self.designs, by_task, widths, found, strict=True):
                with _one_thread():
                    results[one.name] = measure(design, alternatives, self.linear, width)
        return found


def _one_thread() -> AbstractContextManager[object]:
    """Linear algebra in one thread: the matrices are small, and on busy cores threads wait for each other.

    Measured on two busy cores, 1,447 clips by 5 feature sets: 45 s with two threads, 2 s with one.
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits
