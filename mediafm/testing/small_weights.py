"""Small random checkpoints in the published layouts, and a profile that names them: for tests, and to try a profile
like `full` without a hub.

    python -m mediafm.testing.small_weights FOLDER --base-url http://127.0.0.1:8080/v1
    mediafm run CATALOG --profile FOLDER/small.toml

With --transcriber, titles without timed text are transcribed too, into words of random letters. Vectors and words are
those of random networks: real in shape, way and cost per call, and of no use for anything else.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

WIDTH = 24
BLOCKS = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
SOUND_BLOCKS = {
    **BLOCKS,
    "num_hidden_layers": 3,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
WORDS = ("<pad>", "<eos>", "<unk>", "a", "the", "red", "car", "at", "night", "sea", "man", "woman", "dragon")
CTC_TOKENS = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAON")
CTC_SHARPNESS = 60.0
"""Factor on the drawn head: without it one token wins every frame."""
CTC_SPACING = 2.0
"""Added to the logit of the space between words, so that words are short."""
PICTURE_SIDE_PX = 32
PROFILE = """\
# Small random weights: they show the way of the profile `full`, and mean nothing.
name = "small"

[detector]
name = "{detector}"

[video]
name = "hf-video"
settings = {{ weights = "./clip", licence = "CC0-1.0" }}

[audio]
name = "hf-audio"
settings = {{ weights = "./wav2vec2", licence = "CC0-1.0" }}

[text]
name = "{text}"

[text.settings]
{text_settings}
"""
TRANSCRIBER = """
[transcriber]
name = "wav2vec2-ctc"
settings = { weights = "./ctc", licence = "CC0-1.0", language = "en" }
"""


def save_clip(folder: Path, seed: int = 0) -> Path:
    """A CLIP model with its image processor and a tokenizer of `WORDS`."""
    import transformers

    text = {**BLOCKS, "vocab_size": len(WORDS), "max_position_embeddings": 16}
    text |= {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 1}
    vision = {**BLOCKS, "image_size": PICTURE_SIDE_PX, "patch_size": 8}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH)
    _save(folder, lambda: transformers.CLIPModel(config), seed)
    square = {"height": PICTURE_SIDE_PX, "width": PICTURE_SIDE_PX}
    _write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "CLIPImageProcessor",
            "size": {"shortest_edge": PICTURE_SIDE_PX},
            "crop_size": square,
            "do_center_crop": True,
            "image_mean": [0.48, 0.46, 0.41],
            "image_std": [0.27, 0.26, 0.28],
        },
    )
    _save_tokenizer(folder)
    return folder


def save_wav2vec2(folder: Path, seed: int = 0) -> Path:
    """A wav2vec 2.0 of the base kind: group norm, sound brought to zero mean and unit variance."""
    import transformers

    config = transformers.Wav2Vec2Config(**SOUND_BLOCKS)
    _save(folder, lambda: transformers.Wav2Vec2Model(config), seed)
    _write_extractor(folder)
    return folder


def save_ctc(folder: Path, seed: int = 0) -> Path:
    """A wav2vec 2.0 with a CTC head over `CTC_TOKENS`: it hears words of those letters in any sound."""
    import transformers

    config = transformers.Wav2Vec2Config(**SOUND_BLOCKS, vocab_size=len(CTC_TOKENS), pad_token_id=0)

    def make() -> Any:
        network = transformers.Wav2Vec2ForCTC(config)
        network.lm_head.weight.data.mul_(CTC_SHARPNESS)
        network.lm_head.bias.data[CTC_TOKENS.index("|")] += CTC_SPACING
        return network

    _save(folder, make, seed)
    _write_extractor(folder)
    _write_json(folder / "vocab.json", {token: number for number, token in enumerate(CTC_TOKENS)})
    _write_json(folder / "tokenizer_config.json", {"tokenizer_class": "Wav2Vec2CTCTokenizer"})
    return folder


def write_small_profile(
    folder: Path,
    *,
    base_url: str | None = None,
    detector: str = "transnetv2",
    transcribes: bool = False,
    seed: int = 0,
) -> Path:
    """Writes the checkpoints and `small.toml` beside them.

    Args:
        base_url: of an endpoint that speaks the embeddings API; without it text is read by `lite-text`.
        transcribes: the profile has a transcriber.
        seed: of the random weights.

    Returns:
        The profile's path.
    """
    save_clip(folder / "clip", seed)
    save_wav2vec2(folder / "wav2vec2", seed)
    settings = f'base_url = "{base_url}"\napi_key_env = ""\ndimensions = 64\nusd_per_million_tokens = 0.13'
    if transcribes:
        save_ctc(folder / "ctc", seed)
    profile = folder / "small.toml"
    profile.write_text(
        PROFILE.format(
            detector=detector,
            text="openai-text" if base_url else "lite-text",
            text_settings=settings if base_url else "width = 64",
        )
        + (TRANSCRIBER if transcribes else "")
    )
    return profile


def _save(folder: Path, make: Callable[[], Any], seed: int) -> None:
    """Saves a network whose weights follow from the seed; the caller's own random numbers stay as they were."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make()
    network.eval().save_pretrained(folder)


def _save_tokenizer(folder: Path) -> None:
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    backend = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    ).save_pretrained(folder)


def _write_extractor(folder: Path) -> None:
    """What a network of the base kind is given: sound at 16 kHz of zero mean and unit variance."""
    _write_json(
        folder / "preprocessor_config.json",
        {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "sampling_rate": 16_000,
            "do_normalize": True,
            "return_attention_mask": False,
            "padding_value": 0.0,
            "feature_size": 1,
        },
    )


def _write_json(file: Path, value: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2))


def main() -> None:
    """Writes the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m mediafm.testing.small_weights", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base-url", help="an endpoint that speaks the embeddings API; else text is read by lite-text")
    parser.add_argument("--detector", default="transnetv2", help="the profile's shot detector (default: %(default)s)")
    parser.add_argument("--transcriber", action="store_true", help="transcribe titles that have no timed text")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights")
    given = parser.parse_args()
    profile = write_small_profile(
        given.folder,
        base_url=given.base_url,
        detector=given.detector,
        transcribes=given.transcriber,
        seed=given.seed,
    )
    print(profile)


if __name__ == "__main__":
    main()
