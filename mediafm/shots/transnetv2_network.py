"""TransNet V2 for inference, window by window, arranged for a CPU; the published weights give the published scores.

Architecture: Souček and Lokoč, "TransNet V2: an effective deep network architecture for fast shot transition
detection", 2020, arXiv:2008.04838, section 3. The network reads a window of 100 frames; the windows of a title advance
by 50 frames, and of each the middle 50 scores are kept. What we do otherwise than the published code changes no score
beyond rounding:

- The (2+1)-D convolutions are two 2-D ones: over space with frames as the batch, over time with pixels as the width.
  The four branches' spatial kernels are one kernel. Batch norm is folded into the temporal kernel.
- A frame that lies at least 8n frames inside two windows has the same features in both after n temporal layers
  (dilations reach 8 frames), so those are carried over from one window to the next.
- The classifier sees only the frames that are kept.
- Tensors stay in memory of their own and are filled in pieces: fresh memory for each costs more than the arithmetic.

Shapes: T = 100 frames of a window, H and W pixels, C channels, F filters of a branch, P = H * W, K = 50 kept frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW_FRAMES = 100
STEP_FRAMES = 50
MARGIN_FRAMES = 25
"""Frames on either side of the kept ones."""
HEIGHT_PX, WIDTH_PX = 27, 48
DILATIONS = (1, 2, 4, 8)
NUM_BLOCKS = 3
UNITS_PER_BLOCK = 2
LOOKUP_FRAMES = 50
"""How far a frame is compared with others, on either side."""
_BATCH_NORM_EPSILON = 1e-3
_PIECE_VALUES = 3_000_000
"""Values of one convolution's result at a time, on a CPU: it stays in the cache (measured, our choice)."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """One dilated (2+1)-D convolution of four branches, batch norm folded in.

    spatial: [8F, C, 3, 3]. temporal: for each branch [F, 2F, 3, 1]. bias: for each branch [F].
    """

    spatial: Tensor
    temporal: tuple[Tensor, ...]
    bias: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class _Dense:
    """A dense layer. weight: [outputs, inputs]; bias: [outputs]."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Network:
    """The weights, ready to run. Shared by all streams of a process; running changes nothing in it.

    Args:
        weights: the published state dict (its second classifier, `cls_layer2`, is not used).
        device: where to run.
        dtype: of the convolutions; what follows them is float32.

    Raises:
        KeyError, RuntimeError: the weights are not of this architecture.
    """

    def __init__(self, weights: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.units = tuple(
            _unit(weights, f"SDDCNN.{block}.DDCNN.{number}", device, dtype)
            for block in range(NUM_BLOCKS)
            for number in range(UNITS_PER_BLOCK)
        )
        self._projection = _dense(weights, "frame_sim_layer.projection", device)
        self._similarity = _dense(weights, "frame_sim_layer.fc", device)
        self._histogram = _dense(weights, "color_hist_layer.fc", device)
        self._hidden = _dense(weights, "fc1", device)
        self._classifier = _dense(weights, "cls_layer1", device)

    def memory(self, *shape: int) -> Tensor:
        """Zeros of the convolutions' type, on the network's device."""
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    def scores(self, histograms: Tensor, means: Tensor, last: Tensor) -> Tensor:
        """The probability, for each kept frame, that a transition is there.

        Args:
            histograms: float32 [T, 512], of unit length.
            means: float32 [T, 448], the blocks' features, averaged over space.
            last: float32 [K, 4608], the last block's features of the kept frames.

        Returns:
            float32 [K].
        """
        projected = F.normalize(self._projection(means), dim=1)
        x = torch.cat(
            [
                torch.relu(self._histogram(neighbour_similarities(histograms))),
                torch.relu(self._similarity(neighbour_similarities(projected))),
                last,
            ],
            dim=1,
        )
        return torch.sigmoid(self._classifier(torch.relu(self._hidden(x)))).squeeze(1)


class WindowStream:
    """The windows of one title, in order, each 50 frames after the one before it. Holds about 250 MB on a CPU."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._layers = [
            _Layer(unit, depth, *_size_px(depth // UNITS_PER_BLOCK), network)
            for depth, unit in enumerate(network.units)
        ]
        self._is_first = True

    def scores(self, frames: Tensor) -> Tensor:
        """Scores of frames 25 to 74 of the next window.

        Args:
            frames: uint8 [T, 27, 48, 3], RGB; the first 50 are the last 50 of the window before.

        Returns:
            float32 [K], on the CPU.
        """
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            frames = frames.to(self._network.device)
            x = (frames.to(torch.float32) / 255.0).to(self._network.dtype)
            means = []
            for first, second in zip(self._layers[::2], self._layers[1::2], strict=True):
                shortcut = first.run(x, None, self._is_first)
                x = _pooled(second.run(shortcut, shortcut, self._is_first))
                means.append(x.mean(dim=(1, 2), dtype=torch.float32))
            self._is_first = False
            kept = x[MARGIN_FRAMES : MARGIN_FRAMES + STEP_FRAMES].float().flatten(1)
            return self._network.scores(colour_histograms(frames), torch.cat(means, dim=1), kept).cpu()


class _Layer:
    """One unit and the memory that it fills.

    spread: for each branch [T, P, 2F], the spatial convolution's result. output: [T, H, W, 4F].
    """

    def __init__(self, unit: _Unit, depth: int, height_px: int, width_px: int, network: Network) -> None:
        num_filters = unit.temporal[0].shape[0]
        self._unit = unit
        self._carried = range(depth * DILATIONS[-1], STEP_FRAMES - depth * DILATIONS[-1])
        shape = (WINDOW_FRAMES, height_px, width_px)
        self._spread = [network.memory(*shape, 2 * num_filters) for _ in DILATIONS]
        self._output = network.memory(*shape, 4 * num_filters)
        fitting = _PIECE_VALUES // (height_px * width_px * 8 * num_filters)
        self._piece_frames = max(1, fitting) if network.device.type == "cpu" else WINDOW_FRAMES

    def run(self, x: Tensor, shortcut: Tensor | None, is_first: bool) -> Tensor:
        """[T, H, W, C] -> [T, H, W, 4F], rectified; with a shortcut, the sum of both in the shortcut's memory."""
        for start, stop in self._carry(is_first):
            for begin in range(start, stop, self._piece_frames):
                self._spread_frames(x, begin, min(stop, begin + self._piece_frames))
        target = self._output if shortcut is None else shortcut
        for branch, dilation in enumerate(DILATIONS):
            self._fill(target, branch, dilation, is_sum=shortcut is not None)
        return target

    def _carry(self, is_first: bool) -> list[tuple[int, int]]:
        """Takes over what the window before has computed already; the frames that are left to compute."""
        if is_first or not self._carried:
            return [(0, WINDOW_FRAMES)]
        start, stop = self._carried.start, self._carried.stop
        for spread in self._spread:
            spread[start:stop] = spread[start + STEP_FRAMES : stop + STEP_FRAMES]
        return [(0, start), (stop, WINDOW_FRAMES)]

    def _spread_frames(self, x: Tensor, start: int, stop: int) -> None:
        result = F.conv2d(x[start:stop].permute(0, 3, 1, 2), self._unit.spatial, padding=1).permute(0, 2, 3, 1)
        for spread, part in zip(self._spread, result.chunk(len(DILATIONS), dim=3), strict=True):
            spread[start:stop] = part

    def _fill(self, target: Tensor, branch: int, dilation: int, *, is_sum: bool) -> None:
        flat = self._spread[branch].flatten(1, 2).permute(2, 0, 1).unsqueeze(0)
        kernel, bias = self._unit.temporal[branch], self._unit.bias[branch]
        result = F.conv2d(flat, kernel, bias, padding=(dilation, 0), dilation=(dilation, 1))
        num_frames, height, width, _ = target.shape
        part = result.squeeze(0).permute(1, 2, 0).reshape(num_frames, height, width, -1)
        place = target[..., branch * part.shape[3] : (branch + 1) * part.shape[3]]
        if is_sum:
            place += part.relu_()
        else:
            torch.clamp(part, min=0, out=place)


def colour_histograms(frames: Tensor) -> Tensor:
    """Counts of 8 x 8 x 8 colours, of unit length. uint8 [T, H, W, 3] -> float32 [T, 512]."""
    red, green, blue = (frames.flatten(1, 2).long() >> 5).unbind(-1)
    bins = (red << 6) + (green << 3) + blue
    counts = torch.zeros(len(frames), 512, device=frames.device)
    counts.scatter_add_(1, bins, torch.ones_like(bins, dtype=torch.float32))
    return F.normalize(counts, dim=1)


def neighbour_similarities(x: Tensor) -> Tensor:
    """Inner products of each kept frame with the 101 around it; zero beyond the window. [T, D] -> [K, 101]."""
    kept = x[MARGIN_FRAMES : MARGIN_FRAMES + STEP_FRAMES]
    padded = F.pad(x, (0, 0, LOOKUP_FRAMES, LOOKUP_FRAMES))
    products = kept @ padded.T
    first = torch.arange(MARGIN_FRAMES, MARGIN_FRAMES + STEP_FRAMES, device=x.device)
    offsets = torch.arange(2 * LOOKUP_FRAMES + 1, device=x.device)
    return products.gather(1, first[:, None] + offsets[None, :])


def _pooled(x: Tensor) -> Tensor:
    """Means of 2 x 2 pixels. [T, H, W, C] -> [T, H // 2, W // 2, C]."""
    return F.avg_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def _size_px(block: int) -> tuple[int, int]:
    return HEIGHT_PX >> block, WIDTH_PX >> block


def _unit(weights: Mapping[str, Tensor], name: str, device: torch.device, dtype: torch.dtype) -> _Unit:
    """Folds the batch norm into the temporal kernels: y = g (x - m) / sqrt(v + e) + b."""

    def place(tensor: Tensor) -> Tensor:
        return tensor.to(device, dtype)

    scale = weights[f"{name}.bn.weight"] / torch.sqrt(weights[f"{name}.bn.running_var"] + _BATCH_NORM_EPSILON)
    shift = weights[f"{name}.bn.bias"] - weights[f"{name}.bn.running_mean"] * scale
    branches = [f"{name}.Conv3D_{dilation}.layers" for dilation in DILATIONS]
    spatial = torch.cat([weights[f"{branch}.0.weight"].squeeze(2) for branch in branches])
    temporal = [weights[f"{branch}.1.weight"].squeeze(4) for branch in branches]
    scales = scale.chunk(len(DILATIONS))
    return _Unit(
        spatial=place(spatial).contiguous(memory_format=torch.channels_last),
        temporal=tuple(
            place(kernel * scales[branch][:, None, None, None]).contiguous(memory_format=torch.channels_last)
            for branch, kernel in enumerate(temporal)
        ),
        bias=tuple(place(part) for part in shift.chunk(len(DILATIONS))),
    )


def _dense(weights: Mapping[str, Tensor], name: str, device: torch.device) -> _Dense:
    return _Dense(weights[f"{name}.weight"].to(device), weights[f"{name}.bias"].to(device))
