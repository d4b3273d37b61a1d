"""One endpoint, through the `openai` client. Nothing of the client's errors leaves this file but what we make of them.

The client is told to send no description of this machine, to follow no redirect (texts and key go where the profile
says), and not to try again: that is ours (`mediafm.encoders.openai_patience`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from mediafm.encoders.openai_answer import Answer, Setback, read_answer, read_refusal
from mediafm.encoders.openai_key import ApiKey
from mediafm.errors import ConfigError

if TYPE_CHECKING:
    import openai

DEFAULT_BASE_URL = "https://api.openai.com/v1"
BASE_URL_VARIABLE = "OPENAI_BASE_URL"
"""The client obeys it in silence; we do not, because another endpoint gives other vectors."""

_NO_KEY = "none"
"""What the client, which insists on a key, holds for an endpoint without keys; it is not sent."""
_DESCRIBING_HEADERS = (
    "X-Stainless-Lang",
    "X-Stainless-Package-Version",
    "X-Stainless-OS",
    "X-Stainless-Arch",
    "X-Stainless-Runtime",
    "X-Stainless-Runtime-Version",
    "X-Stainless-Async",
    "X-Stainless-Retry-Count",
    "X-Stainless-Read-Timeout",
)


class Endpoint:
    """An embeddings endpoint that is asked for vectors of one model. May be asked by several threads at once.

    Args:
        base_url: None for OpenAI's own.
        key: sent as a bearer token, or not at all.
        width: numbers per vector that are expected.
        dimensions: asked of the endpoint; None asks for nothing.
        timeout_seconds: of each phase of a request.
    """

    def __init__(
        self,
        *,
        base_url: str | None,
        key: ApiKey,
        model: str,
        width: int,
        dimensions: int | None,
        timeout_seconds: float,
        encoding_format: Literal["base64", "float"] = "base64",
    ) -> None:
        self._base_url = base_url
        self._key = key
        self._model = model
        self._width = width
        self._dimensions = dimensions
        self._timeout_seconds = timeout_seconds
        self._encoding_format = encoding_format
        self._client: openai.OpenAI | None = None
        self._lock = threading.Lock()

    @property
    def identity(self) -> str:
        """Tells what a refusal is remembered for, within this process."""
        return f"{self._base_url}\n{self._model}\n{self._dimensions}\n{self._key.digest}"

    @property
    def place(self) -> str:
        """The endpoint and the model, for messages."""
        return f"encoder openai-text, {self._model} at {endpoint_name(self._base_url) or 'api.openai.com'}"

    def ask(self, texts: Sequence[str]) -> Answer | Setback:
        """Vectors of `texts`, in order. A setback is returned, not raised: no exception drags the request along.

        Raises:
            ConfigError: the package openai is missing, or the environment names another endpoint.
        """
        client = self._opened()
        import openai

        left_out = _DESCRIBING_HEADERS if self._key.reveal() else (*_DESCRIBING_HEADERS, "Authorization")
        try:
            answer = client.embeddings.with_raw_response.create(
                input=list(texts),
                model=self._model,
                dimensions=openai.omit if self._dimensions is None else self._dimensions,
                encoding_format=self._encoding_format,
                extra_headers=dict.fromkeys(left_out, openai.omit),
            )
            return read_answer(answer.content, len(texts), self._width)
        except openai.APIStatusError as error:
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            return read_refusal(error.status_code, headers, error.body, self._key)
        except openai.APITimeoutError:
            return _no_answer(f"no answer within {self._timeout_seconds:g} s")
        except openai.APIConnectionError as error:
            return _no_answer(f"the connection failed ({type(error.__cause__).__name__})")

    def close(self) -> None:
        """Closes the connections; may be called twice."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _opened(self) -> openai.OpenAI:
        with self._lock:
            if self._client is None:
                self._client = _make_client(self._base_url, self._key, self._timeout_seconds)
            return self._client


def endpoint_name(base_url: str | None) -> str | None:
    """What a spec says of an endpoint: its host, port and path; None for OpenAI's own.

    Raises:
        ConfigError: no http(s) address, or one that holds a name, a key or a query.
    """
    if base_url is None:
        return None
    try:
        parts = urlsplit(base_url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
        raise ConfigError(
            "a `base_url` that is no plain http(s) address",
            rule="it is like https://host:port/v1, without a user, a key or a query in it",
            where="encoder openai-text, base_url",
            remedy="Put the key into an environment variable and name that in `api_key_env`.",
        )
    name = f"{parts.hostname}{port}{parts.path.rstrip('/')}"
    return None if base_url.rstrip("/") == DEFAULT_BASE_URL else name


def _make_client(base_url: str | None, key: ApiKey, timeout_seconds: float) -> openai.OpenAI:
    elsewhere = os.environ.get(BASE_URL_VARIABLE)
    if base_url is None and elsewhere and elsewhere.rstrip("/") != DEFAULT_BASE_URL:
        raise ConfigError(
            f"{BASE_URL_VARIABLE} is set in the environment and the profile has no `base_url`",
            rule="which endpoint makes the vectors stands in the profile",
            where="encoder openai-text, base_url",
            remedy=f"Write its address into `base_url`, or unset {BASE_URL_VARIABLE}.",
        )
    try:
        import openai
    except ImportError as error:
        raise ConfigError(
            "the package openai is not installed",
            rule="openai-text asks its endpoint through it",
            where="encoder openai-text",
            remedy="Run `pip install 'mediafm[full]'`.",
        ) from error
    return openai.OpenAI(
        api_key=key.reveal() or _NO_KEY,
        base_url=base_url or DEFAULT_BASE_URL,
        max_retries=0,
        timeout=timeout_seconds,
        http_client=openai.DefaultHttpxClient(follow_redirects=False, timeout=timeout_seconds),
    )


def _no_answer(seen: str) -> Setback:
    return Setback(seen=seen, rule="an endpoint answers with vectors", is_transient=True)
