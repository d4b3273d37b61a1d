"""openai-text through the real client and a real server: each text bought once, within limits, for a counted price."""

from __future__ import annotations

import re
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiktoken
import tiktoken.registry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediafm.config import EncoderChoice
from mediafm.encoders import openai_stream
from mediafm.encoders.encoder import NOTHING_BOUGHT, Usage
from mediafm.encoders.host import EncoderHost, OwnPurse
from mediafm.encoders.openai_patience import forget_health
from mediafm.encoders.openai_text import OpenAIText, OpenAITextSettings
from mediafm.encoders.pricing import Estimate
from mediafm.encoders.registry import create_encoder
from mediafm.encoders.tokens import vocabulary_file
from mediafm.errors import ConfigError, EncoderError
from mediafm.store.bought import BoughtVectors, RootPurse
from mediafm.testing import embeddings_server
from mediafm.testing.embeddings_server import LOOPBACK, EmbeddingsServer, Fault, count_tokens, made_up_vector
from mediafm.testing.encoders import check_encoder
from mediafm.testing.inputs import odd_inputs
from mediafm.types import Modality

WIDTH = 16
ONE_DOLLAR_A_TOKEN = 1e6


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No vocabulary, key, proxy or other endpoint of the machine that tests run on; nothing learnt by other tests."""
    forget_health()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "tiktoken"))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, LOOPBACK)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[EmbeddingsServer]:
    with EmbeddingsServer() as running:
        yield running


def make(server: EmbeddingsServer, host: EncoderHost | None = None, **changes: Any) -> OpenAIText:
    given = {"base_url": server.base_url, "api_key_env": "", "dimensions": WIDTH, "first_wait_seconds": 0.01}
    return OpenAIText(OpenAITextSettings(**{**given, **changes}), host)


def test_it_keeps_the_contract_of_encoders(server: EmbeddingsServer) -> None:
    made: list[OpenAIText] = []

    def make_one() -> OpenAIText:
        made.append(make(server))
        return made[-1]

    check_encoder(make_one, odd_inputs(Modality.TEXT))
    for encoder in made:
        encoder.close()


@pytest.mark.parametrize("encoding_format", ["base64", "float"])
def test_vectors_are_the_endpoints_own_in_either_format(server: EmbeddingsServer, encoding_format: str) -> None:
    texts = ["Hello there.", "七人の侍", "♪♪"]
    with make(server, encoding_format=encoding_format) as encoder:
        vectors = encoder.encode(texts)
    np.testing.assert_array_equal(vectors, [made_up_vector(text, WIDTH) for text in texts])


def test_an_endpoint_that_knows_no_dimensions_gives_its_own_width(server: EmbeddingsServer) -> None:
    with make(server, dimensions=None, width=3072) as encoder:
        assert encoder.encode(["a"]).shape == (1, 3072)


def test_blank_texts_are_not_sent_and_give_zeros(server: EmbeddingsServer) -> None:
    with make(server) as encoder:
        found = {each.key: each for each in encoder.encode_stream(enumerate(["", "  \n\t", "a", "\u3000"]))}
    assert server.texts == ["a"]
    for place in (0, 1, 3):
        assert not found[place].vector.any()
        assert found[place].usage == NOTHING_BOUGHT


def test_lone_surrogates_are_replaced_before_sending(server: EmbeddingsServer) -> None:
    with make(server) as encoder:
        encoder.encode(["a \ud800 b"])
    assert server.texts == ["a \N{REPLACEMENT CHARACTER} b"]


def test_a_long_text_is_sent_in_parts_and_its_vector_is_their_normed_mean(server: EmbeddingsServer) -> None:
    text = "".join(chr(0x4E00 + place) for place in range(20)) + "hello"
    with make(server, max_input_tokens=16) as encoder:
        (found,) = encoder.encode_stream([("it", text)])
    assert "".join(server.texts) == text
    assert max(len(part.encode()) for part in server.texts) <= 16
    weights = np.array([len(part.encode()) for part in server.texts])
    mean = np.average([made_up_vector(part, WIDTH) for part in server.texts], axis=0, weights=weights)
    np.testing.assert_allclose(found.vector, mean / np.linalg.norm(mean), rtol=1e-5)
    assert np.linalg.norm(found.vector) == pytest.approx(1, abs=1e-6)
    assert (found.usage.num_bought, found.usage.num_cached) == (len(server.texts), 0) == (5, 0)


def tiny_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vocabulary of words of "x" where tiktoken's cache has cl100k_base."""
    ranks = {bytes([value]): value for value in range(256)} | {b"x" * n: 254 + n for n in range(2, 9)}
    tiny = tiktoken.Encoding("cl100k_base", pat_str=r"\S+|\s+", mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setitem(tiktoken.registry.ENCODINGS, "cl100k_base", tiny)
    vocabulary_file("cl100k_base").parent.mkdir()
    vocabulary_file("cl100k_base").touch()


def test_a_vocabulary_that_happens_to_lie_here_moves_no_vector(
    server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "x" * 40 + " 人 and some more"
    with make(server, max_input_tokens=16) as encoder:
        by_bytes = encoder.encode([text])
        assert encoder.counting == "utf-8 bytes (upper bound)"
    tiny_vocabulary(monkeypatch)
    with make(server, max_input_tokens=16) as other:
        np.testing.assert_array_equal(other.encode([text]), by_bytes)
        assert other.counting == "tiktoken cl100k_base"
        assert other.spec == encoder.spec
        assert other.estimate(["x" * 8]).num_tokens == 1
    with make(server, max_input_tokens=16, tokenizer="tiktoken") as asked:
        server.received.clear()
        asked.encode(["x" * 40])
        assert server.texts == ["x" * 40]
        assert asked.spec != encoder.spec


def test_equal_texts_are_bought_once_across_items_and_calls(server: EmbeddingsServer) -> None:
    texts = ["la la", "♪", "la la", "la la", "♪", "one more"]
    with make(server, usd_per_million_tokens=ONE_DOLLAR_A_TOKEN) as encoder:
        found = {each.key: each for each in encoder.encode_stream(enumerate(texts))}
        encoder.encode(texts)
    assert sorted(server.texts) == sorted(set(texts))
    total = sum((each.usage for each in found.values()), NOTHING_BOUGHT)
    assert total == Usage(num_tokens=5, cost_usd=5.0, num_bought=3, num_cached=3)
    np.testing.assert_array_equal(found[0].vector, found[2].vector)


def test_a_line_that_is_under_way_is_not_asked_for_again(
    server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_stream, "ITEMS_PER_LOOK_UP", 2)
    with make(server, max_inputs=3, concurrency=2) as encoder:
        list(encoder.encode_stream(enumerate("abcacbdaebcadbefabc")))
    assert sorted(server.texts) == list("abcdef")


def test_what_was_bought_is_not_bought_by_a_later_run_which_needs_no_key(
    server: EmbeddingsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = EncoderHost(cache=BoughtVectors(tmp_path / "bought.sqlite"))
    texts = [f"line {number}" for number in range(30)]
    monkeypatch.setenv("MY_KEY", "sk-0123456789")
    with make(server, host, api_key_env="MY_KEY") as encoder:
        first = encoder.encode(texts)
    assert all(request.is_authorised for request in server.received)
    assert b"line 7" not in (tmp_path / "bought.sqlite").read_bytes()
    server.received.clear()
    monkeypatch.delenv("MY_KEY")
    with make(server, host, api_key_env="MY_KEY") as encoder:
        found = list(encoder.encode_stream(enumerate(texts)))
        np.testing.assert_array_equal(np.stack([each.vector for each in found]), first)
        assert {each.usage for each in found} == {Usage(num_cached=1)}
        assert server.num_requests == 0
        with pytest.raises(ConfigError, match="no API key in the environment variable MY_KEY"):
            encoder.encode(["something new"])


def test_other_models_dimensions_and_endpoints_share_no_vectors(server: EmbeddingsServer, tmp_path: Path) -> None:
    host = EncoderHost(cache=BoughtVectors(tmp_path / "bought.sqlite"))
    with EmbeddingsServer() as elsewhere:
        encoders = [
            make(server, host),
            make(server, host, model="other"),
            make(server, host, dimensions=WIDTH + 1),
            make(elsewhere, host),
            make(elsewhere, host, endpoint_name="mine"),
        ]
        for encoder in encoders:
            with encoder:
                encoder.encode(["a"])
        assert (server.num_requests, elsewhere.num_requests) == (3, 2)
    assert len({str(encoder.spec.as_json()) for encoder in encoders}) == len(encoders)


def test_only_what_moves_vectors_stands_in_the_spec(server: EmbeddingsServer) -> None:
    plain = make(server)
    other = make(
        server,
        api_key_env="OTHER",
        encoding_format="float",
        max_inputs=7,
        max_request_tokens=20_000,
        concurrency=9,
        timeout_seconds=1,
        max_attempts=1,
        max_wait_seconds=1,
        usd_per_million_tokens=0.13,
        budget_usd=5,
    )
    assert other.spec == plain.spec
    assert OpenAIText().spec.settings == {
        "endpoint": None,
        "model": "text-embedding-3-large",
        "dimensions": 768,
        "split_by": "utf-8 bytes",
        "split_at": 8191,
    }
    assert make(server, max_input_tokens=100).spec != plain.spec


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(min_size=1, max_size=30).filter(str.strip), max_size=40),
    max_inputs=st.integers(1, 9),
    max_request_tokens=st.integers(16, 60),
    concurrency=st.integers(1, 5),
)
def test_every_text_comes_back_once_with_its_own_vector_and_no_limit_is_passed(
    server: EmbeddingsServer, texts: list[str], max_inputs: int, max_request_tokens: int, concurrency: int
) -> None:
    server.received.clear()
    limits = {"max_inputs": max_inputs, "max_request_tokens": max_request_tokens, "concurrency": concurrency}
    with make(server, max_input_tokens=16, usd_per_million_tokens=1.0, **limits) as encoder:
        found = {each.key: each for each in encoder.encode_stream(enumerate(texts))}
    assert sorted(found) == list(range(len(texts)))
    for place, text in enumerate(texts):
        if len(text.encode("utf-8", "replace")) <= 16 and text.isascii():
            np.testing.assert_array_equal(found[place].vector, made_up_vector(text, WIDTH))
    for request in server.received:
        assert len(request.inputs) <= max_inputs
        assert sum(len(text.encode()) for text in request.inputs) <= max_request_tokens
    assert len(set(server.texts)) == len(server.texts)
    assert sum(each.usage.num_tokens for each in found.values()) == sum(map(count_tokens, server.texts))


def test_the_real_limits_are_the_defaults(server: EmbeddingsServer) -> None:
    """2,100 lines and a text of 20,000 bytes: the server would refuse a request that passes its limits."""
    with make(server, dimensions=2) as encoder:
        assert encoder.encode([*(f"line {number}" for number in range(2100)), "word " * 4000]).shape == (2101, 2)
    assert [len(request.inputs) for request in server.received] in ([2048, 55], [55, 2048])


def test_requests_run_at_once_but_the_stream_is_not_read_far_ahead(server: EmbeddingsServer) -> None:
    server.always(Fault(delay_seconds=0.05))
    read: list[int] = []

    def items() -> Iterator[tuple[int, str]]:
        for place in range(2000):
            read.append(place)
            yield place, f"text {place}"

    with make(server, max_inputs=50, concurrency=3) as encoder:
        stream = encoder.encode_stream(items())
        next(stream)
        assert len(read) <= openai_stream.ITEMS_PER_LOOK_UP
        assert len(list(stream)) == 1999
    assert server.peak_concurrency == 3


def test_little_to_buy_holds_nothing_back_for_ever(server: EmbeddingsServer) -> None:
    server.always(Fault(delay_seconds=0.1))
    read: list[int] = []

    def items() -> Iterator[tuple[int, str]]:
        for place in range(5000):
            read.append(place)
            yield place, "the same"

    with make(server, max_inputs=100, concurrency=2) as encoder:
        stream = encoder.encode_stream(items())
        next(stream)
        assert len(read) <= 400 + openai_stream.ITEMS_PER_LOOK_UP
        assert len(list(stream)) == 4999
    assert server.texts == ["the same"]


def test_what_was_bought_before_a_stream_is_left_is_kept(server: EmbeddingsServer, tmp_path: Path) -> None:
    host = EncoderHost(cache=BoughtVectors(tmp_path / "bought.sqlite"))
    with make(server, host, max_inputs=10, concurrency=4) as encoder:
        stream = encoder.encode_stream((place, f"text {place}") for place in range(200))
        next(stream)
        stream.close()
        asked = server.num_requests
        assert encoder.estimate(server.texts).num_cached == len(server.texts) == 10 * asked


def test_an_estimate_asks_nobody(server: EmbeddingsServer) -> None:
    texts = ["abcd", "abcd", "", "known", "x" * 20]
    with make(server, usd_per_million_tokens=ONE_DOLLAR_A_TOKEN, max_input_tokens=16) as encoder:
        encoder.encode(["known"])
        asked = server.num_requests
        found = encoder.estimate(texts)
        assert server.num_requests == asked
    counting = "utf-8 bytes (upper bound)"
    assert found == Estimate(num_texts=5, num_unique=4, num_cached=1, num_tokens=24, cost_usd=24.0, counting=counting)
    assert make(server).estimate(texts).cost_usd is None


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_run_stops_before_the_budget_is_passed(server: EmbeddingsServer, tmp_path: Path, concurrency: int) -> None:
    """A text is set aside for 4 dollars and costs 1: with 10 dollars seven are bought, whatever runs at once."""
    path = tmp_path / "bought.sqlite"
    purse = RootPurse(path)
    host = EncoderHost(cache=BoughtVectors(path), purse=purse)
    price = {"usd_per_million_tokens": ONE_DOLLAR_A_TOKEN, "max_inputs": 1, "concurrency": concurrency}
    texts = [f"{number:04}" for number in range(20)]
    found = []
    with make(server, host, budget_usd=10.0, **price) as encoder:
        with pytest.raises(EncoderError, match="Raise `budget_usd` in the profile"):
            found.extend(encoder.encode_stream(enumerate(texts)))
        assert (len(found), server.num_requests, purse.spent_usd()) == (7, 7, 7.0)
    with make(server, host, budget_usd=100.0, **price) as encoder:
        assert encoder.estimate(texts).num_cached == 7
        encoder.encode(texts)
    assert (server.num_requests, purse.spent_usd()) == (20, 20.0)


def test_an_endpoint_that_tells_no_usage_costs_what_was_counted(server: EmbeddingsServer) -> None:
    server.plan([Fault(defect="no_usage")])
    purse = OwnPurse()
    with make(server, EncoderHost(purse=purse), usd_per_million_tokens=ONE_DOLLAR_A_TOKEN) as encoder:
        (found,) = encoder.encode_stream([(0, "abcdefgh")])
    assert (found.usage.num_tokens, purse.spent_usd) == (8, 8.0)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"dimensions": None}, "Set `width`"),
        ({"dimensions": 8, "width": 9}, "Leave `width` out"),
        ({"budget_usd": 1.0}, "Set `usd_per_million_tokens`"),
        ({"max_request_tokens": 100}, "Lower `max_input_tokens`"),
        ({"base_url": "no address"}, "no plain http"),
        ({"base_url": "no address", "endpoint_name": "mine"}, "no plain http"),
        ({"api_key_env": "sk-this-is-a-key"}, "api_key_env"),
        ({"unknown": 1}, "unknown setting 'unknown'"),
        ({"concurrency": 0}, "concurrency = 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        create_encoder(Modality.TEXT, EncoderChoice(name="openai-text", settings=changes))


def test_the_profile_that_the_fake_server_documents_works(server: EmbeddingsServer) -> None:
    assert embeddings_server.__doc__ is not None
    (example,) = re.findall(r"^    \[text\]\n(?:    .*\n)+", embeddings_server.__doc__, re.MULTILINE)
    profile = tomllib.loads(textwrap.dedent(example).replace("http://127.0.0.1:8080/v1", server.base_url))
    with create_encoder(Modality.TEXT, EncoderChoice(**profile["text"])) as encoder:
        assert encoder.encode(["a"]).shape == (1, 768)


def test_without_its_package_it_says_how_to_install_it(
    server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with make(server) as encoder, pytest.raises(ConfigError, match=r"pip install 'mediafm\[full\]'"):
        encoder.encode(["a"])


def test_another_endpoint_in_the_environment_is_not_obeyed_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with OpenAIText(OpenAITextSettings(api_key_env="")) as encoder, pytest.raises(ConfigError, match="unset OPENAI_B"):
        encoder.encode(["a"])


def test_the_client_says_nothing_of_this_machine(server: EmbeddingsServer) -> None:
    with make(server) as encoder:
        encoder.encode(["a"])
    (request,) = server.received
    assert not request.is_authorised
    assert {name for name in request.header_names if "stainless" in name} <= {"x-stainless-raw-response"}
