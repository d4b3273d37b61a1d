"""hf-audio on small random checkpoints of each family: the slow reference, batches, margins, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray
from torch.nn import functional

from mediafm.config import EncoderChoice
from mediafm.encoders import hf_audio_network
from mediafm.encoders.encoder import ShotAudio
from mediafm.encoders.hf_audio import HfAudio
from mediafm.encoders.host import EncoderHost
from mediafm.encoders.registry import create_encoder
from mediafm.errors import ConfigError, EncoderError
from mediafm.testing.encoders import check_encoder
from mediafm.testing.inputs import odd_sounds
from mediafm.types import Modality

RATE_HZ = 16_000
TOLERANCE = 1e-5
"""Kernels depend a little on the batch's size."""
SMALL: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
LAYER_NORMED = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
FAMILIES: dict[str, Callable[[], Any]] = {
    "base": lambda: transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**SMALL)),
    "large": lambda: transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**SMALL, **LAYER_NORMED)),
    "conformer": lambda: transformers.Wav2Vec2ConformerModel(
        transformers.Wav2Vec2ConformerConfig(**SMALL, position_embeddings_type="relative")
    ),
    "hubert": lambda: transformers.HubertModel(transformers.HubertConfig(**SMALL)),
    "wavlm": lambda: transformers.WavLMModel(transformers.WavLMConfig(**SMALL)),
    "data2vec": lambda: transformers.Data2VecAudioModel(
        transformers.Data2VecAudioConfig(**{**SMALL, "conv_pos_kernel_size": 3, "num_conv_pos_embeddings": 2})
    ),
    "unispeech-sat": lambda: transformers.UniSpeechSatModel(transformers.UniSpeechSatConfig(**SMALL)),
    "sew": lambda: transformers.SEWModel(
        transformers.SEWConfig(
            **{**SMALL, "conv_kernel": (10, 3, 3, 3, 3, 2, 2), "conv_stride": (5, 2, 2, 2, 2, 2, 2)}, squeeze_factor=2
        )
    ),
}


@pytest.fixture(scope="module")
def save(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Saves a small random checkpoint of a family; each only once."""
    known: dict[str, Path] = {}

    def saved(family: str, **extractor: Any) -> Path:
        name = f"{family}{json.dumps(extractor, sort_keys=True)}"
        if name not in known:
            torch.manual_seed(7)
            known[name] = tmp_path_factory.mktemp(family)
            FAMILIES[family]().save_pretrained(known[name])
            transformers.Wav2Vec2FeatureExtractor(**extractor).save_pretrained(known[name])
        return known[name]

    return saved


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Whisper that reads two seconds at a time."""
    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp("whisper")
    config = transformers.WhisperConfig(
        d_model=24,
        encoder_layers=3,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_source_positions=100,
        num_mel_bins=20,
        vocab_size=50,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
    )
    transformers.WhisperModel(config).save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=2).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(folder: Path, **settings: Any) -> HfAudio:
    found = create_encoder(
        Modality.AUDIO, EncoderChoice(name="hf-audio", settings={"weights": str(folder), **settings})
    )
    assert isinstance(found, HfAudio)
    return found


def noise(num_samples: int, seed: int = 0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).normal(0.02, 0.1, num_samples)).astype(np.float32)


def sound(num_samples: int, seed: int = 0) -> ShotAudio:
    return ShotAudio(noise(num_samples, seed), RATE_HZ)


def reference(folder: Path, samples: NDArray[np.float32], layers: list[int]) -> NDArray[np.float32]:
    """As slow and plain as can be: the checkpoint's own extractor, its model, all hidden states."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    inputs = extractor(samples, sampling_rate=RATE_HZ, return_tensors="pt")
    with torch.inference_mode():
        states = model(inputs["input_values"], output_hidden_states=True).hidden_states
    normed = [functional.layer_norm(states[layer][0], states[layer][0].shape[-1:]) for layer in layers]
    return torch.stack(normed).mean(dim=0).mean(dim=0).numpy()


def near(found: NDArray[np.float32], expected: NDArray[np.float32], share: float = TOLERANCE) -> None:
    assert np.abs(found - expected).max() <= share * np.linalg.norm(expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_shot_of_one_chunk_equals_the_slow_reference(family: str, save: Callable[..., Path]) -> None:
    folder = save(family)
    with make(folder) as encoder:
        num_samples = encoder._architecture.grid.num_samples(encoder._lengths[0])
        assert 0.96 * RATE_HZ < num_samples <= RATE_HZ
        near(encoder.encode([sound(num_samples)])[0], reference(folder, noise(num_samples), [1, 2, 3]))


@pytest.mark.parametrize("do_normalize", [True, False])
def test_the_extractor_is_obeyed(do_normalize: bool, save: Callable[..., Path]) -> None:
    folder = save("large", do_normalize=do_normalize, return_attention_mask=True)
    near(make(folder).encode([sound(15_760)])[0], reference(folder, noise(15_760), [1, 2, 3]))


@pytest.mark.parametrize(
    ("layers", "expected"), [("last:2", [2, 3]), ([1, 3], [1, 3]), ([2], [2]), ("last:8", [1, 2, 3])]
)
def test_the_chosen_layers_are_averaged(layers: Any, expected: list[int], save: Callable[..., Path]) -> None:
    folder = save("base")
    encoder = make(folder, layers=layers)
    assert encoder.spec.settings["layers"] == expected
    near(encoder.encode([sound(6800)])[0], reference(folder, noise(6800), expected))


@pytest.mark.parametrize("family", ["base", "large", "wavlm", "sew"])
def test_conformance(family: str, save: Callable[..., Path]) -> None:
    folder = save(family)
    check_encoder(lambda: make(folder), odd_sounds(), tolerance=TOLERANCE)


def test_conformance_of_whisper(whisper: Path) -> None:
    check_encoder(lambda: make(whisper), odd_sounds(), tolerance=TOLERANCE)


def test_a_long_shot_is_the_mean_of_its_chunks_normalized_as_a_whole(save: Callable[..., Path]) -> None:
    """2.5 seconds in chunks of two and one; the overlap is split in the middle, each frame counts once."""
    folder = save("base")
    samples = noise(40_000) * np.linspace(0.1, 1, 40_000, dtype=np.float32)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    inputs = transformers.AutoFeatureExtractor.from_pretrained(folder)(samples, sampling_rate=RATE_HZ).input_values[0]
    frames = (40_000 - 400) // 320 + 1
    expected = []
    with torch.inference_mode():
        for start, length, own in ((0, 99, slice(0, 87)), (frames - 49, 49, slice(12, 49))):
            heard = torch.from_numpy(inputs[start * 320 : (start + length - 1) * 320 + 400])
            states = model(heard[None], output_hidden_states=True).hidden_states[1:]
            expected.append(torch.stack([functional.layer_norm(each[0], (24,)) for each in states]).mean(dim=0)[own])
    assert sum(map(len, expected)) == frames
    near(make(folder).encode([ShotAudio(samples, RATE_HZ)])[0], torch.cat(expected).mean(dim=0).numpy())


@pytest.mark.parametrize("family", ["base", "large"])
def test_nothing_is_padded(family: str, save: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the network reads is the shot's own samples, in rows of one length, whatever else is in the batch."""
    seen: list[torch.Tensor] = []
    inputs = hf_audio_network.AudioNetwork._inputs

    def recorded(network: hf_audio_network.AudioNetwork, samples: Any) -> torch.Tensor:
        seen.append(inputs(network, samples))
        return seen[-1]

    monkeypatch.setattr(hf_audio_network.AudioNetwork, "_inputs", recorded)
    with make(save(family, do_normalize=False)) as encoder:
        encoder.encode([sound(length, seed) for seed, length in enumerate((5000, 20_000, 31_000, 5100, 150_000))])
    assert all((batch != 0).all() for batch in seen)
    assert sum(len(batch) for batch in seen) >= 7


def test_batches_cross_shots(save: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    vectors = hf_audio_network.AudioNetwork.vectors

    def counted(network: hf_audio_network.AudioNetwork, chunks: Any) -> NDArray[np.float32]:
        sizes.append(len(chunks))
        return vectors(network, chunks)

    monkeypatch.setattr(hf_audio_network.AudioNetwork, "vectors", counted)
    make(save("base"), batch_seconds=4).encode([sound(16_000, seed) for seed in range(10)])
    assert sizes == [4, 4, 2]


def test_batch_seconds_move_no_vector_and_are_not_in_the_spec(save: Callable[..., Path]) -> None:
    one, many = make(save("base"), batch_seconds=0.1), make(save("base"), batch_seconds=100)
    assert one.spec == many.spec
    sounds = [sound(length, seed) for seed, length in enumerate((16_000, 47_000, 16_000, 33_333, 9000))]
    for first, second in zip(one.encode(sounds), many.encode(sounds), strict=True):
        near(first, second)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_the_bits_give_nearly_the_same_direction(dtype: str, save: Callable[..., Path]) -> None:
    sounds = [sound(16_000), sound(5000, 1)]
    exact, half = make(save("base")).encode(sounds), make(save("base"), dtype=dtype).encode(sounds)
    cosines = (exact * half).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(half, axis=1)
    assert (cosines >= 0.999).all()
    assert make(save("base"), dtype=dtype).spec.settings["dtype"] == dtype


def test_without_crossing_cuts_the_neighbours_are_not_heard(save: Callable[..., Path]) -> None:
    alone = ShotAudio(noise(20_000), RATE_HZ)
    between = ShotAudio(noise(20_000), RATE_HZ, before=noise(16_000, 1), after=noise(16_000, 2))
    encoder = make(save("base"))
    assert encoder.margin_seconds == 0
    assert not encoder.spec.crosses_cuts
    np.testing.assert_array_equal(*encoder.encode([alone, between]))


def test_a_margin_is_heard_and_only_the_shot_is_pooled(save: Callable[..., Path]) -> None:
    folder = save("large", do_normalize=False)
    before, own, after = noise(16_000, 1), noise(15_760), noise(16_000, 2)
    encoder = make(folder, crosses_cuts=True, margin_seconds=1)
    assert encoder.margin_seconds == 1
    assert encoder.spec.crosses_cuts
    assert encoder.spec.settings["margin_seconds"] == 1
    model = transformers.AutoModel.from_pretrained(folder).eval()
    heard = np.concatenate([before, own, after])[: 399 + (50 + 49 + 50 - 1) * 320 + 1]
    with torch.inference_mode():
        states = model(torch.from_numpy(heard)[None], output_hidden_states=True).hidden_states[1:]
    normed = torch.stack([functional.layer_norm(each[0], (24,)) for each in states]).mean(dim=0)
    assert len(normed) == 149
    found = encoder.encode([ShotAudio(own, RATE_HZ, before, after)])[0]
    near(found, normed[50:99].mean(dim=0).numpy())


@pytest.mark.parametrize(
    ("num_before", "num_own", "num_after"), [(0, 1, 0), (0, 0, 900), (100, 50, 0), (9000, 40_000, 3)]
)
def test_any_margin_is_borne(
    num_before: int, num_own: int, num_after: int, save: Callable[..., Path], whisper: Path
) -> None:
    shot = ShotAudio(noise(num_own), RATE_HZ, noise(num_before, 1), noise(num_after, 2))
    for folder in (save("base"), whisper):
        assert np.isfinite(make(folder, crosses_cuts=True, margin_seconds=0.5).encode([shot])).all()


def test_whisper_pools_the_shot_and_not_its_padding(whisper: Path) -> None:
    samples = noise(20 * 320)
    model = transformers.WhisperModel.from_pretrained(whisper).get_encoder().eval()
    features = transformers.WhisperFeatureExtractor.from_pretrained(whisper)(
        samples, sampling_rate=RATE_HZ, return_tensors="pt"
    )
    with torch.inference_mode():
        states = model(features["input_features"], output_hidden_states=True).hidden_states
    captured = [functional.layer_norm(states[layer][0, :20], (24,)) for layer in (1, 2)]
    expected = torch.stack(captured).mean(dim=(0, 1)).numpy()
    near(make(whisper, layers=[1, 2]).encode([ShotAudio(samples, RATE_HZ)])[0], expected)


def test_whisper_without_an_extractor_has_its_configs_bands(whisper: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((whisper / name).read_bytes())
    np.testing.assert_array_equal(make(tmp_path).encode([sound(9000)]), make(whisper).encode([sound(9000)]))


def test_a_long_shot_fills_several_windows_of_whisper(whisper: Path) -> None:
    """Five seconds in three equal windows; the mean of the three heard alone, each as long as the others."""
    samples = noise(3 * 84 * 320)
    thirds = [ShotAudio(part, RATE_HZ) for part in np.split(samples, 3)]
    encoder = make(whisper)
    near(encoder.encode([ShotAudio(samples, RATE_HZ)])[0], encoder.encode(thirds).mean(axis=0))


@pytest.mark.parametrize("second", range(5))
def test_every_second_of_a_shot_is_heard(second: int, save: Callable[..., Path]) -> None:
    samples = noise(5 * RATE_HZ)
    other = samples.copy()
    other[second * RATE_HZ : (second + 1) * RATE_HZ] = noise(RATE_HZ, 9)
    first, changed = make(save("large")).encode([ShotAudio(samples, RATE_HZ), ShotAudio(other, RATE_HZ)])
    assert np.abs(first - changed).max() > 1e-4 * np.linalg.norm(first)


def test_a_waiting_chunk_does_not_hold_its_shot(save: Callable[..., Path]) -> None:
    pieces = list(make(save("base"))._pieces(sound(30 * RATE_HZ)))
    assert sum(piece.weight for piece in pieces) == (30 * RATE_HZ - 400) // 320 + 1
    assert all(piece.content.samples.base is None for piece in pieces)


def test_attention_is_the_fused_one(save: Callable[..., Path]) -> None:
    encoder = make(save("base"))
    encoder.encode([sound(500)])
    assert encoder._network is not None
    assert encoder._network._network.config._attn_implementation == "sdpa"


def test_weights_are_loaded_by_the_first_batch_and_freed(save: Callable[..., Path]) -> None:
    encoder = make(save("base"))
    assert encoder._network is None
    encoder.encode([sound(500)])
    assert encoder._network is not None
    encoder.close()
    assert encoder._network is None


def test_the_spec_says_where_the_weights_are_from_and_no_path(save: Callable[..., Path]) -> None:
    spec = make(save("base"), licence="Apache-2.0", dtype="bfloat16", chunk_seconds=[2, 1]).spec
    assert (spec.name, spec.width, spec.licence) == ("hf-audio", 24, "Apache-2.0")
    assert spec.revision.startswith("sha256:")
    assert spec.settings == {
        "weights": "local",
        "layers": [1, 2, 3],
        "dtype": "bfloat16",
        "sample_rate_hz": RATE_HZ,
        "is_normalized": True,
        "chunk_frames": [49, 99],
    }


def test_an_old_checkpoint_is_read_alike(save: Callable[..., Path], tmp_path: Path) -> None:
    """A pickle of tensors, weight norm under its old names, no mask embedding, no extractor."""
    folder = save("base")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    state = transformers.Wav2Vec2Model.from_pretrained(folder).state_dict()
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    renamed = {}
    for name, tensor in state.items():
        for now, then in old.items():
            name = name.replace(now, then)
        renamed[f"wav2vec2.{name}"] = tensor
    del renamed["wav2vec2.masked_spec_embed"]
    assert any(name.endswith("weight_g") for name in renamed)
    torch.save(renamed, tmp_path / "pytorch_model.bin")
    np.testing.assert_array_equal(make(tmp_path).encode([sound(9000)]), make(folder).encode([sound(9000)]))


def test_a_processor_file_may_hold_the_extractor(save: Callable[..., Path], tmp_path: Path) -> None:
    folder = save("base")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "processor_config.json").write_text(json.dumps({"feature_extractor": {"do_normalize": False}}))
    assert make(tmp_path).spec.settings["is_normalized"] is False


def test_missing_weights_are_refused(save: Callable[..., Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save("base")
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    state = load_file(folder / "model.safetensors")
    del state["encoder.layers.1.attention.k_proj.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match="1 weights absent"):
        make(tmp_path).encode([sound(500)])


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2"}')
    with pytest.raises(ConfigError, match=r"no model\.safetensors"):
        make(tmp_path)


def changed(folder: Path, tmp_path: Path, file: str, **values: Any) -> Path:
    """A copy of a checkpoint with other values in one of its JSON files."""
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    told = json.loads((tmp_path / file).read_text())
    (tmp_path / file).write_text(json.dumps({**told, **values}))
    return tmp_path


def test_an_unknown_architecture_is_answered_with_the_known(save: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model_type 'clap'; an audio model is one of .*wav2vec2"):
        make(changed(save("base"), tmp_path, "config.json", model_type="clap"))


def test_another_extractor_is_refused(save: Callable[..., Path], tmp_path: Path) -> None:
    other = changed(save("base"), tmp_path, "preprocessor_config.json", feature_extractor_type="ClapFeatureExtractor")
    with pytest.raises(ConfigError, match="a ClapFeatureExtractor; this model is fed by a Wav2Vec2FeatureExtractor"):
        make(other)


def test_sound_is_brought_to_the_rate_of_the_extractor(save: Callable[..., Path], tmp_path: Path) -> None:
    other = make(changed(save("base"), tmp_path, "preprocessor_config.json", sampling_rate=8000))
    assert other.spec.settings["sample_rate_hz"] == 8000
    assert other._heard(sound(16_000))[0].shape == (8000,)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"layers": [1, 4]}, "layer 4; the model has layers 1 to 3"),
        ({"layers": "first:8"}, "layers"),
        ({"layers": []}, "layers"),
        ({"chunk_seconds": []}, "chunk_seconds"),
        ({"dtype": "int8"}, "dtype"),
        ({"crosses_cuts": True, "margin_seconds": 0}, "margin_seconds"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], complaint: str, save: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=complaint):
        make(save("base"), **settings)


def test_margins_that_fill_whispers_window_are_refused(whisper: Path) -> None:
    with pytest.raises(ConfigError, match="two margins are shorter than the 100 frames"):
        make(whisper, crosses_cuts=True, margin_seconds=1)


def test_settings_have_defaults() -> None:
    from mediafm.encoders.hf_audio import HfAudioSettings

    settings = HfAudioSettings()
    assert HfAudioSettings.model_validate_json(settings.model_dump_json()) == settings
    assert EncoderHost().device == "cpu"
