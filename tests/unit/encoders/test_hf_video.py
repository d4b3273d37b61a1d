"""hf-video: every architecture by one door; batched as one at a time; queries as transformers itself reads them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from mediafm.config import EncoderChoice
from mediafm.encoders.encoder import ShotFrames
from mediafm.encoders.hf_video import HfVideo, HfVideoSettings
from mediafm.encoders.registry import create_encoder
from mediafm.errors import ConfigError, EncoderError
from mediafm.testing.encoders import check_encoder
from mediafm.testing.inputs import odd_shots
from mediafm.types import Modality

SIDE = 32
TOLERANCE = 1e-5
BLOCKS = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**BLOCKS, "image_size": SIDE, "patch_size": 8}
WORDS = ("<pad>", "<eos>", "<unk>", "a", "red", "car", "at", "night", "dog")
LETTERS = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", "a", "d", "e", "r")
TEXT = {**BLOCKS, "vocab_size": len(LETTERS), "max_position_embeddings": 8, "pad_token_id": 0, "eos_token_id": 1}
TEXT |= {"bos_token_id": 1}
COLOURS = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
CROPPED = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}, "do_center_crop": True}
SQUARE = {"size": {"height": SIDE, "width": SIDE}}


def _clip() -> Any:
    return transformers.CLIPModel(transformers.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=12))


def _siglip() -> Any:
    return transformers.SiglipModel(
        transformers.SiglipConfig(text_config={**TEXT, "projection_size": 24}, vision_config=VISION)
    )


def _naflex() -> Any:
    vision = {**BLOCKS, "patch_size": 8, "num_patches": 16}
    return transformers.Siglip2Model(
        transformers.Siglip2Config(text_config={**TEXT, "projection_size": 24}, vision_config=vision)
    )


def _resnet() -> Any:
    return transformers.ResNetModel(
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    )


def _convnext() -> Any:
    return transformers.ConvNextModel(transformers.ConvNextConfig(hidden_sizes=[8, 12], depths=[1, 1], num_stages=2))


def _vit() -> Any:
    return transformers.ViTForImageClassification(transformers.ViTConfig(**VISION))


def _dino() -> Any:
    return transformers.Dinov2Model(transformers.Dinov2Config(**{**VISION, "image_size": 56}))


Case = tuple[Callable[[], Any], dict[str, Any], str, int]
"""The network, its image processor's file, an output and its width."""
CASES: dict[str, Case] = {
    "clip": (_clip, {"image_processor_type": "CLIPImageProcessor", **CROPPED}, "projected", 12),
    "clip trunk": (_clip, {"image_processor_type": "CLIPImageProcessor", **CROPPED}, "trunk", 24),
    "siglip": (_siglip, {"image_processor_type": "SiglipImageProcessor", **SQUARE}, "projected", 24),
    "siglip trunk": (_siglip, {"image_processor_type": "SiglipImageProcessor", **SQUARE}, "trunk", 24),
    "siglip2 naflex": (
        _naflex,
        {"image_processor_type": "Siglip2ImageProcessor", "patch_size": 8, "max_num_patches": 16},
        "projected",
        24,
    ),
    "resnet": (_resnet, {"feature_extractor_type": "ConvNextFeatureExtractor", "size": SIDE}, "trunk", 16),
    "convnext": (_convnext, {"image_processor_type": "ConvNextImageProcessor", "size": SIDE}, "trunk", 12),
    "vit": (_vit, {"image_processor_type": "ViTImageProcessor", "size": SIDE}, "trunk", 24),
    "dinov2": (_dino, {"image_processor_type": "BitImageProcessor", **CROPPED}, "trunk", 24),
}


def _saved(folder: Path, network: Any, processor: dict[str, Any]) -> Path:
    torch.set_num_threads(1)
    network.eval().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({**processor, **COLOURS}))
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small random checkpoint of every architecture, and its tokenizer where it reads texts."""
    found = {}
    for name, (make, processor, _, _) in CASES.items():
        torch.manual_seed(3)
        found[name] = _saved(tmp_path_factory.mktemp("weights"), make(), processor)
        if make in (_clip, _siglip):
            _save_tokenizer(found[name], is_lower_casing=make is _clip)
        if make is _naflex:
            _save_letter_tokenizer(found[name])
    return found


def _save_tokenizer(folder: Path, is_lower_casing: bool) -> None:
    backend = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    if is_lower_casing:
        backend.normalizer = normalizers.Lowercase()
    backend.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    ).save_pretrained(folder)


def _save_letter_tokenizer(folder: Path) -> None:
    """As SigLIP 2's: byte pairs, and spaces as a letter."""
    backend = Tokenizer(models.BPE({word: place for place, word in enumerate(LETTERS)}, [], unk_token="<unk>"))
    backend.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    ).save_pretrained(folder)


def _encoder(checkpoints: dict[str, Path], name: str, **settings: Any) -> HfVideo:
    chosen = {"weights": str(checkpoints[name]), "output": CASES[name][2], **settings}
    return HfVideo(HfVideoSettings.model_validate(chosen))


def _frames(seed: int, num: int = 1, height: int = 48, width: int = 64) -> ShotFrames:
    draw = np.random.default_rng(seed)
    frames = tuple(draw.integers(0, 256, (height, width, 3), np.uint8) for _ in range(num))
    return ShotFrames(frames, tuple(float(place) for place in range(num)))


@pytest.mark.parametrize("name", CASES)
def test_every_architecture_keeps_the_contract(name: str, checkpoints: dict[str, Path]) -> None:
    check_encoder(partial(_encoder, checkpoints, name, batch_frames=4), odd_shots(), tolerance=TOLERANCE)
    spec = _encoder(checkpoints, name).spec
    assert spec.width == CASES[name][3]
    assert str(checkpoints[name]) not in json.dumps(spec.as_json())


@pytest.mark.parametrize("name", CASES)
def test_a_frame_alone_is_read_as_transformers_reads_it(name: str, checkpoints: dict[str, Path]) -> None:
    make, _, output, _ = CASES[name]
    shot = _frames(0)
    encoder = _encoder(checkpoints, name, normalise_frames=False)
    vector = encoder.encode([shot])[0]
    pictures = encoder._network()[1].prepare(shot.frames_rgb)
    whole = type(make()).from_pretrained(checkpoints[name]).eval()
    with torch.inference_mode():
        np.testing.assert_allclose(vector, _expected(whole, pictures, output)[0].numpy(), atol=2e-6)


def _expected(whole: Any, pictures: torch.Tensor, output: str) -> torch.Tensor:
    """The vectors by the whole model's own methods."""
    if isinstance(whole, transformers.Siglip2Model):
        processor = transformers.Siglip2ImageProcessorPil(
            patch_size=8, max_num_patches=20, do_resize=False, do_rescale=False, do_normalize=False
        )
        return whole.get_image_features(**processor(list(pictures), return_tensors="pt")).pooler_output
    if output == "projected":
        return whole.get_image_features(pixel_values=pictures).pooler_output
    if isinstance(whole, transformers.CLIPModel):
        return whole.vision_model(pixel_values=pictures).pooler_output
    if isinstance(whole, transformers.SiglipModel):
        return whole.vision_model(pixel_values=pictures).last_hidden_state.mean(1)
    if isinstance(whole, transformers.ViTForImageClassification):
        return whole.vit(pixel_values=pictures).last_hidden_state[:, 0]
    return whole(pixel_values=pictures).pooler_output.flatten(1)


def test_a_stored_frame_is_read_as_through_the_checkpoints_own_processor(checkpoints: dict[str, Path]) -> None:
    encoder = _encoder(checkpoints, "clip")
    processor = transformers.CLIPImageProcessorPil.from_pretrained(checkpoints["clip"])
    whole = transformers.CLIPModel.from_pretrained(checkpoints["clip"]).eval()
    for seed, (height, width) in enumerate([(384, 682), (384, 512), (682, 384)]):
        shot = _frames(seed, 1, height, width)
        vector = encoder.encode([shot])[0]
        with torch.inference_mode():
            theirs = whole.get_image_features(**processor(shot.frames_rgb[0], return_tensors="pt")).pooler_output[0]
        cosine = vector @ theirs.numpy() / np.linalg.norm(vector) / np.linalg.norm(theirs)
        assert cosine > 0.99999


def test_frames_fill_batches_across_shots_and_sizes(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = _encoder(checkpoints, "clip", batch_frames=8)
    sizes: list[int] = []
    network, _ = encoder._network()
    forward = network.network.forward
    monkeypatch.setattr(
        network.network, "forward", lambda pixel_values: sizes.append(len(pixel_values)) or forward(pixel_values)
    )
    shots = [_frames(0, 3), _frames(1, 7, 32, 90), _frames(2, 1, 90, 32), _frames(3, 5)]
    together = encoder.encode(shots)
    assert sizes == [8, 8]
    alone = np.concatenate([encoder.encode([shot]) for shot in shots])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_neighbours_picture_does_not_move_a_vector(name: str, checkpoints: dict[str, Path]) -> None:
    encoder = _encoder(checkpoints, name, batch_frames=8)
    mine, black = _frames(0, 3), ShotFrames((np.zeros((48, 64, 3), np.uint8),) * 3, (0.0, 1.0, 2.0))
    beside_noise, beside_black = encoder.encode([mine, _frames(1, 3)]), encoder.encode([mine, black])
    np.testing.assert_array_equal(beside_noise[0], beside_black[0])
    assert np.abs(beside_noise[1] - beside_black[1]).max() > 1e-4


def test_the_mean_over_time_is_of_unit_vectors_or_of_raw_ones(checkpoints: dict[str, Path]) -> None:
    shot = _frames(0, 3)
    singles = [ShotFrames((frame,), (0.0,)) for frame in shot.frames_rgb]
    for is_normalised in (True, False):
        encoder = _encoder(checkpoints, "clip", normalise_frames=is_normalised)
        vectors = encoder.encode(singles)
        np.testing.assert_allclose(encoder.encode([shot])[0], vectors.mean(axis=0), atol=1e-6)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5) is is_normalised


@pytest.mark.parametrize("name", ["clip", "clip trunk", "siglip", "siglip trunk", "siglip2 naflex"])
def test_frames_are_read_without_the_text_tower(name: str, checkpoints: dict[str, Path]) -> None:
    encoder = _encoder(checkpoints, name)
    encoder.encode([_frames(0)])
    parts = [part for part, _ in encoder._network()[0].network.named_parameters()]
    assert parts
    assert not [part for part in parts if "text" in part or "token_embedding" in part]
    assert encoder._queries is None


@pytest.mark.parametrize(
    ("name", "text", "ids"),
    [
        ("clip", "A red CAR at night", [3, 4, 5, 6, 7, 1]),
        ("siglip", "A red CAR at night", [3, 4, 5, 6, 7, 1, 0, 0]),
        ("siglip2 naflex", "A RED", [6, 5, 9, 8, 7, 1, 0, 0]),
    ],
)
def test_a_query_is_read_as_transformers_reads_it(
    name: str, text: str, ids: list[int], checkpoints: dict[str, Path]
) -> None:
    encoder = _encoder(checkpoints, name)
    assert encoder.reads_queries
    whole = transformers.AutoModel.from_pretrained(checkpoints[name]).eval()
    with torch.inference_mode():
        expected = whole.get_text_features(input_ids=torch.tensor([ids])).pooler_output[0].numpy()
    vector = encoder.encode_query(text)
    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)
    assert encoder._loaded is None


@pytest.mark.parametrize("text", ["", "\ud800", "a red car " * 1000])
@pytest.mark.parametrize("name", ["clip", "siglip", "siglip2 naflex"])
def test_odd_queries_are_borne(text: str, name: str, checkpoints: dict[str, Path]) -> None:
    assert np.linalg.norm(_encoder(checkpoints, name).encode_query(text)) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(("name", "seen"), [("clip trunk", "a trunk's vectors"), ("resnet", "a trunk's vectors")])
def test_a_query_without_a_projection_is_refused(name: str, seen: str, checkpoints: dict[str, Path]) -> None:
    encoder = _encoder(checkpoints, name)
    assert not encoder.reads_queries
    with pytest.raises(ConfigError, match=f"{seen}; a query in words needs a text tower"):
        encoder.encode_query("a dog")


def test_a_vision_tower_of_its_own_is_read_but_has_no_queries(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    whole = transformers.CLIPModel.from_pretrained(checkpoints["clip"])
    config = transformers.CLIPVisionConfig(**VISION, projection_dim=12)
    alone = transformers.CLIPVisionModelWithProjection(config)
    alone.vision_model.load_state_dict(whole.vision_model.state_dict())
    alone.visual_projection.load_state_dict(whole.visual_projection.state_dict())
    _saved(tmp_path, alone, CASES["clip"][1])
    encoder = HfVideo(HfVideoSettings(weights=str(tmp_path)))
    expected = _encoder(checkpoints, "clip").encode([_frames(0)])
    np.testing.assert_allclose(encoder.encode([_frames(0)]), expected, atol=1e-6)
    with pytest.raises(ConfigError, match="a model without a text tower"):
        encoder.encode_query("a dog")


def test_a_query_without_a_tokenizer_says_what_is_missing(tmp_path: Path) -> None:
    encoder = HfVideo(HfVideoSettings(weights=str(_saved(tmp_path, _clip(), CASES["clip"][1]))))
    with pytest.raises(ConfigError, match="no vocabulary; a tokenizer brings one of"):
        encoder.encode_query("a dog")


@pytest.mark.parametrize("name", ["resnet", "vit", "dinov2"])
def test_a_projection_that_is_not_there_is_refused(name: str, checkpoints: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match=r'output = "projected" of .*Set output = "trunk"'):
        _encoder(checkpoints, name, output="projected")


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    bert = transformers.BertModel(transformers.BertConfig(**BLOCKS, vocab_size=8))
    folder = str(_saved(tmp_path, bert, {}))
    with pytest.raises(ConfigError, match="model_type 'bert'; the vision towers are clip"):
        HfVideo(HfVideoSettings(weights=folder))


def test_another_picture_size_than_the_towers_is_refused(tmp_path: Path) -> None:
    processor = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 64, "width": 64}}
    with pytest.raises(ConfigError, match=r"pictures of \[\(64, 64\)\] px; this tower takes \(32, 32\)"):
        HfVideo(HfVideoSettings(weights=str(_saved(tmp_path, _siglip(), processor))))
    patches = {"image_processor_type": "Siglip2ImageProcessor", "patch_size": 16}
    with pytest.raises(ConfigError, match=r"patches of \(16, 16\) px; this tower takes patches of 8 px"):
        HfVideo(HfVideoSettings(weights=str(_saved(tmp_path, _naflex(), patches))))


def test_absent_weights_are_refused_by_the_first_batch(tmp_path: Path) -> None:
    network = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VISION))
    _saved(tmp_path, network, CASES["clip"][1])
    with pytest.raises(ConfigError, match=r"CLIPVisionModel; only a model of pictures and texts has a projection"):
        HfVideo(HfVideoSettings(weights=str(tmp_path)))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(EncoderError, match="weights absent"):
        HfVideo(HfVideoSettings(weights=str(tmp_path), output="trunk")).encode([_frames(0)])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["clip", "siglip", "resnet", "vit"])
def test_half_precision_stays_near(name: str, dtype: str, checkpoints: dict[str, Path]) -> None:
    shots = [_frames(seed, 2) for seed in range(3)]
    full, half = _encoder(checkpoints, name), _encoder(checkpoints, name, dtype=dtype)
    assert half.spec.settings["dtype"] == dtype
    exact, rounded = full.encode(shots), half.encode(shots)
    cosines = (exact * rounded).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rounded, axis=1)
    assert cosines.min() > 0.999
    assert not np.array_equal(exact, rounded)


def test_what_moves_vectors_stands_in_the_spec_and_nothing_else(checkpoints: dict[str, Path]) -> None:
    plain = _encoder(checkpoints, "clip").spec
    assert _encoder(checkpoints, "clip", batch_frames=3).spec == plain
    assert _encoder(checkpoints, "clip", normalise_frames=False).spec != plain
    assert plain.revision.startswith("sha256:")
    assert plain.settings["pictures"]["resample"] == "bicubic"  # type: ignore[call-overload,index]


def test_the_registry_makes_it(checkpoints: dict[str, Path]) -> None:
    choice = EncoderChoice(name="hf-video", settings={"weights": str(checkpoints["siglip"])})
    with create_encoder(Modality.VIDEO, choice) as encoder:
        assert encoder.encode([_frames(0, 2)]).shape == (1, 24)
    with pytest.raises(ConfigError, match="unknown setting 'weight'"):
        create_encoder(Modality.VIDEO, EncoderChoice(name="hf-video", settings={"weight": "x"}))
