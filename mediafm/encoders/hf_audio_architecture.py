"""What the small files of an audio checkpoint say: how it hears, how wide it is, which layers it has.

Nothing here loads weights or imports a framework: a spec is made from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mediafm.encoders.hf_audio_chunks import FrameGrid
from mediafm.encoders.pretrained import Pretrained
from mediafm.errors import ConfigError

WAVEFORM_TYPES = (
    "data2vec-audio",
    "hubert",
    "sew",
    "unispeech",
    "unispeech-sat",
    "wav2vec2",
    "wav2vec2-conformer",
    "wavlm",
)
"""`model_type`s that read samples through a stack of convolutions without padding."""
WHISPER = "whisper"
WAVEFORM_EXTRACTOR = "Wav2Vec2FeatureExtractor"
WHISPER_EXTRACTOR = "WhisperFeatureExtractor"

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
"""Of wav2vec 2.0 (Baevski et al. 2020, section 4.2), where a config leaves them out."""
SAMPLE_RATE_HZ = 16_000
MEL_HOP_SAMPLES = 160
MEL_STRIDE = 2
"""Of the second convolution of Whisper's encoder."""


@dataclass(frozen=True, kw_only=True)
class AudioArchitecture:
    """How a checkpoint hears.

    model_type: its name in transformers.
    grid: its output frames.
    width: of its hidden states.
    num_layers: of its transformer.
    sample_rate_hz: that it was trained on.
    is_normalized: samples get zero mean and unit variance.
    window_frames: frames of the one length that it reads; None for a network that reads any length.
    extractor: its feature extractor's settings, as its file has them.
    """

    model_type: str
    grid: FrameGrid
    width: int
    num_layers: int
    sample_rate_hz: int
    is_normalized: bool
    window_frames: int | None
    extractor: Mapping[str, Any]


def read_architecture(pretrained: Pretrained) -> AudioArchitecture:
    """The architecture of published weights.

    A checkpoint without `preprocessor_config.json` gets what its extractor's class has for defaults: 16 kHz, for
    waveforms zero mean and unit variance, for Whisper as many mel bands as its config says.

    Raises:
        ConfigError: not an audio model that is known here, or an extractor of another kind.
    """
    config = pretrained.config
    model_type = str(config.get("model_type", ""))
    if model_type == WHISPER:
        return _whisper(config, _extractor(pretrained, WHISPER_EXTRACTOR))
    if model_type in WAVEFORM_TYPES:
        return _waveform(model_type, config, _extractor(pretrained, WAVEFORM_EXTRACTOR))
    raise ConfigError(
        f"model_type {model_type!r}",
        rule=f"an audio model is one of {', '.join((*WAVEFORM_TYPES, WHISPER))}",
        where=f"{pretrained.where}, {pretrained.weights}",
        remedy="Choose another model, or register an encoder of your own.",
    )


def chosen_layers(wanted: str | Sequence[int], num_layers: int, where: str) -> tuple[int, ...]:
    """The layers whose outputs are averaged, counted from 1, ascending.

    Args:
        wanted: "last:8" (all, if there are fewer) or the layers themselves.

    Raises:
        ConfigError: a layer that the model does not have.
    """
    if isinstance(wanted, str):
        count = int(wanted.removeprefix("last:"))
        return tuple(range(max(0, num_layers - count) + 1, num_layers + 1))
    beyond = [layer for layer in wanted if layer > num_layers]
    if beyond:
        raise ConfigError(
            f"layer {beyond[0]}",
            rule=f"the model has layers 1 to {num_layers}",
            where=where,
            remedy="Mend `layers` in the profile.",
        )
    return tuple(sorted(set(wanted)))


def _waveform(model_type: str, config: Mapping[str, Any], extractor: Mapping[str, Any]) -> AudioArchitecture:
    grid = FrameGrid.of_convolutions(config.get("conv_kernel", KERNELS), config.get("conv_stride", STRIDES))
    if model_type == "sew":
        grid = _squeezed(grid, int(config.get("squeeze_factor", 2)))
    return AudioArchitecture(
        model_type=model_type,
        grid=grid,
        width=int(config.get("hidden_size", 768)),
        num_layers=int(config.get("num_hidden_layers", 12)),
        sample_rate_hz=int(extractor.get("sampling_rate", SAMPLE_RATE_HZ)),
        is_normalized=bool(extractor.get("do_normalize", True)),
        window_frames=None,
        extractor=extractor,
    )


def _whisper(config: Mapping[str, Any], extractor: Mapping[str, Any]) -> AudioArchitecture:
    hop_samples = MEL_STRIDE * int(extractor.get("hop_length", MEL_HOP_SAMPLES))
    return AudioArchitecture(
        model_type=WHISPER,
        grid=FrameGrid(hop_samples, hop_samples),
        width=int(config.get("d_model", 384)),
        num_layers=int(config.get("encoder_layers", 4)),
        sample_rate_hz=int(extractor.get("sampling_rate", SAMPLE_RATE_HZ)),
        is_normalized=False,
        window_frames=int(config.get("max_source_positions", 1500)),
        extractor={"feature_size": int(config.get("num_mel_bins", 80)), **extractor},
    )


def _squeezed(grid: FrameGrid, factor: int) -> FrameGrid:
    """SEW's transformer runs over the means of `factor` frames."""
    return FrameGrid(grid.hop_samples * factor, grid.field_samples + (factor - 1) * grid.hop_samples)


def _extractor(pretrained: Pretrained, kind: str) -> Mapping[str, Any]:
    """The feature extractor's settings: a file of their own, or a part of the processor's; empty if there is none."""
    found = pretrained.json_file("preprocessor_config.json")
    if found is None:
        processor = pretrained.json_file("processor_config.json") or {}
        found = processor.get("feature_extractor") or {}
    named = found.get("feature_extractor_type", kind)
    if named != kind:
        raise ConfigError(
            f"a {named}",
            rule=f"this model is fed by a {kind}",
            where=f"{pretrained.where}, {pretrained.weights}",
            remedy="Choose weights of this kind.",
        )
    return found
