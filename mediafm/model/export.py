"""From a title's shots to exported vectors: windows, chosen blocks, unit norm.

A title of at most `max_shots` shots is one window. A longer one is read in windows of `max_shots` that overlap by half,
the last shifted back to end with the title; a shot's vector is the mean over its windows with triangular weights,
greatest in a window's middle (our choice), so that no shot is seen from a window's edge only.

An exported vector is the mean of the chosen blocks' outputs, each first brought to unit norm so that no block owns the
mean, and the whole is L2-normalised.

N shots, D model width, E fused width, L layers, W shots of a window.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mediafm.model.batch import pack
from mediafm.model.mediafm import MediaFM


def export_windows(num_shots: int, max_shots: int) -> list[tuple[int, int]]:
    """The windows `[start, end)` that a title is read in."""
    if num_shots <= max_shots:
        return [(0, num_shots)]
    step = max(1, max_shots // 2)
    starts = [*range(0, num_shots - max_shots, step), num_shots - max_shots]
    return [(start, start + max_shots) for start in starts]


def triangular_weights(window_shots: int) -> Tensor:
    """float32 [W]: rising to the middle and falling again, never zero."""
    place = torch.arange(window_shots, dtype=torch.float32)
    return torch.minimum(place + 1, window_shots - place)


@torch.no_grad()
def layer_vectors(model: MediaFM, fused_NE: Tensor, is_present_N3: Tensor, metadata_M: Tensor | None) -> list[Tensor]:
    """The shots after 0, 1, ... L blocks, each float32 [N, D] with unit rows, windows already joined."""
    num_shots = len(fused_NE)
    windows = export_windows(num_shots, model.config.max_shots)
    if len(windows) == 1:
        return _window_vectors(model, fused_NE, is_present_N3, metadata_M)
    totals = [torch.zeros(num_shots, model.config.hidden_dim) for _ in range(model.config.num_layers + 1)]
    for start, end in windows:
        weights_W1 = triangular_weights(end - start)[:, None]
        found = _window_vectors(model, fused_NE[start:end], is_present_N3[start:end], metadata_M)
        for total_ND, vectors_WD in zip(totals, found, strict=True):
            total_ND[start:end] += weights_W1 * vectors_WD
    return [functional.normalize(total_ND, dim=-1) for total_ND in totals]


def combine_layers(layers: Sequence[Tensor], export_layers: Sequence[int]) -> Tensor:
    """The exported vectors, float32 [N, D] with unit rows: the normalised mean of the chosen blocks."""
    mean_ND = torch.stack([layers[layer] for layer in export_layers]).mean(0)
    return functional.normalize(mean_ND, dim=-1)


def _window_vectors(model: MediaFM, fused_WE: Tensor, is_present_W3: Tensor, metadata_M: Tensor | None) -> list[Tensor]:
    batch = pack([(fused_WE, is_present_W3, metadata_M, None)], model.config.metadata_dim)
    device = next(model.parameters()).device
    return [functional.normalize(x_WD.float(), dim=-1).cpu() for x_WD in model.shot_layers(batch.to(device))]
