"""What context bought: a feature set against the best that needs no model, paired, on the same clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from mediafm.probes.compare import TaskResults
from mediafm.probes.feature_sets import FeatureSet
from mediafm.probes.measure import FeatureResult
from mediafm.types import Json

BEST_IS_FAVOURED = "The best row without a model is picked after the fact, which favours it."


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextBought:
    """One feature set less the best baseline, by one measure of one task.

    subject: what a model made, alone or joined with what it was made of. against: the baseline of the greatest value
    on the same clips; picking it by that value favours the baseline. choice: which of its alternatives, if it has any.
    value, low, high: the paired difference with its 95 % interval over groups; ends None below two groups.
    pca_width: the common width that both were brought to, or None.
    """

    task: str
    measure: str
    subject: str
    against: str
    choice: str
    value: float
    low: float | None
    high: float | None
    pca_width: int | None

    @property
    def sentence(self) -> str:
        """As people read it: "contextual bought +.03 (+.01 to +.05) on clip_tone by micro average
        precision over fused ++ mean of +-k (k=4)"."""
        ends = "no interval" if self.low is None or self.high is None else f"{signed(self.low)} to {signed(self.high)}"
        over = f"{self.against} ({shortly(self.choice)})" if self.choice else self.against
        width = f" at {self.pca_width} components" if self.pca_width else ""
        return (
            f"{self.subject} bought {signed(self.value)} ({ends}) on {self.task} by {self.measure} over {over}{width}"
        )

    def as_json(self) -> dict[str, Json]:
        return {**asdict(self), "sentence": self.sentence}


def context_bought(
    tasks: Sequence[TaskResults], feature_sets: Sequence[FeatureSet], subjects: Sequence[str]
) -> Iterator[ContextBought]:
    """For each possible task, width, measure and subject; nothing without baselines."""
    baselines = [one for one in feature_sets if one.is_baseline]
    for task in tasks if baselines else ():
        for pca_width, results in task.by_width():
            for measure_name in task.design.measures:
                best = max(baselines, key=lambda one: results[one.name].measured[measure_name].interval.value)
                for subject in subjects:
                    found = task.difference(subject, best.name, measure_name, pca_width)
                    yield ContextBought(
                        task=task.design.task.task,
                        measure=measure_name,
                        subject=subject,
                        against=best.name,
                        choice=choice_of(best, results[best.name]),
                        value=found.value,
                        low=found.low,
                        high=found.high,
                        pca_width=pca_width,
                    )


def choice_of(feature_set: FeatureSet, result: FeatureResult) -> str:
    """Which alternative the training folds chose: "k=4", or "k=4 in 3 of 5 folds, k=2 in 2"; "" without a choice."""
    if not feature_set.choices:
        return ""
    counts: dict[str, int] = {}
    for number in result.alternatives:
        counts[feature_set.choices[number]] = counts.get(feature_set.choices[number], 0) + 1
    (first, most), *others = sorted(counts.items(), key=lambda item: -item[1])
    if not others:
        return first
    return ", ".join([f"{first} in {most} of {len(result.alternatives)} folds", *(f"{n} in {c}" for n, c in others)])


def shortly(choice: str) -> str:
    """The commonest of the folds' choices: "k=4", or "mostly k=4"."""
    first, *others = choice.split(" in ")
    return f"mostly {first}" if others else first


def signed(value: float) -> str:
    """+.03, -.12, +1.00: two digits, no zero before the point."""
    return f"{value:+.2f}".replace("0.", ".", 1) if abs(value) < 0.995 else f"{value:+.2f}"
