"""How a line of the export table is measured: what it is fitted and scored on, its two read-outs, and their sums.

n shots, W width of a line's vectors, E fused width, R directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import PlannedTitle, TrainingManifest
from mediafm.data.split import Part, Split
from mediafm.model.from_data import principal_directions
from mediafm.train.evaluation import (
    FUSED_VIEW,
    EvaluationItem,
    Floats,
    GroupSums,
    distances,
    fused_rows,
    items_of,
    unit_rows,
)
from mediafm.train.layer_measures import chance_shares, effective_rank, neighbour_hits, spread
from mediafm.train.layer_rows import LayerRow
from mediafm.train.layer_sources import Line
from mediafm.train.ridge import Ridge, RidgeSums, halves_of
from mediafm.train.skill import MIN_REFERENCE_LOSS, corpus_means

MASK_SET = "random"
"""Which stored masks hide shots; most of a scattered shot's neighbours are visible."""
MAX_FIT_SHOTS = 20_000
MAX_SCORED_SHOTS = 10_000
"""Shots behind `own_skill` and neighbours; beyond them titles are taken evenly."""
MAX_FIT_HIDDEN, MAX_SCORED_HIDDEN = 10_000, 5_000
"""Masked shots behind `hidden_neighbour_skill`, each with one or two visible neighbours; passes are taken evenly."""
MAX_DIRECTIONS = 512
"""Fused-wide vectors are read, and told, by their coordinates along so many principal directions of training shots."""
BASIS_MAX_SHOTS = 8192
MIN_TITLE_SHOTS = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class TableData:
    """What every line is measured on.

    fit_titles, scored_titles: parts of training and validation titles, read with nothing hidden.
    fit_items, scored_items: passes over windows of theirs with the stored masks.
    halves: training group -> half, for the choice of a penalty.
    basis_RE, mean_E: principal directions and mean of training shots.
    reference_E: the corpus mean, the predictor that skill is measured against.
    """

    corpus: Corpus
    fit_titles: Sequence[tuple[PlannedTitle, Part]]
    scored_titles: Sequence[tuple[PlannedTitle, Part]]
    fit_items: Sequence[EvaluationItem]
    scored_items: Sequence[EvaluationItem]
    halves: Mapping[str, int]
    basis_RE: Floats
    mean_E: Floats
    reference_E: Floats

    @classmethod
    def of(cls, manifest: TrainingManifest, corpus: Corpus) -> TableData:
        windows = manifest.windows(Split.TRAIN)
        stride = max(1, -(-manifest.num_shots(Split.TRAIN) // BASIS_MAX_SHOTS))
        rows_NE = torch.from_numpy(np.concatenate([fused_rows(corpus, window)[0] for window in windows[::stride]]))
        basis_RE, _ = principal_directions(rows_NE - rows_NE.mean(0), MAX_DIRECTIONS)
        fit_titles = _titles(manifest, Split.TRAIN, MAX_FIT_SHOTS, 1)
        return cls(
            corpus=corpus,
            fit_titles=fit_titles,
            scored_titles=_titles(manifest, Split.VALIDATION, MAX_SCORED_SHOTS, MIN_TITLE_SHOTS),
            fit_items=evenly_masked(items_of(manifest, Split.TRAIN, MASK_SET), MAX_FIT_HIDDEN),
            scored_items=evenly_masked(items_of(manifest, Split.VALIDATION, MASK_SET), MAX_SCORED_HIDDEN),
            halves=halves_of(planned.group_id for planned, _ in manifest.parts(Split.TRAIN)),
            basis_RE=basis_RE.numpy(),
            mean_E=rows_NE.mean(0).numpy(),
            reference_E=corpus_means(manifest, corpus)[FUSED_VIEW],
        )

    def coded_targets(self, fused_nE: Floats) -> Floats:
        """Fused vectors as a read-out is taught them, [n, R]."""
        return np.asarray((unit_rows(fused_nE) - self.mean_E) @ self.basis_RE.T, np.float32)

    def decoded(self, told_nR: Floats) -> Floats:
        """What a read-out tells, as fused vectors [n, E]."""
        return np.asarray(self.mean_E + told_nR @ self.basis_RE, np.float32)

    def chance(self) -> float:
        sums = GroupSums()
        for planned, part in self.scored_titles:
            sums.add(planned.group_id, chance_shares(part.end - part.start))
        return sums.mean


@dataclass(eq=False)
class ReadOut:
    """One read-out of one line: fitted, then scored."""

    sums: RidgeSums | None = None
    ridge: Ridge | None = None
    losses: GroupSums = field(default_factory=GroupSums)
    reference: GroupSums = field(default_factory=GroupSums)
    num_fitted: int = 0

    def add(self, half: int, inputs: Floats, targets: Floats) -> None:
        self.sums = self.sums or RidgeSums(inputs.shape[1], targets.shape[1])
        self.sums.add(half, inputs, targets)

    def close(self) -> None:
        """Ends the fitting and frees what it needed."""
        if self.sums is not None and self.sums.num_rows:
            self.ridge, self.num_fitted = self.sums.fit(), self.sums.num_rows
        self.sums = None

    def score(self, group_id: str, inputs: Floats, fused_nE: Floats, data: TableData) -> None:
        if self.ridge is not None:
            target = unit_rows(fused_nE)
            self.losses.add(group_id, distances(data.decoded(self.ridge.predict(inputs)), target))
            constant = np.broadcast_to(data.reference_E, target.shape)
            self.reference.add(group_id, distances(constant, target))

    @property
    def skill(self) -> float | None:
        if not self.losses.count:
            return None
        return 1.0 - self.losses.mean / max(self.reference.mean, MIN_REFERENCE_LOSS)

    @property
    def held_out(self) -> float | None:
        return self.ridge.held_out if self.ridge is not None else None


@dataclass(eq=False)
class Meter:
    """Collects one line's measures."""

    line: Line
    own: ReadOut = field(default_factory=ReadOut)
    hidden: ReadOut = field(default_factory=ReadOut)
    hits: GroupSums = field(default_factory=GroupSums)
    training_hits: GroupSums = field(default_factory=GroupSums)
    ranks: list[float] = field(default_factory=list)
    spreads: list[float] = field(default_factory=list)

    def add_title(self, group_id: str, rows_NW: Floats) -> None:
        self.hits.add(group_id, neighbour_hits(rows_NW))
        self.ranks.append(effective_rank(rows_NW))
        self.spreads.append(spread(rows_NW))

    def row(self) -> LayerRow:
        return LayerRow(
            name=self.line.name,
            export_layers=self.line.export_layers,
            kind=self.line.kind,
            neighbour_share=self.hits.mean,
            effective_rank=float(np.mean(self.ranks)),
            spread=float(np.mean(self.spreads)),
            own_skill=self.own.skill,
            hidden_neighbour_skill=self.hidden.skill,
        )

    def training_row(self) -> LayerRow:
        """The same as far as training titles tell it, held out by halves: what chooses among reaches."""
        return replace(
            self.row(),
            neighbour_share=self.training_hits.mean if self.training_hits.count else 0.0,
            own_skill=self.own.held_out,
            hidden_neighbour_skill=self.hidden.held_out,
        )


def evenly_masked(items: Sequence[EvaluationItem], max_masked: int) -> list[EvaluationItem]:
    """Items with about `max_masked` masked shots at most, taken evenly."""
    total = sum(int(item.is_masked.sum()) for item in items)
    return list(items[:: max(1, -(-total // max_masked))])


def _titles(
    manifest: TrainingManifest, split: Split, max_shots: int, min_shots: int
) -> list[tuple[PlannedTitle, Part]]:
    parts = [found for found in manifest.parts(split) if found[1].end - found[1].start >= min_shots]
    total = sum(part.end - part.start for _, part in parts)
    return parts[:: max(1, -(-total // max_shots))]
