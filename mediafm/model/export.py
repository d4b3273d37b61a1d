"""From a title's shots to exported vectors: windows, chosen blocks, unit norm.

A title of at most `max_shots` shots is one window. A longer one is read in windows of `max_shots` that overlap by half,
the last shifted back to end with the title; a shot's vector is the mean over its windows with triangular weights,
greatest in a window's middle (our choice), so that no shot is seen from a window's edge only.

An exported vector is the mean of the chosen blocks' outputs, each first brought to unit norm so that no block owns the
mean, and the whole is L2-normalised.

N shots, D model width, E fused width, L layers, W shots of a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mediafm.model.batch import PackedShots, pack
from mediafm.model.mediafm import MediaFM

MAX_SHOTS_PER_PASS = 1024
"""How many shots of short titles and clips share a pass.

Measured on one thread, 400 clips of 5 to 10 shots, E 2304, against a pass for each: 64 shots 2.7 times as quick, 256
4.1, 1024 5.6, 4096 4.8 (tiny); 3.0, 3.5, 4.1, 4.3 (small).
"""


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


@torch.no_grad()
def packed_vectors(
    model: MediaFM,
    titles: Sequence[tuple[Tensor, Tensor, Tensor | None]],
    export_layers: Sequence[int],
    max_shots_per_pass: int = MAX_SHOTS_PER_PASS,
) -> list[Tensor]:
    """The exported vectors of many titles or clips, in their order, each float32 [n, D] with unit rows.

    Those that fit into one window are packed into passes, the short ones first; what a vector is does not depend on
    what it was packed with, but for rounding (no token meets one of another sequence).

    Args:
        titles: each (fused [n, E], is_present [n, 3], metadata [M] or None).
        max_shots_per_pass: bounds memory; a title longer than this has a pass to itself.
    """
    found: dict[int, Tensor] = {}
    lengths = [len(fused_nE) for fused_nE, _, _ in titles]
    for members in _passes(lengths, model.config.max_shots, max_shots_per_pass):
        if len(members) == 1:
            layers = layer_vectors(model, *titles[members[0]])
            found[members[0]] = combine_layers(layers, export_layers)
            continue
        batch = pack([(*titles[member], None) for member in members], model.config.metadata_dim)
        vectors_ND = combine_layers(_unit_layers(model, batch), export_layers)
        found.update(zip(members, torch.split(vectors_ND, list(batch.num_shots)), strict=True))
    return [found[number] for number in range(len(titles))]


def _passes(lengths: Sequence[int], max_shots: int, max_shots_per_pass: int) -> Iterator[list[int]]:
    """Which titles share a pass: by length, so that equal ones stand side by side; those of several windows alone."""
    members: list[int] = []
    total = 0
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        if members and (lengths[number] > max_shots or total + lengths[number] > max_shots_per_pass):
            yield members
            members, total = [], 0
        members.append(number)
        total += lengths[number]
        if lengths[number] > max_shots:
            yield members
            members, total = [], 0
    if members:
        yield members


def _window_vectors(model: MediaFM, fused_WE: Tensor, is_present_W3: Tensor, metadata_M: Tensor | None) -> list[Tensor]:
    batch = pack([(fused_WE, is_present_W3, metadata_M, None)], model.config.metadata_dim)
    return _unit_layers(model, batch)


def _unit_layers(model: MediaFM, batch: PackedShots) -> list[Tensor]:
    device = next(model.parameters()).device
    return [functional.normalize(x_ND.float(), dim=-1).cpu() for x_ND in model.shot_layers(batch.to(device))]
