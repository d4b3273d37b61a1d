"""The vocabulary of a published CTC checkpoint, read from its tokenizer's small files.

The blank is the tokenizer's padding token, as transformers trains and decodes such heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediafm.encoders.ctc_words import CtcVocabulary
from mediafm.encoders.pretrained import Pretrained
from mediafm.errors import ConfigError

TOKENIZERS = ("Wav2Vec2CTCTokenizer", "Wav2Vec2Tokenizer")
DEFAULTS: Mapping[str, str | None] = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "word_delimiter_token": "|",
    "replace_word_delimiter_char": " ",
}
"""Of Wav2Vec2CTCTokenizer, where the files leave them out."""
SILENT_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "word_delimiter_token")
"""Tokens that write no letter."""


@dataclass(frozen=True, kw_only=True)
class PublishedVocabulary:
    """`joiner`: what stands between two words in running text ("" in some languages)."""

    vocabulary: CtcVocabulary
    joiner: str


def read_vocabulary(pretrained: Pretrained, lower_case: bool | None) -> PublishedVocabulary:
    """The vocabulary of `vocab.json` and its companions.

    Args:
        lower_case: whether letters are written small; None is what the tokenizer says.

    Raises:
        ConfigError: no vocabulary, one of several languages or of phonemes, or one without a blank.
    """
    told = pretrained.json_file("tokenizer_config.json") or {}
    kind = str(told.get("tokenizer_class") or TOKENIZERS[0]).removesuffix("Fast")
    if kind not in TOKENIZERS:
        raise _refused(
            pretrained,
            f"a {kind}",
            f"letters are written by a {TOKENIZERS[0]}",
            "Choose one that writes letters.",
        )
    tokens = _tokens(pretrained, told)
    names = {**DEFAULTS, **_named(pretrained.json_file("special_tokens_map.json") or {}), **_named(told)}
    blank = tokens.get(names["pad_token"] or "")
    if blank is None:
        raise _refused(
            pretrained,
            f"no token {names['pad_token']!r}",
            "the blank of a CTC head is the tokenizer's padding token",
            "Mend tokenizer_config.json: `pad_token` names a token of vocab.json.",
        )
    silent = {names[name] for name in SILENT_TOKENS}
    return PublishedVocabulary(
        vocabulary=CtcVocabulary(
            letters={number: token for token, number in tokens.items() if token not in silent},
            blank=blank,
            delimiter=tokens.get(names["word_delimiter_token"] or ""),
            is_lower_cased=bool(told.get("do_lower_case", False)) if lower_case is None else lower_case,
        ),
        joiner=names["replace_word_delimiter_char"] or "",
    )


def _tokens(pretrained: Pretrained, told: Mapping[str, Any]) -> dict[str, int]:
    """Every token with its number: those of the vocabulary, and those that were added to it."""
    found = pretrained.json_file("vocab.json")
    if found is None:
        raise _refused(
            pretrained,
            "no vocab.json",
            "a CTC checkpoint says what its tokens write",
            "Choose weights that were trained to transcribe (…ForCTC), with their tokenizer's files.",
        )
    if any(isinstance(number, Mapping) for number in found.values()):
        raise _refused(
            pretrained,
            f"a vocabulary of {len(found)} languages",
            "a checkpoint writes one language",
            "Choose a checkpoint of one language.",
        )
    added = {token: int(number) for token, number in (pretrained.json_file("added_tokens.json") or {}).items()}
    decoded = told.get("added_tokens_decoder") or {}
    newer = {str(item["content"]): int(number) for number, item in decoded.items()}
    return {**newer, **added, **{str(token): int(number) for token, number in found.items()}}


def _named(told: Mapping[str, Any]) -> dict[str, str | None]:
    """Token names that a file gives, as text or as an object with `content`."""
    named: dict[str, str | None] = {}
    for name in DEFAULTS:
        if name in told:
            value = told[name]
            named[name] = value.get("content") if isinstance(value, Mapping) else value
    return named


def _refused(pretrained: Pretrained, seen: str, rule: str, remedy: str) -> ConfigError:
    return ConfigError(seen, rule=rule, where=f"{pretrained.where}, {pretrained.weights}", remedy=remedy)
