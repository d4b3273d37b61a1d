"""wav2vec2-ctc: wav2vec 2.0 with a CTC head (Baevski et al. 2020, section 3.3), and its kin, decoded greedily.

Any language's checkpoint that transformers knows as a `…ForCTC` with a vocabulary of letters. No language model helps:
what is heard is spelled as it sounds. Windows are never padded, so that no attention mask is needed whatever the
checkpoint's `return_attention_mask` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mediafm.config import Count, Positive, Section
from mediafm.encoders.ctc_stream import LONGEST_PAUSE_SECONDS, BestTokens, CtcTranscriber
from mediafm.encoders.ctc_vocabulary import read_vocabulary
from mediafm.encoders.hf_audio_architecture import read_architecture
from mediafm.encoders.host import EncoderHost
from mediafm.encoders.pretrained import Pretrained, describe
from mediafm.encoders.transcriber import TranscriberSpec
from mediafm.errors import ConfigError
from mediafm.languages import normalize_language

if TYPE_CHECKING:
    from mediafm.encoders.ctc_network import CtcNetwork

NAME = "wav2vec2-ctc"
STEP_VERSION = 1
CPU_BATCH_SECONDS = 20.0
ACCELERATOR_BATCH_SECONDS = 320.0
VARIANCE_FLOOR = 1e-7
"""As Wav2Vec2FeatureExtractor adds it to the variance."""


class Wav2Vec2CtcSettings(Section):
    """Which network transcribes, and how.

    weights: a hub id or a folder.
    revision: of a hub id: a commit, tag or branch.
    licence: of the weights, as an SPDX identifier; their files do not tell.
    language: that the weights were trained to write; their files do not tell, and every title is taken to speak it.
    dtype: of the network; probabilities are float32 in any case.
    window_seconds: how much the network hears at once. Attention grows with its square.
    overlap_seconds: at either end of a window, heard and not kept.
    batch_windows: windows of one batch; moves no word. None: 20 s of sound on a CPU, 320 s elsewhere.
    lower_case: write small letters, where the checkpoint writes capitals; None is what its tokenizer says.
    """

    weights: str = "facebook/wav2vec2-base-960h"
    revision: str | None = None
    licence: Annotated[str, Field(min_length=1)] = "LicenseRef-unknown"
    language: Annotated[str, Field(min_length=2)] = "en"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    window_seconds: Annotated[float, Field(ge=1, le=120)] = 20.0
    overlap_seconds: Annotated[Positive, Field(le=30)] = 4.0
    batch_windows: Count | None = None
    lower_case: bool | None = None


class Wav2Vec2Ctc(CtcTranscriber):
    """Sound through a published network with a CTC head."""

    def __init__(self, settings: Wav2Vec2CtcSettings, host: EncoderHost) -> None:
        """Reads the checkpoint's small files; the weights are loaded by the first batch.

        Raises:
            ConfigError: no such weights, none that transcribe, or windows that two overlaps fill.
            TransientError: the hub cannot be reached.
        """
        self.settings = settings
        self._host = host
        self._pretrained = describe(settings.weights, settings.revision, NAME)
        self._check_head(self._pretrained)
        architecture = read_architecture(self._pretrained)
        published = read_vocabulary(self._pretrained, settings.lower_case)
        self.vocabulary, self.grid = published.vocabulary, architecture.grid
        self.sample_rate_hz = architecture.sample_rate_hz
        self._is_normalized = architecture.is_normalized
        self.window_frames = self.grid.num_frames(int(settings.window_seconds * self.sample_rate_hz))
        self.overlap_frames = int(settings.overlap_seconds * self.sample_rate_hz) // self.grid.hop_samples
        self._check_windows()
        batch_seconds = CPU_BATCH_SECONDS if host.device == "cpu" else ACCELERATOR_BATCH_SECONDS
        self.batch_windows = settings.batch_windows or max(1, round(batch_seconds / settings.window_seconds))
        self._network: CtcNetwork | None = None
        self.spec = TranscriberSpec(
            name=NAME,
            step_version=STEP_VERSION,
            language=normalize_language(settings.language),
            joiner=published.joiner,
            revision=self._pretrained.revision,
            licence=settings.licence,
            settings={
                **self._pretrained.as_json(),
                "dtype": settings.dtype,
                "window_frames": self.window_frames,
                "overlap_frames": self.overlap_frames,
                "sample_rate_hz": self.sample_rate_hz,
                "is_normalized": self._is_normalized,
                "is_lower_cased": self.vocabulary.is_lower_cased,
                "longest_pause_seconds": LONGEST_PAUSE_SECONDS,
            },
        )

    def close(self) -> None:
        if self._network is not None and self._host.device.startswith("cuda"):
            import torch

            self._network = None
            torch.cuda.empty_cache()
        self._network = None

    def _best_tokens(self, samples: NDArray[np.float32]) -> BestTokens:
        if self._network is None:
            from mediafm.encoders.ctc_network import CtcNetwork

            self._network = CtcNetwork(self._pretrained, self._host.device, self.settings.dtype)
        return self._network.best_tokens(self._normalized(samples))

    def _normalized(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Zero mean and unit variance, where the network was trained so: of a window, as of an utterance."""
        if not self._is_normalized:
            return samples
        mean, variance = samples.mean(axis=1, keepdims=True), samples.var(axis=1, keepdims=True)
        return np.asarray((samples - mean) / np.sqrt(variance + np.float32(VARIANCE_FLOOR)), np.float32)

    def _check_head(self, pretrained: Pretrained) -> None:
        named = [str(name) for name in pretrained.config.get("architectures") or ()]
        has_adapter = bool(pretrained.config.get("add_adapter"))
        if has_adapter or not any(name.endswith("ForCTC") for name in named):
            raise ConfigError(
                f"weights of {', '.join(named) or 'no architecture'}{' with an adapter' if has_adapter else ''}",
                rule="a transcriber's weights have a CTC head (…ForCTC) and no adapter that changes the frames",
                where=f"{NAME}, {pretrained.weights}",
                remedy="Choose weights that were fine-tuned to transcribe.",
            )

    def _check_windows(self) -> None:
        if self.window_frames <= 2 * self.overlap_frames:
            raise ConfigError(
                f"window_seconds {self.settings.window_seconds}, overlap_seconds {self.settings.overlap_seconds}",
                rule="two overlaps are shorter than a window",
                where=f"{NAME}, {self.settings.weights}",
                remedy="Lower overlap_seconds.",
            )
