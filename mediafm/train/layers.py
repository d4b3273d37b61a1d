"""Which blocks are exported: a table by layer on validation titles, and the choice.

Measured on synthetic scenes, the deeper the layer the worse the probe, because masked-shot training never supervises
what stands at unmasked positions; so the layer is chosen, not assumed. The criterion needs no label: the share of shots
whose nearest neighbour in the title (adjacent shots left out) lies in the same neighbourhood. It favours smoothing over
time; probes judge what is exported, this only chooses among blocks. Our choice.

N shots, W width of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.sequences import TitleSequence
from mediafm.data.split import Split
from mediafm.model.export import combine_layers, layer_vectors
from mediafm.model.mediafm import MediaFM
from mediafm.train.evaluation import Floats, GroupSums, unit_rows
from mediafm.types import Json

NEIGHBOURHOOD_SHOTS = 10
MAX_SHOTS = 20_000
"""Validation shots behind the table; beyond them whole titles are left out."""
MIN_TITLE_SHOTS = 8
_TIE = 1e-6
"""Cosines that differ by less, in float32, do not differ."""


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One line of the table.

    name: "block 1", "blocks 1-2", "fused", "fused - title mean", ...
    export_layers: the blocks that it averages; empty for a baseline. Block 0 is what the first block reads.
    neighbour_share: share of shots whose nearest neighbour lies in their neighbourhood; mean over groups.
    effective_rank: of the vectors (see `effective_rank`).
    spread: 1 - the squared length of the mean of the unit vectors: 0 when all are one vector.
    """

    name: str
    export_layers: tuple[int, ...]
    neighbour_share: float
    effective_rank: float
    spread: float


@dataclass(frozen=True, kw_only=True)
class LayerTable:
    """The table and what was chosen from it.

    rows: baselines first, then blocks, then means of blocks.
    chance: the neighbour share of a random order; NaN-free; None without a title that is long enough.
    export_layers: the choice.
    chosen_by: "neighbour_share", or "default" where validation had no title that is long enough.
    num_shots, num_titles: behind it.
    """

    rows: tuple[LayerRow, ...]
    chance: float | None
    export_layers: tuple[int, ...]
    chosen_by: str
    num_shots: int
    num_titles: int

    def as_json(self) -> dict[str, Json]:
        return asdict(self)

    def row(self, export_layers: tuple[int, ...]) -> LayerRow | None:
        return next((row for row in self.rows if row.export_layers == export_layers), None)

    def baseline(self, name: str) -> LayerRow | None:
        return next((row for row in self.rows if row.name == name), None)


def candidates(num_layers: int) -> dict[str, tuple[int, ...]]:
    """Name -> blocks: each block alone (0 for comparison), and the means of the first two, half and all."""
    found: dict[str, tuple[int, ...]] = {f"block {layer}": (layer,) for layer in range(num_layers + 1)}
    for last in sorted({2, max(2, num_layers // 2), num_layers} - {1}):
        if last <= num_layers:
            found[f"blocks 1-{last}"] = tuple(range(1, last + 1))
    return found


def choose_layers(model: MediaFM, manifest: TrainingManifest, corpus: Corpus) -> LayerTable:
    """The table on validation titles, and the blocks with the greatest neighbour share (the shallower on a tie).

    Block 0 holds no context and is never chosen.
    """
    named = candidates(model.config.num_layers)
    meters = {name: _Meter() for name in ("fused", "fused - title mean", *named)}
    chance = GroupSums()
    num_shots = num_titles = 0
    for planned, part in manifest.parts(Split.VALIDATION):
        length = part.end - part.start
        if length < MIN_TITLE_SHOTS or num_shots + length > max(MAX_SHOTS, length):
            continue
        sequence = corpus.title(planned.title.title_id)
        inside = slice(part.start, part.end)
        for name, vectors in _vectors(model, sequence, named).items():
            meters[name].add(planned.group_id, vectors[inside])
        chance.add(planned.group_id, chance_shares(length))
        num_shots, num_titles = num_shots + length, num_titles + 1
    rows = tuple(meter.row(name, named.get(name, ())) for name, meter in meters.items()) if num_titles else ()
    choosable = [row for row in rows if row.export_layers and row.export_layers != (0,)]
    best = max(choosable, key=lambda row: (round(row.neighbour_share, 6), -row.export_layers[-1]), default=None)
    return LayerTable(
        rows=rows,
        chance=chance.mean if num_titles else None,
        export_layers=best.export_layers if best else (1,),
        chosen_by="neighbour_share" if best else "default",
        num_shots=num_shots,
        num_titles=num_titles,
    )


def neighbourhood_of(num_shots: int) -> int:
    """How far a neighbourhood reaches: ten shots, an eighth of a short title, at least two."""
    return max(2, min(NEIGHBOURHOOD_SHOTS, num_shots // 8))


def neighbour_hits(vectors_NW: Floats) -> NDArray[np.float64]:
    """[N]: 1.0 where a shot's nearest neighbour, adjacent shots left out, lies in its neighbourhood.

    Of several equally near the share counts, so that vectors that are all alike reach chance and no more.
    """
    num_shots = len(vectors_NW)
    apart = np.abs(np.arange(num_shots)[:, None] - np.arange(num_shots))
    similarity = np.where(apart <= 1, -np.inf, vectors_NW @ vectors_NW.T)
    is_nearest = similarity >= similarity.max(axis=1, keepdims=True) - _TIE
    is_near = apart <= neighbourhood_of(num_shots)
    return np.asarray((is_nearest & is_near).sum(axis=1) / is_nearest.sum(axis=1), np.float64)


def chance_shares(num_shots: int) -> NDArray[np.float64]:
    """[N]: the same for a neighbour drawn at random."""
    apart = np.abs(np.arange(num_shots)[:, None] - np.arange(num_shots))
    near = (apart > 1) & (apart <= neighbourhood_of(num_shots))
    return np.asarray(near.sum(axis=1) / (apart > 1).sum(axis=1), np.float64)


def effective_rank(vectors_NW: Floats) -> float:
    """exp of the entropy of the normalised singular values (Roy and Vetterli 2007), of the centred vectors."""
    values = np.linalg.svd(vectors_NW - vectors_NW.mean(axis=0), compute_uv=False).astype(np.float64)
    share = values[values > 1e-9] / max(values.sum(), 1e-12)
    return float(np.exp(-(share * np.log(share)).sum())) if len(share) else 1.0


class _Meter:
    """Collects one candidate's vectors title by title."""

    def __init__(self) -> None:
        self._hits = GroupSums()
        self._ranks: list[float] = []
        self._spreads: list[float] = []

    def add(self, group_id: str, vectors_NW: Floats) -> None:
        self._hits.add(group_id, neighbour_hits(vectors_NW))
        self._ranks.append(effective_rank(vectors_NW))
        self._spreads.append(1.0 - float(np.square(vectors_NW.mean(axis=0)).sum()))

    def row(self, name: str, export_layers: tuple[int, ...]) -> LayerRow:
        return LayerRow(
            name=name,
            export_layers=export_layers,
            neighbour_share=self._hits.mean,
            effective_rank=float(np.mean(self._ranks)),
            spread=float(np.mean(self._spreads)),
        )


def _vectors(model: MediaFM, sequence: TitleSequence, named: Mapping[str, Sequence[int]]) -> dict[str, Floats]:
    """Every candidate's vectors of a title, unit rows."""
    fused = unit_rows(sequence.fused)
    layers = layer_vectors(
        model,
        torch.from_numpy(sequence.fused.astype(np.float32)),
        torch.from_numpy(np.array(sequence.is_present)),
        None if sequence.metadata is None else torch.from_numpy(np.array(sequence.metadata)),
    )
    found = {"fused": fused, "fused - title mean": unit_rows(fused - fused.mean(axis=0))}
    return found | {name: combine_layers(layers, chosen).numpy() for name, chosen in named.items()}
