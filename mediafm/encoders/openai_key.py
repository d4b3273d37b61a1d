"""An API key: read from the environment, sent to its endpoint, and shown nowhere."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from typing import final

from mediafm.errors import ConfigError

REDACTED = "[key]"
_KEY_LIKE = re.compile(r"(?:sk-|Bearer\s+)[^\s\"',;]{4,}")
_MAX_QUOTED = 300


@final
class ApiKey:
    """A key whose text leaves it by `reveal` alone.

    variable: the NAME of the environment variable; "" for an endpoint without keys.
    """

    __slots__ = ("_text", "variable")

    def __init__(self, variable: str, text: str) -> None:
        self.variable = variable
        self._text = text

    def reveal(self) -> str:
        """The key; "" for an endpoint without keys. For the client and nobody else."""
        return self._text

    @property
    def digest(self) -> str:
        """Tells keys of one process apart; never kept."""
        return sha256(self._text.encode()).hexdigest()

    def redact(self, text: str) -> str:
        """What a server said, short and without this key or anything that looks like one."""
        without = text.replace(self._text, REDACTED) if self._text else text
        return _KEY_LIKE.sub(REDACTED, without)[:_MAX_QUOTED]

    def __repr__(self) -> str:
        return f"ApiKey({self.variable})"

    def __reduce__(self) -> str:
        raise TypeError("an API key is not pickled")


def read_key(variable: str) -> ApiKey:
    """The key that stands in an environment variable; none for "".

    Raises:
        ConfigError: it is not set, or holds what cannot stand in a header.
    """
    if not variable:
        return ApiKey("", "")
    text = os.environ.get(variable, "").strip()
    if not text:
        raise ConfigError(
            f"no API key in the environment variable {variable}",
            rule="an endpoint's key comes from the environment",
            where="encoder openai-text, api_key_env",
            remedy=f"Set {variable}, name another variable, or set `api_key_env` to '' for an endpoint without keys.",
        )
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ConfigError(
            f"the environment variable {variable} holds characters that no key has",
            rule="a key is printable ASCII without spaces",
            where="encoder openai-text, api_key_env",
            remedy=f"Copy the key into {variable} again.",
        )
    return ApiKey(variable, text)
