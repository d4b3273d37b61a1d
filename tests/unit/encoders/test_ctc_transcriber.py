"""wav2vec2-ctc on small random checkpoints with a real tokenizer: the slow reference, batches, what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray

from mediafm.config import TranscriberChoice
from mediafm.encoders.ctc_transcriber import Wav2Vec2Ctc
from mediafm.encoders.transcriber import SoundBlock, SoundEnd
from mediafm.encoders.transcriber_registry import create_transcriber
from mediafm.errors import ConfigError, EncoderError

RATE_HZ = 16_000
LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAON'"]
SMALL: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": len(LETTERS),
    "pad_token_id": 0,
}
Checkpoint = Callable[..., Path]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """Writes a random network with its own tokenizer and extractor, by `save_pretrained`."""

    def make(network: Any = None, do_normalize: bool = True, vocabulary: Any = None, **tokenizer_options: Any) -> Path:
        folder = tmp_path / "weights"
        if network is None:
            torch.manual_seed(3)
            network = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**SMALL))
            with torch.no_grad():
                network.lm_head.weight.mul_(60)  # else one token wins every frame
        network.save_pretrained(folder)
        vocab_file = tmp_path / "vocab.json"
        vocab_file.write_text(json.dumps(vocabulary or {token: place for place, token in enumerate(LETTERS)}))
        tokenizer = transformers.Wav2Vec2CTCTokenizer(str(vocab_file), **tokenizer_options)
        tokenizer.save_pretrained(folder)
        transformers.Wav2Vec2FeatureExtractor(do_normalize=do_normalize).save_pretrained(folder)
        return folder

    return make


def transcriber(folder: Path, **settings: Any) -> Wav2Vec2Ctc:
    made = create_transcriber(TranscriberChoice(name="wav2vec2-ctc", settings={"weights": str(folder), **settings}))
    assert isinstance(made, Wav2Vec2Ctc)
    return made


def sound(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Noise whose pitch and loudness change."""
    draw = np.random.default_rng(seed)
    steps = np.repeat(draw.uniform(50, 3000, int(seconds * 10) + 1), RATE_HZ // 10)[: int(seconds * RATE_HZ)]
    tone = np.sin(2 * np.pi * np.cumsum(steps) / RATE_HZ) * draw.uniform(0.1, 0.9)
    return np.asarray(tone + draw.normal(0, 0.05, len(tone)), np.float32)


@pytest.mark.parametrize("do_normalize", [True, False])
def test_words_and_times_are_those_of_transformers_own_decoder(checkpoint: Checkpoint, do_normalize: bool) -> None:
    folder, samples = checkpoint(do_normalize=do_normalize), sound(9)
    network = transformers.Wav2Vec2ForCTC.from_pretrained(folder).eval()
    processor = transformers.Wav2Vec2Processor(
        transformers.Wav2Vec2FeatureExtractor.from_pretrained(folder),
        transformers.Wav2Vec2CTCTokenizer.from_pretrained(folder),
    )
    with torch.inference_mode():
        logits = network(processor(samples, sampling_rate=RATE_HZ, return_tensors="pt").input_values).logits[0]
    decoded = processor.tokenizer.decode(logits.argmax(-1), output_word_offsets=True, skip_special_tokens=False)
    with transcriber(folder) as made:
        found = made.transcribe(samples)
    assert len(found) > 3
    assert [word.text for word in found] == re.sub("<s>|</s>|<unk>", "", decoded.text).split()
    own = [each for each in decoded.word_offsets if re.sub("<s>|</s>|<unk>", "", each["word"])]
    starts = [each["start_offset"] * 0.02 for each in own if not each["word"].startswith("<")]
    assert set(np.round(starts, 6)) <= set(np.round([word.start_seconds for word in found], 6))


def test_confidences_are_the_mean_probability_of_letters(checkpoint: Checkpoint) -> None:
    folder, samples = checkpoint(), sound(3)
    with transcriber(folder) as made:
        found = made.transcribe(samples)
        whole = made.grid.num_samples(made.grid.num_frames(len(samples)))
        tokens = made._best_tokens(samples[None, :whole])
    letters = set(made.vocabulary.letters)
    for word in found:
        frames = range(round(word.start_seconds * 50), round(word.end_seconds * 50))
        own = [tokens.probabilities[0, frame] for frame in frames if int(tokens.tokens[0, frame]) in letters]
        assert word.confidence == pytest.approx(np.mean(own), abs=1e-5)


def test_batches_and_titles_move_no_word(checkpoint: Checkpoint) -> None:
    folder = checkpoint()
    sounds = {str(seed): sound(seconds, seed) for seed, seconds in enumerate((9.0, 2.5, 14.2, 0.01))}
    windows = {"window_seconds": 3, "overlap_seconds": 0.5}
    events = [
        event
        for key, samples in sounds.items()
        for event in (SoundBlock(key, samples[:7_000]), SoundBlock(key, samples[7_000:]), SoundEnd(key))
    ]
    with transcriber(folder, batch_windows=4, **windows) as batched, transcriber(folder, **windows) as alone:
        assert batched.spec == alone.spec, "how many windows a batch holds is no part of the spec"
        found = {each.key: each.words for each in batched.transcribe_stream(events)}
        for key, samples in sounds.items():
            expected = alone.transcribe(samples)
            assert [word.text for word in found[key]] == [word.text for word in expected]
            for ours, theirs in zip(found[key], expected, strict=True):
                assert ours.start_seconds == theirs.start_seconds
                assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-4)
    assert found["3"] == (), "too short for a frame"


def test_silence_is_borne(checkpoint: Checkpoint) -> None:
    with transcriber(checkpoint()) as made:
        assert len(made.transcribe(np.zeros(RATE_HZ, np.float32))) >= 0
        made.close()
        made.close()


def test_the_spec_covers_what_moves_a_word(checkpoint: Checkpoint) -> None:
    folder = checkpoint(do_lower_case=True)
    first = transcriber(folder).spec
    assert first.revision.startswith("sha256:")
    assert (first.language, first.joiner, first.settings["is_lower_cased"]) == ("en", " ", True)
    assert str(folder) not in json.dumps(first.as_json())
    others = (
        {"language": "fr"},
        {"dtype": "bfloat16"},
        {"window_seconds": 10},
        {"overlap_seconds": 1},
        {"lower_case": False},
    )
    specs = [json.dumps(transcriber(folder, **changed).spec.as_json()) for changed in ({}, *others)]
    assert len(set(specs)) == len(specs)


def test_other_special_tokens_and_their_places(checkpoint: Checkpoint) -> None:
    tokens = ["E", "T", " ", "[UNK]", "[PAD]"]
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(**{**SMALL, "vocab_size": len(tokens) + 2, "pad_token_id": 4})
    folder = checkpoint(
        transformers.Wav2Vec2ForCTC(config),
        vocabulary={token: place for place, token in enumerate(tokens)},
        unk_token="[UNK]",
        pad_token="[PAD]",
        word_delimiter_token=" ",
    )
    vocabulary = transcriber(folder).vocabulary
    assert (vocabulary.blank, vocabulary.delimiter) == (4, 2)
    assert vocabulary.letters == {0: "E", 1: "T"}


def test_bfloat16_hears_much_the_same(checkpoint: Checkpoint) -> None:
    folder, samples = checkpoint(), sound(6)
    with transcriber(folder) as exact, transcriber(folder, dtype="bfloat16") as coarse:
        ours, theirs = (made._best_tokens(samples[None]).tokens for made in (exact, coarse))
    assert (ours == theirs).mean() > 0.8


@pytest.mark.parametrize(
    ("file", "changes", "complaint"),
    [
        ("config.json", {"architectures": ["Wav2Vec2Model"]}, "have a CTC head"),
        ("config.json", {"add_adapter": True}, "with an adapter"),
        ("config.json", {"model_type": "bert"}, "model_type 'bert'"),
        ("config.json", {"auto_map": {"AutoModel": "x.Y"}}, "brings its own code"),
        ("tokenizer_config.json", {"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer"}, "a Wav2Vec2PhonemeCTCTokenizer"),
        ("tokenizer_config.json", {"pad_token": "[PAD]"}, r"no token '\[PAD\]'"),
        ("vocab.json", {"eng": {"a": 1}, "fra": {"a": 1}}, "languages; a checkpoint writes one language"),
    ],
)
def test_checkpoints_that_are_refused(
    checkpoint: Checkpoint, file: str, changes: dict[str, Any], complaint: str
) -> None:
    path = checkpoint() / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ConfigError, match=complaint):
        transcriber(path.parent)


def test_a_checkpoint_without_vocabulary_or_head(checkpoint: Checkpoint) -> None:
    folder = checkpoint(transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**SMALL)))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["Wav2Vec2ForCTC"]}))
    with transcriber(folder) as made, pytest.raises(EncoderError, match="weights absent"):
        made.transcribe(sound(1))
    (folder / "vocab.json").unlink()
    with pytest.raises(ConfigError, match=r"no vocab\.json"):
        transcriber(folder)


def test_windows_that_two_overlaps_fill(checkpoint: Checkpoint) -> None:
    with pytest.raises(ConfigError, match="two overlaps are shorter than a window"):
        transcriber(checkpoint(), window_seconds=8, overlap_seconds=4)
