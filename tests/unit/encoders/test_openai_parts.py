"""The parts of openai-text that need no server: requests within limits, shares of a bill, answers, pauses, keys."""

from __future__ import annotations

import base64
import json
import pickle
import threading
import time
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.encoders.host import NoCache
from mediafm.encoders.openai_answer import Answer, Setback, read_answer, read_refusal, retry_after_seconds
from mediafm.encoders.openai_batches import Batches, KnownVectors, Wanted, shared_out
from mediafm.encoders.openai_endpoint import endpoint_name
from mediafm.encoders.openai_key import ApiKey, read_key
from mediafm.encoders.openai_patience import Health, Patience, Refusal
from mediafm.encoders.openai_stream import joined
from mediafm.encoders.openai_text import OpenAIText, OpenAITextSettings
from mediafm.errors import ConfigError, TransientError

KEY = ApiKey("MY_KEY", "sk-recognisable-0123456789")


@given(st.lists(st.integers(1, 10), max_size=60), st.integers(1, 7), st.integers(10, 40))
def test_requests_pass_no_limit_and_hold_every_text_once_in_order(
    counts: list[int], max_inputs: int, max_tokens: int
) -> None:
    batches = Batches(max_inputs, max_tokens)
    texts = [Wanted(str(place), "", count, 1) for place, count in enumerate(counts)]
    requests = [request for wanted in texts if (request := batches.add(wanted))]
    if rest := batches.rest():
        requests.append(rest)
    assert [wanted for request in requests for wanted in request] == texts
    for request in requests:
        assert len(request) <= max_inputs
        assert sum(wanted.num_tokens for wanted in request) <= max_tokens
    for request, following in pairwise(requests):
        tokens = sum(wanted.num_tokens for wanted in request) + following[0].num_tokens
        assert len(request) == max_inputs or tokens > max_tokens


@given(st.integers(0, 10**7), st.lists(st.integers(0, 9000), min_size=1, max_size=50))
def test_a_bill_is_shared_out_exactly_and_in_proportion(total: int, weights: list[int]) -> None:
    shares = shared_out(total, weights)
    assert sum(shares) == total
    if any(weights):
        assert all(abs(s - total * w / sum(weights)) < 1 for s, w in zip(shares, weights, strict=True))


def test_recent_vectors_are_kept_within_their_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediafm.encoders.openai_batches.MAX_RECENT_BYTES", 3 * 4 * 2)
    known = KnownVectors(NoCache(), 2)
    known.put({str(place): np.full(2, place, np.float32) for place in range(5)})
    assert set(known.get([str(place) for place in range(5)])) == {"2", "3", "4"}


def test_a_text_in_parts_is_the_normed_mean_by_weight() -> None:
    vectors = np.eye(2, 3, dtype=np.float32)
    np.testing.assert_allclose(joined(vectors, [3, 4]), [0.6, 0.8, 0], rtol=1e-6)
    np.testing.assert_array_equal(joined(2 * vectors[:1], [7]), [2, 0, 0])
    np.testing.assert_array_equal(joined(np.float32([[1], [-1]]), [1, 1]), [0])


def test_an_estimate_counts_a_text_once_however_far_apart_it_returns() -> None:
    found = OpenAIText(OpenAITextSettings(tokenizer="bytes")).estimate(f"text {place % 300}" for place in range(1000))
    assert (found.num_texts, found.num_unique) == (1000, 300)
    assert found.num_tokens == sum(len(f"text {place}") for place in range(300))


def body(vectors: list[list[float]], **changes: Any) -> bytes:
    rows = [{"index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    return json.dumps({"data": rows, "usage": {"total_tokens": 9}, **changes}).encode()


def test_rows_are_put_in_the_order_of_their_indexes() -> None:
    rows = [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": base64.b64encode(b"\0" * 8).decode()}]
    found = read_answer(body([], data=rows), 2, 2)
    assert isinstance(found, Answer)
    np.testing.assert_array_equal(found.vectors, [[0, 0], [3, 4]])
    assert found.num_tokens == 9


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (body([[1, 2]]), "1 vectors for 2 texts"),
        (body([[1, 2], [3]]), "a vector of 1 numbers"),
        (body([[1, 2], [3, float("nan")]]), "not finite"),
        (body([[1, 2], [3, 1e300]]), "not finite"),
        (body([[1, 2], ["a", "b"]]), "cannot be read"),
        (body([[1, 2], "???"]), "cannot be read"),
        (body([[1, 2], [[1], [2]]]), "a vector of 2 numbers"),
        (body([], data=[{"index": 0}, {"index": 0}]), "indexes that are not each text's own"),
        (body([], data=[{"index": True}, {"index": False}]), "indexes that are not each text's own"),
        (body([], data=[1, 2]), "indexes that are not each text's own"),
        (body([], data=None), "0 vectors for 2 texts"),
    ],
)
def test_a_broken_answer_is_a_setback_that_says_what_is_wrong_and_was_billed(answer: bytes, complaint: str) -> None:
    found = read_answer(answer, 2, 2)
    assert isinstance(found, Setback)
    assert complaint in found.seen
    assert (found.num_tokens, found.is_transient) == (9, False)


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[1]", b'{"data": [', b"\xff"])
def test_what_is_no_json_object_may_pass(answer: bytes) -> None:
    found = read_answer(answer, 1, 2)
    assert isinstance(found, Setback)
    assert found.is_transient


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": 0}, {"total_tokens": -1}, {"total_tokens": "many"}, 7])
def test_usage_that_says_nothing_is_not_believed(usage: object) -> None:
    found = read_answer(body([[1.0]], usage=usage), 1, 1)
    assert isinstance(found, Answer)
    assert found.num_tokens is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 0.0),
    ],
)
def test_pauses_are_read_from_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, now=10.0) == seconds


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_statuses_that_may_pass(status: int) -> None:
    found = read_refusal(status, {"retry-after": "3"}, {"error": {"message": "busy"}}, KEY)
    assert (found.is_transient, found.wait_seconds) == (True, 3.0)
    assert found.seen == f"HTTP {status}, busy"


@pytest.mark.parametrize(
    ("status", "code", "is_of_endpoint", "remedy"),
    [
        (401, "invalid_api_key", True, "environment variable MY_KEY"),
        (403, "denied", True, "environment variable MY_KEY"),
        (429, "insufficient_quota", True, "Add credit"),
        (402, None, True, "Add credit"),
        (404, "model_not_found", True, "Check `base_url`, `model`"),
        (307, None, True, "Check `base_url`"),
        (400, None, False, "the limits in the profile"),
        (422, None, False, "the limits in the profile"),
    ],
)
def test_statuses_that_do_not_pass(status: int, code: str | None, is_of_endpoint: bool, remedy: str) -> None:
    found = read_refusal(status, {}, {"error": {"message": "no", "code": code}}, KEY)
    assert (found.is_transient, found.is_of_endpoint) == (False, is_of_endpoint)
    assert remedy in found.remedy


@pytest.mark.parametrize("status", [400, 401, 429, 500])
@pytest.mark.parametrize(
    "error", ["{}", {"message": "{}"}, {"code": "{}"}, {"type": "{}"}, {"message": "sk-other9999 x"}]
)
def test_no_message_holds_a_key(status: int, error: object) -> None:
    echoed = json.loads(json.dumps({"error": error}).replace("{}", KEY.reveal()))
    found = repr(read_refusal(status, {}, echoed, KEY))
    assert KEY.reveal() not in found
    assert "sk-other9999" not in found


@pytest.mark.parametrize("answer", [None, "gateway down", [], {"error": None}, {"error": "text"}, {"detail": 1}])
def test_errors_of_any_shape_are_read(answer: object) -> None:
    assert read_refusal(503, {}, answer, KEY).seen.startswith("HTTP 503")


def test_a_key_shows_itself_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", f" {KEY.reveal()}\n")
    key = read_key("MY_KEY")
    assert key.reveal() == KEY.reveal()
    assert KEY.reveal() not in f"{key} {key!r} {[key]}"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
    assert read_key("").reveal() == ""


@pytest.mark.parametrize("text", ["two words", "schlüssel", "a\nb"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MY_KEY", text)
    with pytest.raises(ConfigError, match="MY_KEY holds characters that no key has") as caught:
        read_key("MY_KEY")
    assert text not in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    if text is not None:
        monkeypatch.setenv("MY_KEY", text)
    with pytest.raises(ConfigError, match="no API key in the environment variable MY_KEY"):
        read_key("MY_KEY")


def test_endpoints_are_named_by_host_and_path() -> None:
    assert endpoint_name(None) is None
    assert endpoint_name("https://api.openai.com/v1/") is None
    assert endpoint_name("http://GPU-box:8000/v1/") == "gpu-box:8000/v1"
    assert endpoint_name("https://gateway/a/v1") != endpoint_name("https://gateway/b/v1")


@pytest.mark.parametrize(
    "url", ["ftp://a/v1", "a/v1", "", "https://user:secret@a/v1", "https://a/v1?key=secret", "http://a:port/v1"]
)
def test_addresses_that_are_none_or_hold_secrets_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no plain http") as caught:
        endpoint_name(url)
    assert "secret" not in str(caught.value)


def patience(health: Health, max_attempts: int = 4) -> Patience:
    return Patience(
        place="here",
        health=health,
        max_attempts=max_attempts,
        first_wait_seconds=0.02,
        max_wait_seconds=0.05,
        random=Random(0),
    )


BUSY = Setback(seen="busy", rule="r", is_transient=True)


def test_waits_double_up_to_their_bound_with_jitter() -> None:
    rules = patience(Health())
    waits = [rules._wait_seconds(attempts) for attempts in (1, 2, 3, 9)]
    for wait, longest in zip(waits, [0.02, 0.04, 0.05, 0.05], strict=True):
        assert longest / 2 <= wait <= longest
    assert len(set(waits)) == len(waits)


def test_a_pause_that_one_request_was_asked_for_is_kept_by_the_next() -> None:
    health = Health()
    health.note(Setback(seen="", rule="", is_transient=True, wait_seconds=0.15), longest_wait_seconds=1.0)
    start = time.monotonic()
    answer = Answer(np.zeros((1, 1), np.float32), 1)
    assert patience(health).answer(lambda: answer, threading.Event()) is answer
    assert time.monotonic() - start >= 0.14


def test_a_pause_ends_when_nobody_waits_any_more() -> None:
    stop = threading.Event()
    stop.set()
    found = patience(Health()).answer(lambda: BUSY, stop)
    assert isinstance(found, Refusal)
    assert isinstance(found.error, TransientError)
    assert found.error.seen == "stopped"


def test_all_attempts_are_made_once_and_then_one_each() -> None:
    health, asked = Health(), []

    def ask() -> Setback:
        asked.append(1)
        return BUSY

    for expected in (4, 5, 6):
        found = patience(health).answer(ask, threading.Event())
        assert isinstance(found, Refusal)
        assert len(asked) == expected
    assert found.error.seen == "busy, after 1 attempt"
