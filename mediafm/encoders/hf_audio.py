"""hf-audio: wav2vec 2.0, the audio encoder of the published MediaFM, and its kin.

A shot's vector is the mean over the shot's frames of the mean over some transformer layers' outputs, each normalised
over the width. Netflix names wav2vec 2.0 and no more; layers, pooling and the cut into chunks are our choice.

A shot is heard in chunks of a few lengths, so that chunks of many shots stand in one batch. No chunk is ever padded:
networks whose first layer is normalised over time (`feat_extract_norm` "group") would hear the padding everywhere, and
the others need no attention mask without it. Whisper alone reads windows of one length, padded by its own rule.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mediafm.config import Positive, Section
from mediafm.encoders.encoder import EncoderSpec, ShotAudio
from mediafm.encoders.hf_audio_architecture import chosen_layers, read_architecture
from mediafm.encoders.hf_audio_chunks import Chunk, Window, cover, equal_parts, extended, resampled, widened
from mediafm.encoders.host import EncoderHost
from mediafm.encoders.pieces import Piece, PieceEncoder, PieceVectors
from mediafm.encoders.pretrained import describe
from mediafm.errors import ConfigError
from mediafm.types import Json, Modality

if TYPE_CHECKING:
    from mediafm.encoders.hf_audio_network import AudioNetwork

NAME = "hf-audio"
STEP_VERSION = 1
CPU_BATCH_SECONDS = 8.0
ACCELERATOR_BATCH_SECONDS = 240.0
VARIANCE_FLOOR = 1e-7
"""As Wav2Vec2FeatureExtractor adds it to the variance."""

LastLayers = Annotated[str, Field(pattern=r"^last:[1-9][0-9]{0,3}$")]
Layers = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
ChunkSeconds = Annotated[float, Field(ge=0.1, le=120)]


class HfAudioSettings(Section):
    """Which network hears a shot, and how.

    weights: a hub id or a folder.
    revision: of a hub id: a commit, tag or branch.
    licence: of the weights, as an SPDX identifier; their files do not tell.
    layers: whose outputs are averaged: "last:8", or the layers themselves, counted from 1.
    dtype: of the network; the mean over layers and frames is float32 in any case. float16 is slow on a CPU.
    chunk_seconds: the lengths that a shot is cut into; Whisper has its one length instead.
    crosses_cuts: each chunk is heard with `margin_seconds` of sound on either side, over the cut too.
    margin_seconds: ignored unless `crosses_cuts`.
    batch_seconds: sound per batch; moves no vector. None: 8 on a CPU, 240 elsewhere.
    """

    weights: str = "facebook/wav2vec2-base"
    revision: str | None = None
    licence: Annotated[str, Field(min_length=1)] = "LicenseRef-unknown"
    layers: LastLayers | Layers = "last:8"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    chunk_seconds: Annotated[tuple[ChunkSeconds, ...], Field(min_length=1)] = (1, 2, 3, 4, 6, 8)
    crosses_cuts: bool = False
    margin_seconds: Annotated[float, Field(gt=0, le=30)] = 1.0
    batch_seconds: Positive | None = None


class HfAudio(PieceEncoder[ShotAudio]):
    """Sound through a published network of transformers."""

    def __init__(self, settings: HfAudioSettings, host: EncoderHost) -> None:
        """Reads the checkpoint's small files; the weights are loaded by the first batch.

        Raises:
            ConfigError: no such weights, a model that is not known here, or layers that it does not have.
            TransientError: the hub cannot be reached.
        """
        self.settings = settings
        self._host = host
        self._pretrained = describe(settings.weights, settings.revision, NAME)
        self._architecture = read_architecture(self._pretrained)
        self._layers = chosen_layers(settings.layers, self._architecture.num_layers, f"{NAME}, {settings.weights}")
        self._lengths = self._chunk_frames()
        self._network: AudioNetwork | None = None
        self.margin_seconds = settings.margin_seconds if settings.crosses_cuts else 0.0
        self._margin_frames = self._margin()
        self.spec = EncoderSpec(
            name=NAME,
            modality=Modality.AUDIO,
            width=self._architecture.width,
            step_version=STEP_VERSION,
            revision=self._pretrained.revision,
            licence=settings.licence,
            crosses_cuts=settings.crosses_cuts,
            settings=self._told(),
        )

    def close(self) -> None:
        if self._network is not None and self._host.device.startswith("cuda"):
            import torch

            self._network = None
            torch.cuda.empty_cache()
        self._network = None

    def _pieces(self, item: ShotAudio) -> Iterator[Piece]:
        grid = self._architecture.grid
        samples, before, num_frames = self._heard(item)
        windows = widened(self._windows(num_frames), before, grid.num_frames(len(samples)), self._margin_frames)
        for window in windows:
            begin = window.start * grid.hop_samples
            # A copy: a piece that waits for its batch must not hold the whole shot.
            content = samples[begin : begin + grid.num_samples(window.num_frames)].copy()
            own_start = window.own_start - window.start
            chunk = Chunk(content, own_start, own_start + window.num_own)
            yield Piece(self._bucket(window), chunk, weight=window.num_own)

    def _encode_pieces(self, bucket: Hashable, contents: Sequence[Any]) -> PieceVectors:
        if self._network is None:
            from mediafm.encoders.hf_audio_network import AudioNetwork

            self._network = AudioNetwork(
                self._pretrained, self._architecture, self._layers, self._host.device, self.settings.dtype
            )
        return PieceVectors(self._network.vectors(contents))

    def _capacity(self, bucket: Hashable) -> int:
        assert isinstance(bucket, int)
        on_cpu = self._host.device.startswith("cpu")
        batch_seconds = self.settings.batch_seconds or (CPU_BATCH_SECONDS if on_cpu else ACCELERATOR_BATCH_SECONDS)
        samples = self._architecture.grid.num_samples(bucket)
        return max(1, round(batch_seconds * self._architecture.sample_rate_hz / samples))

    def _bucket(self, window: Window) -> int:
        """Frames that the network runs over."""
        return self._architecture.window_frames or window.num_frames

    def _windows(self, num_frames: int) -> list[Window]:
        if self._architecture.window_frames is None:
            return cover(num_frames, self._lengths)
        return equal_parts(num_frames, self._architecture.window_frames - 2 * self._margin_frames)

    def _heard(self, item: ShotAudio) -> tuple[NDArray[np.float32], int, int]:
        """Samples as the network wants them, how many frames of them come before the shot, and the shot's own frames.

        The mean and variance that are taken away are those of all that is heard, as the extractor takes them over an
        utterance: not of each chunk, or a loud half of a shot and a soft one would be made alike.
        """
        grid, rate_hz = self._architecture.grid, self._architecture.sample_rate_hz
        parts = (item.before, item.samples, item.after) if self.settings.crosses_cuts else (item.samples,)
        samples = resampled(np.concatenate(parts).astype(np.float32, copy=False), item.sample_rate_hz, rate_hz)
        num_before, num_own = 0, len(samples)
        if self.settings.crosses_cuts:
            num_before = round(len(item.before) * rate_hz / item.sample_rate_hz)
            num_own = round(len(item.samples) * rate_hz / item.sample_rate_hz)
        if self._architecture.is_normalized and len(samples):
            samples = (samples - samples.mean()) / np.sqrt(samples.var() + np.float32(VARIANCE_FLOOR))
        before = min(self._margin_frames, num_before // grid.hop_samples)
        samples = extended(samples[num_before - before * grid.hop_samples :], grid.num_samples(before + 1))
        return samples, before, min(grid.num_frames(num_own), grid.num_frames(len(samples)) - before)

    def _chunk_frames(self) -> tuple[int, ...]:
        rate_hz = self._architecture.sample_rate_hz
        lengths = {self._architecture.grid.num_frames(int(each * rate_hz)) for each in self.settings.chunk_seconds}
        return tuple(sorted(lengths))

    def _margin(self) -> int:
        """The margin in frames.

        Raises:
            ConfigError: two margins leave nothing of the one length that the network reads.
        """
        margin = int(self.margin_seconds * self._architecture.sample_rate_hz) // self._architecture.grid.hop_samples
        window = self._architecture.window_frames
        if window is not None and window <= 2 * margin:
            raise ConfigError(
                f"margin_seconds {self.margin_seconds}",
                rule=f"two margins are shorter than the {window} frames that the network reads",
                where=f"{NAME}, {self.settings.weights}",
                remedy="Lower it.",
            )
        return margin

    def _told(self) -> dict[str, Json]:
        """What of the settings moves a vector."""
        told: dict[str, Json] = {
            **self._pretrained.as_json(),
            "layers": list(self._layers),
            "dtype": self.settings.dtype,
            "sample_rate_hz": self._architecture.sample_rate_hz,
            "is_normalized": self._architecture.is_normalized,
        }
        if self._architecture.window_frames is None:
            told["chunk_frames"] = list(self._lengths)
        if self.settings.crosses_cuts:
            told["margin_seconds"] = self.settings.margin_seconds
        return told
