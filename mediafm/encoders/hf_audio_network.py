"""An audio network in memory: chunks in, one vector per chunk out.

B chunks, S samples, T frames, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from mediafm.encoders.hf_audio_architecture import WHISPER, AudioArchitecture
from mediafm.encoders.hf_audio_chunks import Chunk
from mediafm.encoders.pretrained import Pretrained, load_network
from mediafm.errors import EncoderError

MAY_BE_ABSENT = ("masked_spec_embed",)
"""Only training masks; many published checkpoints are without it."""


class PooledLayers:
    """The mean of some layers' outputs, each normalised over the width, pooled over a chunk's own frames.

    Each layer's output is normalised (float32, no affine: our choice, as data2vec's targets are, Baevski et al. 2022,
    section 3.3), pooled and added the moment it exists: pooling is linear, so nothing of [B, T, W] is kept.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self._num_layers = len(layers)
        self._weights_B1T: Tensor | None = None
        self._sum_BW: Tensor | None = None
        for layer in layers:
            layer.register_forward_hook(self._add)

    def begin(self, weights_BT: Tensor) -> None:
        """What the next forward pass pools with; each row sums to 1."""
        self._weights_B1T, self._sum_BW = weights_BT[:, None], None

    def finish(self) -> Tensor:
        """float32 [B, W] of the forward pass since `begin`."""
        assert self._sum_BW is not None, "a forward pass lies between begin() and finish()"
        found, self._sum_BW, self._weights_B1T = self._sum_BW / self._num_layers, None, None
        return found

    def _add(self, layer: nn.Module, given: Any, output: Any) -> None:
        hidden_BTW: Tensor = output[0] if isinstance(output, tuple) else output
        assert self._weights_B1T is not None, "begin() comes before a forward pass"
        if hidden_BTW.shape[1] != self._weights_B1T.shape[2]:
            raise EncoderError(
                f"{hidden_BTW.shape[1]} frames",
                rule=f"{self._weights_B1T.shape[2]} follow from the checkpoint's config",
                where=f"hf-audio, {type(layer).__name__}",
                remedy="Report it: this architecture counts time in another way.",
            )
        normed_BTW = functional.layer_norm(hidden_BTW.float(), hidden_BTW.shape[-1:])
        pooled_BW = (self._weights_B1T @ normed_BTW)[:, 0]
        self._sum_BW = pooled_BW if self._sum_BW is None else self._sum_BW + pooled_BW


class AudioNetwork:
    """A loaded checkpoint. Layers above the highest that is asked for are left out."""

    def __init__(
        self, pretrained: Pretrained, architecture: AudioArchitecture, layers: Sequence[int], device: str, dtype: str
    ) -> None:
        """Loads the weights.

        Args:
            layers: whose outputs are averaged, counted from 1, ascending.

        Raises:
            EncoderError: weights are missing among those published.
        """
        self._architecture = architecture
        self._device = torch.device(device)
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._network, stack = _load(pretrained, architecture, device, dtype)
        del stack[layers[-1] :]
        self._pooled = PooledLayers([stack[layer - 1] for layer in layers])
        self._extractor = _mel_extractor(architecture) if architecture.model_type == WHISPER else None

    @torch.inference_mode()
    def vectors(self, chunks: Sequence[Chunk]) -> NDArray[np.float32]:
        """One vector per chunk, float32 [B, W]; chunks of one length, except where the network pads by its own rule."""
        own = [(chunk.own_start, chunk.own_end) for chunk in chunks]
        weights_BT = torch.from_numpy(_weights(own, self._frames(chunks)))
        self._pooled.begin(self._moved(weights_BT))
        self._network(self._inputs([chunk.samples for chunk in chunks]))
        return np.asarray(self._pooled.finish().cpu().numpy(), np.float32)

    def _frames(self, chunks: Sequence[Chunk]) -> int:
        return self._architecture.window_frames or self._architecture.grid.num_frames(len(chunks[0].samples))

    def _inputs(self, samples: Sequence[NDArray[np.float32]]) -> Tensor:
        """Samples [B, S], or log-mel features of Whisper's one length, on the device."""
        if self._extractor is None:
            return self._moved(torch.from_numpy(np.stack(samples))).to(self._dtype)
        assert self._architecture.window_frames is not None
        found = self._extractor(
            list(samples),
            sampling_rate=self._architecture.sample_rate_hz,
            max_length=self._architecture.grid.num_samples(self._architecture.window_frames),
            padding="max_length",
            return_tensors="pt",
            device=str(self._device),
        )
        return self._moved(found["input_features"]).to(self._dtype)

    def _moved(self, tensor: Tensor) -> Tensor:
        """On the device; from pinned memory, so that the copy does not hold the process up."""
        if self._device.type != "cuda":
            return tensor.to(self._device)
        return tensor.pin_memory().to(self._device, non_blocking=True)


def _load(
    pretrained: Pretrained, architecture: AudioArchitecture, device: str, dtype: str
) -> tuple[nn.Module, nn.ModuleList]:
    """The network to call, and the stack of its transformer's layers."""
    if architecture.model_type == WHISPER:
        from transformers import WhisperModel

        encoder = load_network(WhisperModel, pretrained, device, dtype, may_be_absent=("decoder.",)).get_encoder()
        return encoder, encoder.layers
    from transformers import AutoModel

    network = load_network(AutoModel, pretrained, device, dtype, may_be_absent=MAY_BE_ABSENT)
    _fold(network)
    return network, network.encoder.layers


def _fold(network: nn.Module) -> None:
    """Computes normed weights once, not in every forward pass; the numbers are the same."""
    for module in list(network.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")


def _mel_extractor(architecture: AudioArchitecture) -> Any:
    """Whisper's own features; dither, noise that some settings add, is off: a vector is the same every time."""
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor.from_dict({**architecture.extractor, "dither": 0.0})


def _weights(own: Sequence[tuple[int, int]], num_frames: int) -> NDArray[np.float32]:
    """[B, T]: each row 1 / n on its n own frames and 0 elsewhere."""
    starts, ends = np.asarray(own).T[:, :, None]
    places = np.arange(num_frames)[None]
    return np.asarray(((places >= starts) & (places < ends)) / (ends - starts), np.float32)
