"""What is evaluated: the stored masks of a split, the views of a vector, and sums of distances by group.

A *view* is a modality's block of the fused vector, as unit vectors over the shots where it is present, or "fused", the
whole vector. W numbers in a view, n shots of a window, m masked shots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest, Window
from mediafm.data.masks import NUM_FOLDS
from mediafm.data.sampler import MaskedWindow
from mediafm.data.split import Split
from mediafm.fusion import Space
from mediafm.objective.masking import Mask
from mediafm.types import Modality

FUSED_VIEW = "fused"
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class EvaluationItem:
    """One pass over one window: which shots are masked, and whose interval it belongs to."""

    window: Window
    group_id: str
    fold: int
    is_masked: Flags

    def as_masked_window(self) -> MaskedWindow:
        return MaskedWindow(self.window, Mask.whole(self.is_masked), is_metadata_dropped=False)


def items_of(
    manifest: TrainingManifest, split: Split, mask_set: str, max_shots: int | None = None
) -> list[EvaluationItem]:
    """Every pass over every window of `split`: five a window, fewer where it has fewer than five shots.

    Args:
        mask_set: "random" or "span".
        max_shots: stop after windows of so many shots, taken evenly over the split; None for all.
    """
    windows = manifest.windows(split)
    if max_shots is not None:
        windows = _evenly(windows, max_shots)
    found = []
    for window in windows:
        planned = manifest.by_id[window.title_id]
        folds = planned.folds[mask_set][window.start : window.end]
        found += [
            EvaluationItem(window, planned.group_id, fold, folds == fold)
            for fold in range(NUM_FOLDS)
            if (folds == fold).any()
        ]
    return found


def _evenly(windows: Sequence[Window], max_shots: int) -> list[Window]:
    total = sum(window.num_shots for window in windows)
    stride = max(1, -(-total // max_shots))
    return list(windows[::stride])


def views_of(space: Space) -> dict[str, slice]:
    """View name -> its numbers in a fused vector: the three modalities, then the whole."""
    blocks = {str(modality): block for modality, block in space.slices.items()}
    return {**blocks, FUSED_VIEW: slice(0, space.width)}


def view_rows(fused_nE: NDArray[np.floating], is_present_n3: Flags, view: str, where: slice) -> tuple[Floats, Flags]:
    """Unit vectors [n, W] of a view, zero where it is absent, and where it is present, bool [n]."""
    rows = unit_rows(fused_nE[:, where])
    if view == FUSED_VIEW:
        is_present = np.asarray(is_present_n3.any(axis=1), np.bool_)
    else:
        is_present = np.asarray(is_present_n3[:, list(Modality).index(Modality(view))], np.bool_)
    return np.asarray(np.where(is_present[:, None], rows, 0.0), np.float32), is_present


def unit_rows(rows: NDArray[np.floating]) -> Floats:
    """Rows divided by their length, float32; a zero row stays zero."""
    rows = rows.astype(np.float32)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0), np.float32)


@dataclass(eq=False)
class GroupSums:
    """Sums of a number over masked shots, by group: mean over groups of the mean over shots is what counts."""

    total: dict[str, float] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)

    def add(self, group_id: str, values: NDArray[np.floating]) -> None:
        if len(values):
            self.total[group_id] = self.total.get(group_id, 0.0) + float(values.sum(dtype=np.float64))
            self.count[group_id] = self.count.get(group_id, 0) + len(values)

    def means(self, group_ids: Sequence[str]) -> NDArray[np.float64]:
        """The mean of each group; NaN for a group without a value."""
        return np.array([self.total[g] / self.count[g] if g in self.count else np.nan for g in group_ids])

    @property
    def mean(self) -> float:
        """Mean over groups of the mean over shots; NaN without any."""
        if not self.count:
            return float("nan")
        return float(np.mean([self.total[group] / self.count[group] for group in self.count]))


def batches_of(items: Sequence[EvaluationItem], shots_per_batch: int) -> Iterator[list[EvaluationItem]]:
    """The items in order, in runs of about so many shots."""
    run: list[EvaluationItem] = []
    num_shots = 0
    for item in items:
        if run and num_shots + item.window.num_shots > shots_per_batch:
            yield run
            run, num_shots = [], 0
        run.append(item)
        num_shots += item.window.num_shots
    if run:
        yield run


def distances(predicted_mW: NDArray[np.floating], target_mW: Floats) -> NDArray[np.float64]:
    """Cosine distance of each row to its unit target; a zero prediction has distance 1."""
    return np.asarray(1.0 - np.einsum("mw,mw->m", unit_rows(predicted_mW), target_mW), np.float64)


def group_ids_of(sums: Mapping[str, GroupSums]) -> list[str]:
    """All groups that any of the sums knows, sorted."""
    return sorted({group for item in sums.values() for group in item.count})


def training_rows(manifest: TrainingManifest, corpus: Corpus, max_shots: int) -> Floats:
    """Fused vectors of about `max_shots` training shots, float32 [N, E], whole windows taken evenly."""
    return training_shots(manifest, corpus, max_shots)[0]


def training_shots(manifest: TrainingManifest, corpus: Corpus, max_shots: int) -> tuple[Floats, Flags]:
    """About `max_shots` training shots, whole windows taken evenly: fused vectors float32 [N, E], presence [N, 3]."""
    windows = _evenly(manifest.windows(Split.TRAIN), max_shots)
    fused, present = zip(*(fused_rows(corpus, window) for window in windows), strict=True)
    return np.concatenate(fused), np.concatenate(present)


def fused_rows(corpus: Corpus, window: Window) -> tuple[Floats, Flags]:
    """A window's fused vectors, float32 [n, E], and presence flags [n, 3]."""
    sequence = corpus.title(window.title_id)
    return (
        sequence.fused[window.start : window.end].astype(np.float32),
        np.array(sequence.is_present[window.start : window.end]),
    )
