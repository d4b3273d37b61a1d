"""Where the vectors of the export table come from: baselines of fused vectors, and a model's blocks and head.

A source is asked for whole titles with nothing hidden, as they are exported, and for windows with some shots hidden. A
hidden shot reaches no other shot's vector: the model sees [MASK], a baseline sees nothing.

n shots, E fused width, D model width, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mediafm.data.corpus import Corpus
from mediafm.errors import MediaFMError
from mediafm.model.batch import pack
from mediafm.model.export import combine_layers, layer_vectors
from mediafm.model.mediafm import MediaFM
from mediafm.train.evaluation import EvaluationItem, Flags, Floats, unit_rows
from mediafm.train.layer_rows import RowKind

REACHES = (1, 2, 4)
"""k of "fused ++ mean of +-k shots"; training titles choose."""


@dataclass(frozen=True, eq=False)
class View:
    """A run of shots as it is shown to a source.

    fused: float32 [n, E], what stands there in truth, hidden or not.
    is_present: bool [n, 3].
    metadata: float32 [M], or None.
    is_hidden: bool [n].
    """

    fused: Floats
    is_present: Flags
    metadata: Floats | None
    is_hidden: Flags

    @property
    def visible(self) -> Floats:
        """The fused vectors, zeros where hidden."""
        return np.asarray(np.where(self.is_hidden[:, None], np.float32(0), self.fused), np.float32)

    def tensors(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        metadata = None if self.metadata is None else torch.from_numpy(self.metadata)
        return (
            torch.from_numpy(self.visible),
            torch.from_numpy(self.is_present),
            metadata,
            torch.from_numpy(self.is_hidden),
        )


def title_view(corpus: Corpus, title_id: str) -> View:
    """A whole title, nothing hidden."""
    sequence = corpus.title(title_id)
    return _view(corpus, title_id, 0, sequence.num_shots, np.zeros(sequence.num_shots, np.bool_))


def item_view(corpus: Corpus, item: EvaluationItem) -> View:
    """The window of an evaluation item, its masked shots hidden."""
    return _view(corpus, item.window.title_id, item.window.start, item.window.end, item.is_masked)


def _view(corpus: Corpus, title_id: str, start: int, end: int, is_hidden: Flags) -> View:
    sequence = corpus.title(title_id)
    return View(
        sequence.fused[start:end].astype(np.float32),
        np.array(sequence.is_present[start:end]),
        None if sequence.metadata is None else np.array(sequence.metadata, np.float32),
        is_hidden,
    )


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors of one line for n shots, in parts.

    wide: parts that lie in fused space, each unit rows [n, E] (zero where there is nothing).
    own: parts that do not, each [n, D].
    """

    wide: tuple[Floats, ...] = ()
    own: tuple[Floats, ...] = ()

    def rows(self) -> Floats:
        """The parts side by side, unit rows: what would be exported."""
        return unit_rows(np.concatenate((*self.wide, *self.own), axis=1))

    def coded(self, basis_RE: Floats) -> Floats:
        """The parts side by side, the wide ones by their coordinates in `basis_RE`: what a read-out reads."""
        return np.concatenate((*(part @ basis_RE.T for part in self.wide), *self.own), axis=1)

    def at(self, chosen: slice) -> Vectors:
        return Vectors(tuple(part[chosen] for part in self.wide), tuple(part[chosen] for part in self.own))


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a row says of itself (see `LayerRow`); `reach` is k of a line that competes with others of its kind."""

    name: str
    kind: RowKind
    export_layers: tuple[int, ...] = ()
    reach: int | None = None


class Source(Protocol):
    """Gives the vectors of some lines."""

    @property
    def lines(self) -> Sequence[Line]: ...

    def vectors(self, views: Sequence[View]) -> list[list[Vectors]]:
        """For each view its vectors in the lines' order; what a baseline has at a hidden shot means nothing."""
        ...


@dataclass(frozen=True)
class Baselines:
    """Fused vectors, alone, less the title's mean, and joined with the mean of up to k visible shots on either side."""

    @property
    def lines(self) -> list[Line]:
        joined = [Line(name=f"fused ++ mean of +-{k} shots", kind="baseline", reach=k) for k in REACHES]
        return [Line(name="fused", kind="baseline"), Line(name="fused - title mean", kind="baseline"), *joined]

    def vectors(self, views: Sequence[View]) -> list[list[Vectors]]:
        return [self._of_view(view) for view in views]

    def _of_view(self, view: View) -> list[Vectors]:
        rows, is_visible = unit_rows(view.visible), ~view.is_hidden
        mean = rows[is_visible].mean(axis=0) if is_visible.any() else np.zeros(rows.shape[1], np.float32)
        joined = [Vectors(wide=(rows, neighbour_means(rows, is_visible, k))) for k in REACHES]
        return [Vectors(wide=(rows,)), Vectors(wide=(unit_rows(rows - mean),)), *joined]


def neighbour_means(rows_nE: Floats, is_visible: Flags, reach: int) -> Floats:
    """Unit mean of the visible shots at distance 1 to `reach`, the shot itself left out; zeros where there is none."""
    visible = np.where(is_visible[:, None], rows_nE, np.float32(0))
    total = np.zeros_like(visible)
    for apart in range(1, min(reach, len(visible) - 1) + 1):
        total[apart:] += visible[:-apart]
        total[:-apart] += visible[apart:]
    return unit_rows(total)


@dataclass(frozen=True, eq=False)
class ModelSource:
    """A model's blocks, means of blocks, and head.

    model: in evaluation mode.
    blocks: line name -> the blocks that it averages.
    kind: of these lines; None: "block" or "mean".
    has_head: adds the fused-wide prediction at every shot.
    is_joined: each line is [fused ++ the blocks], of equal weight.
    """

    model: MediaFM
    blocks: Mapping[str, tuple[int, ...]]
    kind: RowKind | None = None
    has_head: bool = False
    is_joined: bool = False
    lines: Sequence[Line] = field(init=False)

    def __post_init__(self) -> None:
        found = []
        for name, layers in self.blocks.items():
            kind: RowKind = self.kind or ("block" if len(layers) == 1 else "mean")
            found.append(Line(name=name, kind=kind, export_layers=() if self.kind else layers))
        if self.has_head:
            found.append(Line(name="head output", kind="head"))
        object.__setattr__(self, "lines", tuple(found))

    def vectors(self, views: Sequence[View]) -> list[list[Vectors]]:
        is_short = [len(view.fused) <= self.model.config.max_shots for view in views]
        short = [view for view, chosen in zip(views, is_short, strict=True) if chosen]
        packed = iter(unit_layers(self.model, short)) if short else iter(())
        found = [next(packed) if chosen else self._exported(view) for view, chosen in zip(views, is_short, strict=True)]
        return [self._of_view(layers, view) for layers, view in zip(found, views, strict=True)]

    def _exported(self, view: View) -> list[Tensor]:
        """A title longer than the model's window, read in windows that overlap: as it is exported."""
        if view.is_hidden.any():
            raise MediaFMError(
                f"{len(view.fused)} shots, some hidden",
                rule=f"shots are hidden in windows of at most {self.model.config.max_shots}",
                where="export table",
                remedy="Cut the view into the manifest's windows.",
            )
        fused_nE, is_present_n3, metadata_M, _ = view.tensors()
        return layer_vectors(self.model, fused_nE, is_present_n3, metadata_M)

    def _of_view(self, layers: Sequence[Tensor], view: View) -> list[Vectors]:
        fused = (unit_rows(view.visible),) if self.is_joined else ()
        found = [Vectors(wide=fused, own=(combine_layers(layers, chosen).numpy(),)) for chosen in self.blocks.values()]
        return [*found, Vectors(wide=(self._decoded(layers[-1]),))] if self.has_head else found

    @torch.no_grad()
    def _decoded(self, last_nD: Tensor) -> Floats:
        # The final norm divides by a row's length anyhow; sqrt(D) keeps unit rows clear of its epsilon.
        model, device = self.model, next(self.model.parameters()).device
        x_nD = last_nD.to(device) * self.model.config.hidden_dim**0.5
        return unit_rows(model.decode(x_nD).float().cpu().numpy())


@torch.no_grad()
def unit_layers(model: MediaFM, views: Sequence[View]) -> list[list[Tensor]]:
    """Of each view its shots after 0, 1, ... L blocks, hidden shots masked, each float32 [n, D] with unit rows.

    All views go through the model at once, packed. Nothing of a hidden shot is handed over, not even to be masked.
    """
    batch = pack([view.tensors() for view in views], model.config.metadata_dim)
    layers = model.shot_layers(batch.to(next(model.parameters()).device))
    sizes = [len(view.fused) for view in views]
    parts = [torch.split(functional.normalize(x_ND.float(), dim=-1).cpu(), sizes) for x_ND in layers]
    return [list(own) for own in zip(*parts, strict=True)]
