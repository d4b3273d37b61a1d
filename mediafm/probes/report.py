"""The probe report: every task by every feature set, with intervals, chance, and what was left out; JSON and text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mediafm.catalog.title import Problem
from mediafm.probes.context_bought import ContextBought
from mediafm.types import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeRow:
    """One measure of one feature set on one task.

    is_baseline: whether no model stands behind the set.
    width: of the set's vectors, the widest alternative's. pca_width: the common width that all sets of the task were
        brought to by PCA in each training part; None for the vectors as they are.
    choice: which alternative the training folds chose ("k=4"), or "".
    value, low, high: averaged over folds, with the 95 % interval over groups; ends None below two groups.
    chance: what a guess by class frequency reaches in the same folds.
    is_above_chance: the lower end, made strict enough for all of the task's rows at once, is above chance.
    num_groups: groups that were judged.
    num_absent_clips: clips of which this feature set has no vector; the probe sees its mean there.
    num_unconverged: fits that ran out of iterations. strengths: the inverse regularisation chosen in each fold.
    seen_by_checkpoint: share of the judged groups that the features' checkpoint was trained on; None without one.
    """

    task: str
    kind: str
    measure: str
    features: str
    is_baseline: bool
    width: int
    pca_width: int | None
    choice: str
    value: float
    low: float | None
    high: float | None
    chance: float
    is_above_chance: bool
    num_clips: int
    num_groups: int
    num_classes: int
    num_folds: int
    num_absent_clips: int
    num_unconverged: int
    strengths: tuple[float, ...]
    seen_by_checkpoint: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeDifference:
    """How much better one feature set is than another, paired by clip, fold and drawn group."""

    task: str
    measure: str
    features: str
    against: str
    pca_width: int | None
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class ProbeReport:
    """All of it. `dropped` names rows, clips and classes left out; `not_measured` whole tasks, with the reason."""

    rows: tuple[ProbeRow, ...]
    context_bought: tuple[ContextBought, ...]
    differences: tuple[ProbeDifference, ...]
    dropped: tuple[Problem, ...]
    not_measured: tuple[Problem, ...]
    labels_sha256: str

    @property
    def tasks(self) -> list[str]:
        """The measured tasks, in the order of the rows."""
        return list(dict.fromkeys(row.task for row in self.rows))

    def as_json(self) -> dict[str, Json]:
        return {
            "labels_sha256": self.labels_sha256,
            "rows": [asdict(row) for row in self.rows],
            "context_bought": [row.as_json() for row in self.context_bought],
            "differences": [asdict(row) for row in self.differences],
            "num_dropped": len(self.dropped),
            "dropped": [asdict(problem) for problem in self.dropped],
            "not_measured": [asdict(problem) for problem in self.not_measured],
        }

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> ProbeReport:
        """The inverse of `as_json`."""
        bought = [{name: value for name, value in row.items() if name != "sentence"} for row in parts["context_bought"]]
        return cls(
            rows=tuple(ProbeRow(**{**row, "strengths": tuple(row["strengths"])}) for row in parts["rows"]),
            context_bought=tuple(ContextBought(**row) for row in bought),
            differences=tuple(ProbeDifference(**row) for row in parts["differences"]),
            dropped=tuple(Problem(**problem) for problem in parts["dropped"]),
            not_measured=tuple(Problem(**problem) for problem in parts["not_measured"]),
            labels_sha256=parts["labels_sha256"],
        )

    def as_markdown(self) -> str:
        """See `report_text.markdown`."""
        from mediafm.probes.report_text import markdown

        return markdown(self)

    def as_text(self, max_columns: int = 120) -> str:
        """See `report_text.plain_text`."""
        from mediafm.probes.report_text import plain_text

        return plain_text(self, max_columns)
