"""What goes wrong at an endpoint: waited out, given up, or refused for good; and the key is shown nowhere."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediafm.encoders.host import EncoderHost, OwnPurse
from mediafm.encoders.openai_patience import forget_health
from mediafm.encoders.openai_text import OpenAIText, OpenAITextSettings
from mediafm.errors import EncoderError, MediaFMError, TransientError
from mediafm.store.bought import BoughtVectors, RootPurse
from mediafm.testing.embeddings_server import LOOPBACK, Defect, EmbeddingsServer, Fault, made_up_vector

WIDTH = 16
KEY = "sk-recognisable-0123456789abcdef"
ONE_DOLLAR_A_TOKEN = 1e6


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Bytes are counted, the key stands in MY_KEY, and nothing is known of any endpoint."""
    forget_health()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "tiktoken"))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, LOOPBACK)
    monkeypatch.setenv("MY_KEY", KEY)


@pytest.fixture
def server() -> Iterator[EmbeddingsServer]:
    with EmbeddingsServer() as running:
        yield running


def make(server: EmbeddingsServer, host: EncoderHost | None = None, **changes: Any) -> OpenAIText:
    given = {
        "base_url": server.base_url,
        "api_key_env": "MY_KEY",
        "dimensions": WIDTH,
        "first_wait_seconds": 0.01,
        "max_wait_seconds": 2.0,
        "max_attempts": 3,
        "usd_per_million_tokens": ONE_DOLLAR_A_TOKEN,
    }
    return OpenAIText(OpenAITextSettings(**{**given, **changes}), host)


@pytest.mark.parametrize(
    "fault",
    [Fault(status=429), Fault(status=500), Fault(status=503), Fault(defect="truncated"), Fault(defect="not_json")],
    ids=lambda fault: str(fault.status or fault.defect),
)
def test_what_may_pass_is_asked_again(server: EmbeddingsServer, fault: Fault) -> None:
    server.plan([fault, fault])
    purse = OwnPurse()
    with make(server, EncoderHost(purse=purse)) as encoder:
        np.testing.assert_array_equal(encoder.encode(["abcd"])[0], made_up_vector("abcd", WIDTH))
    assert (server.num_requests, purse.spent_usd) == (3, 1.0)


def test_a_slow_answer_is_not_waited_for(server: EmbeddingsServer) -> None:
    with make(server, timeout_seconds=1.0) as encoder:
        encoder.encode(["a"])
        server.plan([Fault(delay_seconds=8.0)])
        start = time.monotonic()
        encoder.encode(["b"])
        assert 1.0 <= time.monotonic() - start < 7.0
    assert server.num_requests == 3


def test_nobody_there_is_transient_and_costs_nothing() -> None:
    with EmbeddingsServer() as server:
        pass
    purse = OwnPurse()
    with make(server, EncoderHost(purse=purse)) as encoder:
        with pytest.raises(TransientError, match=r"the connection failed .*, after 3 attempts"):
            encoder.encode(["a"])
        assert purse.spent_usd == 0


@pytest.mark.parametrize(
    ("headers", "least_seconds"),
    [
        ({"Retry-After": "1"}, 1.0),
        ({"retry-after-ms": "400", "Retry-After": "60"}, 0.4),
        ({"Retry-After": "3600"}, 0.6),
    ],
)
def test_a_pause_that_is_asked_for_is_kept_up_to_our_bound(
    server: EmbeddingsServer, headers: dict[str, str], least_seconds: float
) -> None:
    server.plan([Fault(status=429, headers=headers)])
    bound_seconds = 0.6 if headers.get("Retry-After") == "3600" else 60.0
    with make(server, max_wait_seconds=bound_seconds) as encoder:
        start = time.monotonic()
        encoder.encode(["a"])
        assert least_seconds <= time.monotonic() - start < 20


def test_a_pause_may_be_a_date(server: EmbeddingsServer) -> None:
    server.plan([Fault(status=503, headers={"Retry-After": formatdate(time.time() + 2, usegmt=True)})])
    with make(server) as encoder:
        start = time.monotonic()
        encoder.encode(["a"])
        assert 0.9 <= time.monotonic() - start < 10


def test_after_an_outage_each_request_tries_once_until_one_works(server: EmbeddingsServer) -> None:
    server.always(Fault(status=500))
    host = EncoderHost(purse=OwnPurse())
    with make(server, host) as encoder, make(server, host) as another:
        for each, num_requests in ((encoder, 3), (encoder, 4), (another, 5)):
            with pytest.raises(TransientError, match=r"HTTP 500.*Run again later"):
                each.encode(["a"])
            assert server.num_requests == num_requests
        server.always(None)
        encoder.encode(["a"])
        server.always(Fault(status=500))
        with pytest.raises(TransientError, match="after 3 attempts"):
            another.encode(["b"])
    assert server.num_requests == 9


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (401, None, "environment variable MY_KEY"),
        (403, None, "environment variable MY_KEY"),
        (404, "model_not_found", "Check `base_url`, `model`"),
        (429, "insufficient_quota", "Add credit"),
        (400, None, "the limits in the profile"),
    ],
)
def test_a_refusal_for_good_is_met_once_by_a_process(
    server: EmbeddingsServer, status: int, code: str | None, remedy: str
) -> None:
    server.always(Fault(status=status, code=code))
    purse = OwnPurse()
    with make(server, EncoderHost(purse=purse)) as encoder, make(server) as another:
        with pytest.raises(EncoderError, match=remedy):
            encoder.encode(["a"])
        for each in (encoder, another):
            with pytest.raises(EncoderError, match=r"not asked again in this process.*" + remedy):
                each.encode(["b"])
    assert (server.num_requests, purse.spent_usd) == (1, 0)


def test_one_bad_request_of_an_endpoint_that_works_is_not_held_against_it(server: EmbeddingsServer) -> None:
    server.plan([None, Fault(status=400)])
    with make(server) as encoder:
        encoder.encode(["a"])
        with pytest.raises(EncoderError, match="HTTP 400"):
            encoder.encode(["b"])
        encoder.encode(["c"])


def test_another_key_or_model_is_asked_anew(server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.plan([Fault(status=401), Fault(status=404)])
    with make(server) as first, pytest.raises(EncoderError, match="HTTP 401"):
        first.encode(["a"])
    monkeypatch.setenv("MY_KEY", "sk-renewed")
    with make(server, model="gone") as second, pytest.raises(EncoderError, match="HTTP 404"):
        second.encode(["a"])
    with make(server) as third:
        third.encode(["a"])


def test_no_redirect_is_followed(server: EmbeddingsServer) -> None:
    with EmbeddingsServer() as elsewhere:
        server.plan([Fault(status=307, headers={"Location": f"{elsewhere.base_url}/embeddings"})])
        with make(server) as encoder, pytest.raises(EncoderError, match="HTTP 307"):
            encoder.encode(["a"])
        assert elsewhere.num_requests == 0


@pytest.mark.parametrize(
    ("defect", "complaint"),
    [
        ("wrong_width", "a vector of 17 numbers; 16 numbers were promised"),
        ("wrong_count", "1 vectors for 2 texts"),
        ("nan", "a number that is not finite"),
    ],
)
@pytest.mark.parametrize("encoding_format", ["base64", "float"])
def test_a_broken_answer_is_refused_kept_nowhere_and_paid(
    server: EmbeddingsServer, tmp_path: Path, defect: Defect, complaint: str, encoding_format: str
) -> None:
    server.plan([Fault(defect=defect)])
    purse = RootPurse(tmp_path / "bought.sqlite")
    host = EncoderHost(cache=BoughtVectors(tmp_path / "bought.sqlite"), purse=purse)
    with make(server, host, encoding_format=encoding_format) as encoder:
        with pytest.raises(EncoderError, match=complaint):
            encoder.encode(["abcd", "efgh"])
        assert encoder.estimate(["abcd", "efgh"]).num_cached == 0
    assert (server.num_requests, purse.spent_usd()) == (1, 2.0)


def test_answers_in_another_order_are_put_right(server: EmbeddingsServer) -> None:
    server.plan([Fault(defect="shuffled")])
    texts = ["one", "two", "three"]
    with make(server) as encoder:
        np.testing.assert_array_equal(encoder.encode(texts), [made_up_vector(text, WIDTH) for text in texts])


def test_what_others_bring_is_handed_out_before_the_error_and_pauses_end(server: EmbeddingsServer) -> None:
    """Three requests at once: one is asked to wait for long, one is refused for good, one brings vectors."""
    together = {"delay_seconds": 0.5}
    long = {"Retry-After": "60"}
    found = []
    with make(server, max_inputs=1, concurrency=3, max_wait_seconds=60.0) as encoder:
        encoder.encode(["it works"])
        server.plan([Fault(status=429, headers=long, **together), Fault(status=400, **together), Fault(**together)])
        start = time.monotonic()
        with pytest.raises(EncoderError, match="HTTP 400"):
            found.extend(encoder.encode_stream(enumerate("abc")))
        assert time.monotonic() - start < 30
    assert len(found) == 1
    assert server.num_requests == 4


def test_the_key_is_shown_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The server repeats the key in its answer; the client logs all it can; a traceback shows local variables."""
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "bought.sqlite"
    host = EncoderHost(cache=BoughtVectors(path), purse=RootPurse(path))
    shown: list[str] = []
    with EmbeddingsServer(api_key=KEY) as server, make(server, host) as encoder:
        encoder.encode(["a line that is bought"])
        shown += [repr(encoder.settings), repr(encoder.spec), repr(vars(encoder)), repr(server.received)]
        server.api_key = "another"
        for _ in range(2):
            with pytest.raises(EncoderError, match=r"HTTP 401, invalid_api_key.*variable MY_KEY") as caught:
                encoder.encode(["a line that is not"])
            shown += told_by(caught.value)
        forget_health()
        server.always(Fault(status=500))
    with make(server, host, max_attempts=1) as encoder, pytest.raises(TransientError, match="connection") as out:
        encoder.encode(["nobody there"])
    shown += told_by(out.value)
    assert caplog.records
    shown.append(caplog.text)
    shown += [repr(vars(record)) for record in caplog.records]
    assert not [text for text in shown if KEY in text]
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes()


def told_by(error: MediaFMError) -> list[str]:
    """All that a report could make of an error, local variables of every frame and hidden causes included."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert error.__cause__ is None
    assert error.__context__ is None
    return [str(error), repr(error), str(error.as_dict()), "".join(trace.format()), *traceback.format_exception(error)]
