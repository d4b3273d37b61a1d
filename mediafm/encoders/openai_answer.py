"""What an embeddings endpoint gives back: vectors that are checked, or a setback that is understood."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediafm.encoders.openai_key import ApiKey

TRANSIENT_STATUS = frozenset({408, 409, 425, 429})
"""Statuses below 500 that may pass by themselves."""
KEY_STATUS = frozenset({401, 403})
ENDPOINT_STATUS = frozenset({402, 404, 405, 410})
"""Statuses that speak of the account or the address, not of the texts."""
EXHAUSTED_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""Codes that come as 429 and do not pass by themselves."""


@dataclass(frozen=True, slots=True)
class Answer:
    """vectors: float32 [texts, width], in the order of the texts. num_tokens: as billed; None if it was not told."""

    vectors: NDArray[np.float32]
    num_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """Why there are no vectors.

    seen, rule, remedy: parts of the message; no key in them.
    is_transient: may pass by itself.
    is_of_endpoint: every other request would meet it too.
    wait_seconds: what the endpoint asks to wait.
    num_tokens: billed all the same.
    """

    seen: str
    rule: str
    remedy: str = ""
    is_transient: bool = False
    is_of_endpoint: bool = False
    wait_seconds: float | None = None
    num_tokens: int = 0


def read_answer(body: bytes, num_texts: int, width: int) -> Answer | Setback:
    """The vectors of an answer with status 200, if there is one of `width` numbers for each text."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return Setback(
            seen=f"an answer that is no JSON object ({len(body)} bytes)",
            rule="an endpoint answers in JSON",
            remedy="Check `base_url`; it usually ends with /v1.",
            is_transient=True,
        )
    num_tokens = _billed(answer.get("usage"))
    found = _vectors(answer.get("data"), num_texts, width)
    if isinstance(found, Setback):
        return replace(found, num_tokens=num_tokens or 0)
    return Answer(found, num_tokens)


def read_refusal(status: int, headers: Mapping[str, str], body: object, key: ApiKey) -> Setback:
    """What a status other than 200 means."""
    error = _error_of(body)
    code = key.redact(str(error.get("code") or error.get("type") or ""))
    said = "" if status in KEY_STATUS else key.redact(str(error.get("message") or ""))
    seen = ", ".join(part for part in (f"HTTP {status}", code, said) if part)
    if status in KEY_STATUS:
        variable = key.variable or "one that `api_key_env` names"
        return Setback(
            seen=seen,
            rule="an endpoint lets in who has a key",
            remedy=f"Put a valid key into the environment variable {variable} and start again.",
            is_of_endpoint=True,
        )
    if code in EXHAUSTED_CODES or status == 402:
        remedy = "Add credit to the account and start again: what is bought is kept."
        return Setback(seen=seen, rule="an endpoint serves who has credit", remedy=remedy, is_of_endpoint=True)
    if status in TRANSIENT_STATUS or status >= 500:
        wait = retry_after_seconds(headers)
        return Setback(seen=seen, rule="an endpoint answers with vectors", is_transient=True, wait_seconds=wait)
    return Setback(
        seen=seen,
        rule="an endpoint takes requests within its limits for models that it has",
        remedy="Check `base_url`, `model`, `dimensions` and the limits in the profile.",
        is_of_endpoint=status in ENDPOINT_STATUS or 300 <= status < 400,
    )


def retry_after_seconds(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """What the headers ask to wait: `retry-after-ms`, or `retry-after` as seconds or as a date; None if nothing.

    Args:
        headers: by lower-case name.
        now: seconds since 1970; the clock's unless given.
    """
    for name, share in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            seconds = float(value) * share
        except ValueError:
            continue
        if np.isfinite(seconds):
            return max(0.0, seconds)
    try:
        asked = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, asked.timestamp() - (time.time() if now is None else now))


def _vectors(data: object, num_texts: int, width: int) -> NDArray[np.float32] | Setback:
    """The rows of `data` in the order of their indexes."""
    rows = data if isinstance(data, list) else []
    indexes = [row.get("index") if isinstance(row, dict) else None for row in rows]
    if len(rows) != num_texts:
        return _broken(f"{len(rows)} vectors for {num_texts} texts", "each text has one vector")
    if any(type(index) is not int for index in indexes) or set(indexes) != set(range(num_texts)):
        return _broken("indexes that are not each text's own", "vectors are numbered from 0 as their texts are")
    vectors = np.empty((num_texts, width), np.float32)
    for index, row in zip(indexes, rows, strict=True):
        vector = _vector(row.get("embedding"))
        if vector is None or vector.shape != (width,):
            return _broken(
                "a vector that cannot be read" if vector is None else f"a vector of {vector.size} numbers",
                f"{width} numbers were promised",
                "Set `dimensions` to what the model can give; if it cannot be told, set it to null and `width`.",
            )
        vectors[index] = vector
    if not np.isfinite(vectors).all():
        return _broken("a number that is not finite", "vectors are finite")
    vectors.setflags(write=False)
    return vectors


def _vector(written: object) -> NDArray[np.float32] | None:
    """A vector as base64 of little-endian float32, or as a list of numbers: endpoints may choose."""
    try:
        if isinstance(written, str):
            return np.frombuffer(base64.b64decode(written, validate=True), "<f4").astype(np.float32)
        if isinstance(written, Sequence):
            with np.errstate(over="ignore"):
                return np.asarray(written, np.float64).astype(np.float32)
    except (binascii.Error, ValueError, TypeError):
        return None
    return None


def _broken(seen: str, rule: str, remedy: str = "Check `base_url` and `model`: this is no embeddings API.") -> Setback:
    return Setback(seen=seen, rule=rule, remedy=remedy)


def _billed(usage: object) -> int | None:
    """Tokens that the endpoint says it billed; None if it says nothing that can be believed."""
    told: Mapping[str, Any] = usage if isinstance(usage, Mapping) else {}
    counts = [told.get(name) for name in ("total_tokens", "prompt_tokens")]
    return next((count for count in counts if type(count) is int and count > 0), None)


def _error_of(body: object) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        return {}
    inner = body.get("error", body)
    return inner if isinstance(inner, Mapping) else {"message": inner}
