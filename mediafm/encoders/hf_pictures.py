"""Frames as a published network wants them, prepared on the device.

Frames leave as uint8 and are resized, cropped, rescaled and normalised where the network runs. Each of the two passes
of resizing rounds to whole levels, as Pillow does, which the checkpoints were made with: on every device the pixels of
a wide frame are Pillow's within one level (of a tall one, whose height Pillow resizes first, within a few).

N pictures, C = 3 colours, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mediafm.encoders.hf_picture_rules import PictureRules

LONGEST_ASPECT = 16
"""A frame longer than so many short sides is cut to it about its middle first: the crop would drop the rest anyhow."""


class DevicePictures:
    """Prepares frames by `rules` on `device`."""

    def __init__(self, rules: PictureRules, device: str) -> None:
        self.rules = rules
        self.device = torch.device(device)

    def prepare(self, frames_rgb: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """float32 [N, 3, H, W] of frames of one size, each uint8 [height, width, 3]. Nothing waits for the device."""
        is_cropped = self.rules.fit == "short_side"
        pixels_NCHW = self._uploaded(np.stack([_middle(frame) if is_cropped else frame for frame in frames_rgb]))
        cropped_NCHW = self._cropped(self._resized(pixels_NCHW))
        scale, shift = self._scale_and_shift
        return cropped_NCHW.to(torch.float32) * scale + shift

    def _uploaded(self, stacked_NHWC: NDArray[np.uint8]) -> torch.Tensor:
        pixels = torch.from_numpy(stacked_NHWC)
        if self.device.type == "cuda":
            pixels = pixels.pin_memory().to(self.device, non_blocking=True)
        else:
            pixels = pixels.to(self.device)
        return pixels.permute(0, 3, 1, 2)

    def _resized(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        height, width = self.rules.resized_px(int(pixels_NCHW.shape[2]), int(pixels_NCHW.shape[3]))
        if self.device.type == "cpu":
            return self._resampled(pixels_NCHW, (height, width))
        wide = self._resampled(pixels_NCHW.to(torch.float32), (int(pixels_NCHW.shape[2]), width))
        tall = self._resampled(wide.round_().clamp_(0, 255), (height, width))
        return tall.round_().clamp_(0, 255)

    def _resampled(self, pixels: torch.Tensor, size_px: tuple[int, int]) -> torch.Tensor:
        """uint8 is resampled by integers in two rounded passes, but on the CPU only."""
        if tuple(pixels.shape[2:]) == size_px:
            return pixels
        return functional.interpolate(
            pixels, size=size_px, mode=self.rules.resample, antialias=True, align_corners=False
        )

    def _cropped(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        if self.rules.crop_px is None:
            return pixels_NCHW
        height, width = self.rules.crop_px
        top, left = (int(pixels_NCHW.shape[2]) - height) // 2, (int(pixels_NCHW.shape[3]) - width) // 2
        return pixels_NCHW[:, :, top : top + height, left : left + width]

    @cached_property
    def _scale_and_shift(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What a level is multiplied by and what is added then, each [1, 3, 1, 1]."""
        mean, std = np.asarray(self.rules.mean), np.asarray(self.rules.std)
        both = ((self.rules.scale / std), (-mean / std))
        scale, shift = (torch.tensor(each, dtype=torch.float32, device=self.device).view(1, 3, 1, 1) for each in both)
        return scale, shift


def _middle(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frame, or the middle of one that is extremely long: its resized copy would not fit into memory."""
    height, width = frame.shape[:2]
    longest = LONGEST_ASPECT * min(height, width)
    top, left = max(0, (height - longest) // 2), max(0, (width - longest) // 2)
    return frame[top : top + longest, left : left + longest]
