"""The tokenizer that a checkpoint brings."""

from __future__ import annotations

from typing import Any

from mediafm.encoders.pretrained import Pretrained
from mediafm.errors import ConfigError

VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)
"""A tokenizer has one of them; without any, transformers makes an empty one and says nothing."""


def load_tokenizer(pretrained: Pretrained) -> Any:
    """The checkpoint's own tokenizer, as transformers knows it.

    Raises:
        ConfigError: there is none, or a package that it needs is not installed.
    """
    from transformers import AutoTokenizer

    folder = pretrained.folder()
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise _refusal(pretrained, "no vocabulary", f"a tokenizer brings one of {', '.join(VOCABULARIES)}")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, ImportError) as error:
        said = (str(error).splitlines() or [""])[0]
        raise _refusal(
            pretrained, f"its tokenizer cannot be loaded ({type(error).__name__}: {said})", "transformers can read it"
        ) from error


def sound_text(text: str) -> str:
    """`text` as UTF-8 can hold it: surrogates that stand alone become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _refusal(pretrained: Pretrained, seen: str, rule: str) -> ConfigError:
    return ConfigError(
        seen,
        rule=rule,
        where=f"{pretrained.where}, {pretrained.weights}",
        remedy="Put the tokenizer's files beside config.json; some older ones need the package sentencepiece.",
    )
