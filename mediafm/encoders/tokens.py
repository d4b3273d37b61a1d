"""Counting and splitting text by tokens, or by UTF-8 bytes where no vocabulary lies on this machine.

A byte-level tokenizer never makes more tokens than bytes, so bytes are an upper bound of what is paid for.
"""

from __future__ import annotations

import os
import re
import tempfile
from hashlib import sha1
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from mediafm.errors import ConfigError, TransientError

if TYPE_CHECKING:
    import tiktoken

TokenizerChoice = Literal["auto", "tiktoken", "bytes"]

VOCABULARY_URLS = {"cl100k_base": "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"}
"""Where tiktoken fetches a vocabulary from; the hash of it is the name of its file in tiktoken's cache."""

SMALLEST_LIMIT = 4
"""A character takes up to four bytes."""

_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_CHARACTERS_PER_TOKEN = 8
"""How far ahead a split looks for each token that it may use: few texts have longer tokens on average."""


class TokenCounter(Protocol):
    """How long a text is, and how it is cut at a limit."""

    @property
    def counting(self) -> str:
        """What it counts by, for people."""

    def count(self, text: str) -> int:
        """Tokens of `text`, or a bound that they do not pass."""

    def split(self, text: str, limit: int) -> list[str]:
        """Parts of `text` that count at most `limit` (>= `SMALLEST_LIMIT`) each, cut between characters, in order."""


class Utf8Bytes:
    """Counts bytes: the same on every machine."""

    counting = "utf-8 bytes (upper bound)"

    def count(self, text: str) -> int:
        return len(text.encode("utf-8"))

    def split(self, text: str, limit: int) -> list[str]:
        data = text.encode("utf-8")
        parts, start = [], 0
        while len(data) - start > limit:
            end = _character_border(data, start + limit)
            parts.append(data[start:end].decode("utf-8"))
            start = end
        return [*parts, data[start:].decode("utf-8")]


class Tiktoken:
    """Counts the tokens of one of OpenAI's vocabularies."""

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        self._encoding = encoding

    @property
    def counting(self) -> str:
        return f"tiktoken {self._encoding.name}"

    def count(self, text: str) -> int:
        return len(self._encoding.encode_ordinary(text))

    def split(self, text: str, limit: int) -> list[str]:
        parts, rest = [], text
        while len(rest) > limit or self.count(rest) > limit:
            part = self._prefix(rest[: limit * _CHARACTERS_PER_TOKEN], limit)
            parts.append(part)
            rest = rest[len(part) :]
        return [*parts, rest] if rest or not parts else parts

    def _prefix(self, text: str, limit: int) -> str:
        """A long prefix of `text` of at most `limit` tokens. Cut off, its last word may fall into other tokens than
        before: hence the repetition, which ends because a text of `limit` bytes never counts more."""
        while len(tokens := self._encoding.encode_ordinary(text)) > limit:
            num_bytes = sum(map(len, self._encoding.decode_tokens_bytes(tokens[:limit])))
            data = text.encode("utf-8")
            shorter = data[: _character_border(data, num_bytes)].decode("utf-8")
            text = shorter if 0 < len(shorter) < len(text) else text[:-1]
        return text


def sendable(text: str) -> str:
    """`text` with lone surrogates, which UTF-8 cannot write, replaced by U+FFFD."""
    return _LONE_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)


def find_counter(model: str, tokenizer: TokenizerChoice) -> TokenCounter:
    """What counts the tokens of `model`.

    Args:
        tokenizer: "bytes"; "tiktoken", whose vocabulary is fetched if it must be; "auto": tiktoken if its vocabulary
            lies in its cache (TIKTOKEN_CACHE_DIR is obeyed), else bytes, and nothing is fetched.

    Raises:
        ConfigError: "tiktoken" without the package, or for a model that it does not know.
        TransientError: "tiktoken", and its vocabulary cannot be fetched.
    """
    if tokenizer == "bytes":
        return Utf8Bytes()
    name = _encoding_name(model)
    if tokenizer == "auto":
        is_here = name is not None and vocabulary_file(name).is_file()
        return _loaded_or_bytes(name) if is_here and name is not None else Utf8Bytes()
    if name is None:
        raise ConfigError(
            f"tokenizer 'tiktoken' for {model!r}",
            rule="the package tiktoken is installed and knows the model",
            where="encoder openai-text",
            remedy="Run `pip install 'mediafm[full]'`, or set `tokenizer` to 'bytes'.",
        )
    return Tiktoken(_loaded(name))


def vocabulary_file(name: str) -> Path:
    """Where tiktoken keeps a vocabulary that it has fetched."""
    default = str(Path(tempfile.gettempdir()) / "data-gym-cache")
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR", default))
    url = VOCABULARY_URLS.get(name, "")
    file_name = sha1(url.encode(), usedforsecurity=False).hexdigest()
    return Path(folder) / file_name if folder else Path(os.devnull)


def _encoding_name(model: str) -> str | None:
    if find_spec("tiktoken") is None:
        return None
    from tiktoken.model import encoding_name_for_model

    try:
        return encoding_name_for_model(model)
    except KeyError:
        return None


def _loaded_or_bytes(name: str) -> TokenCounter:
    """A vocabulary that is damaged and cannot be fetched again leaves bytes, as `counting` says."""
    try:
        return Tiktoken(_loaded(name))
    except TransientError:
        return Utf8Bytes()


def _loaded(name: str) -> tiktoken.Encoding:
    import tiktoken

    try:
        return tiktoken.get_encoding(name)
    except Exception as error:
        raise TransientError(
            f"the vocabulary {name} cannot be loaded ({type(error).__name__})",
            rule="tiktoken fetches its vocabulary once",
            where="encoder openai-text",
            remedy="Go online, name a folder that holds it in TIKTOKEN_CACHE_DIR, or set `tokenizer` to 'bytes'.",
        ) from error


def _character_border(data: bytes, end: int) -> int:
    """The last place at or before `end` where no character of UTF-8 `data` is cut."""
    while end < len(data) and data[end] & 0xC0 == 0x80:
        end -= 1
    return end
