"""The fake endpoint is a real server: it keeps the API's limits, repeats itself exactly, and fails on request."""

from __future__ import annotations

import base64
import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from mediafm.testing.embeddings_server import (
    FULL_WIDTH,
    LOOPBACK,
    MAX_INPUT_TOKENS,
    EmbeddingsServer,
    Fault,
    count_tokens,
    made_up_vector,
)


@pytest.fixture
def server() -> Iterator[EmbeddingsServer]:
    with EmbeddingsServer() as running:
        yield running


def post(server: EmbeddingsServer, body: object, key: str | None = None) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers, without any client between."""
    port = int(server.base_url.removesuffix("/v1").rsplit(":", 1)[1])
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with closing(http.client.HTTPConnection(LOOPBACK, port, timeout=20)) as connection:
        connection.request("POST", "/v1/embeddings", json.dumps(body), headers)
        with connection.getresponse() as answer:
            return answer.status, json.loads(answer.read()), dict(answer.getheaders())


def test_vectors_are_of_unit_length_deterministic_and_nearer_for_shared_words() -> None:
    train = made_up_vector("the night train leaves")
    np.testing.assert_array_equal(train, made_up_vector("the night train leaves"))
    assert np.linalg.norm(train) == pytest.approx(1, abs=1e-6)
    near, far = made_up_vector("a night train arrives"), made_up_vector("dogs bark loudly outside")
    assert train @ near > 0.3 > abs(train @ far)
    assert not np.array_equal(made_up_vector("a b"), made_up_vector("b a"))


def test_a_narrower_vector_is_the_beginning_of_the_full_one() -> None:
    full, narrow = made_up_vector("hello"), made_up_vector("hello", 256)
    np.testing.assert_allclose(narrow, full[:256] / np.linalg.norm(full[:256]), rtol=1e-5)


def test_float_and_base64_hold_the_same_numbers(server: EmbeddingsServer) -> None:
    asked = {"model": "m", "input": ["one", "two"], "dimensions": 8}
    _, plain, _ = post(server, asked)
    _, packed, _ = post(server, {**asked, "encoding_format": "base64"})
    for first, second in zip(plain["data"], packed["data"], strict=True):
        assert first["index"] == second["index"]
        np.testing.assert_array_equal(
            np.float32(first["embedding"]), np.frombuffer(base64.b64decode(second["embedding"]), "<f4")
        )
    assert plain["usage"]["total_tokens"] == count_tokens("one") + count_tokens("two") == 2


def test_one_string_is_one_input_and_the_full_width_is_the_default(server: EmbeddingsServer) -> None:
    _, answer, _ = post(server, {"model": "m", "input": "hello"})
    assert [len(row["embedding"]) for row in answer["data"]] == [FULL_WIDTH]


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        (["a"] * 2049, "at most 2048 items"),
        ([], "strings that are not empty"),
        (["a", ""], "strings that are not empty"),
        (["a" * (4 * MAX_INPUT_TOKENS + 1)], "maximum context length is 8192 tokens, not 8193"),
        (["a" * (4 * MAX_INPUT_TOKENS)] * 37, "max 300000 tokens per request"),
    ],
)
def test_the_real_limits_are_kept(server: EmbeddingsServer, inputs: list[str], complaint: str) -> None:
    status, answer, _ = post(server, {"model": "m", "input": inputs, "dimensions": 2})
    assert status == 400
    assert complaint in answer["error"]["message"]


@pytest.mark.parametrize("body", [[], {"input": "a"}, {"model": "m"}, {"model": "m", "input": "a", "dimensions": 0}])
def test_what_is_no_request_is_refused(server: EmbeddingsServer, body: object) -> None:
    assert post(server, body)[0] == 400


def test_a_refused_key_is_told_in_the_answer_but_not_kept() -> None:
    with EmbeddingsServer(api_key="right") as server:
        status, answer, _ = post(server, {"model": "m", "input": "a"}, key="sk-wrong")
        assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
        assert "sk-wrong" in answer["error"]["message"]
        assert post(server, {"model": "m", "input": "a", "dimensions": 2}, key="right")[0] == 200
        assert "sk-wrong" not in repr(server.received)
        assert [request.is_authorised for request in server.received] == [True, True]


def test_faults_come_in_the_planned_order_and_then_end(server: EmbeddingsServer) -> None:
    server.plan([Fault(status=429, headers={"Retry-After": "7"}), None, Fault(status=503, code="busy")])
    found = [post(server, {"model": "m", "input": "a", "dimensions": 2}) for _ in range(4)]
    assert [status for status, _, _ in found] == [429, 200, 503, 200]
    assert found[0][2]["Retry-After"] == "7"
    assert found[2][1]["error"]["code"] == "busy"
    server.always(Fault(status=500))
    assert [post(server, {"model": "m", "input": "a"})[0] for _ in range(2)] == [500, 500]
    server.always(None)
    assert post(server, {"model": "m", "input": "a", "dimensions": 2})[0] == 200


def test_a_cut_answer_ends_half_way(server: EmbeddingsServer) -> None:
    server.plan([Fault(defect="truncated")])
    with pytest.raises(http.client.IncompleteRead, match="bytes read"):
        post(server, {"model": "m", "input": "a"})


def test_defects_of_answers(server: EmbeddingsServer) -> None:
    asked = {"model": "m", "input": ["a", "b", "c"], "dimensions": 4}
    server.plan([Fault(defect=kind) for kind in ("wrong_width", "wrong_count", "shuffled", "nan", "no_usage")])
    wide, few, shuffled, nan, no_usage = (post(server, asked)[1] for _ in range(5))
    assert [len(row["embedding"]) for row in wide["data"]] == [5, 4, 4]
    assert [row["index"] for row in few["data"]] == [0, 1]
    assert [row["index"] for row in shuffled["data"]] == [2, 1, 0]
    assert np.isnan(nan["data"][0]["embedding"]).all()
    assert "usage" not in no_usage


def test_it_counts_requests_and_those_at_once(server: EmbeddingsServer) -> None:
    server.always(Fault(delay_seconds=0.5))
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda text: post(server, {"model": "m", "input": text, "dimensions": 2}), "abc"))
    assert (server.num_requests, server.peak_concurrency) == (3, 3)
    assert sorted(server.texts) == ["a", "b", "c"]
    assert all(request.num_bytes > 0 and not request.is_authorised for request in server.received)


def test_it_runs_by_itself_on_loopback() -> None:
    command = [sys.executable, "-m", "mediafm.testing.embeddings_server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"base_url = http://{LOOPBACK}:")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert "0 requests, 0 texts." in process.stdout.read()
