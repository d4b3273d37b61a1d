"""Text is counted and cut without losing or breaking a character, with or without a vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiktoken
import tiktoken.registry
import tiktoken_ext.openai_public
from hypothesis import given
from hypothesis import strategies as st

from mediafm.encoders import tokens
from mediafm.encoders.tokens import (
    SMALLEST_LIMIT,
    VOCABULARY_URLS,
    Tiktoken,
    TokenCounter,
    Utf8Bytes,
    find_counter,
    sendable,
    vocabulary_file,
)
from mediafm.errors import ConfigError

MODEL = "text-embedding-3-large"
BYTES = "utf-8 bytes (upper bound)"
MERGES = [b"th", b"the", b"he", b"lo", b"el", b"hel", b"hello", "é".encode(), "人".encode()[:2], "人".encode()]


def tiny_encoding() -> tiktoken.Encoding:
    """All bytes and a few merges: enough for tokens that end inside a character."""
    ranks = {bytes([value]): value for value in range(256)}
    ranks |= {merge: 256 + place for place, merge in enumerate(MERGES)}
    return tiktoken.Encoding("tiny", pat_str=r"\s?\S+|\s+", mergeable_ranks=ranks, special_tokens={})


COUNTERS: list[TokenCounter] = [Utf8Bytes(), Tiktoken(tiny_encoding())]
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.sampled_from(["hello", "the", " ", "人", "é", "🎬", "\n", "lo"]), max_size=60).map("".join),
)


@pytest.mark.parametrize("counter", COUNTERS, ids=lambda counter: counter.counting)
@given(text=texts, limit=st.integers(SMALLEST_LIMIT, 20))
def test_parts_are_within_the_limit_and_join_to_the_text(counter: TokenCounter, text: str, limit: int) -> None:
    parts = counter.split(text, limit)
    assert "".join(parts) == text
    assert all(counter.count(part) <= limit for part in parts)
    assert parts == [text] or all(parts)


@given(texts)
def test_bytes_bound_tokens(text: str) -> None:
    assert Tiktoken(tiny_encoding()).count(text) <= Utf8Bytes().count(text)


def test_a_text_within_the_limit_stays_whole() -> None:
    assert Utf8Bytes().split("abcd", 4) == ["abcd"]
    assert Utf8Bytes().split("abcde", 4) == ["abcd", "e"]
    assert Utf8Bytes().split("", 4) == [""]
    assert Utf8Bytes().split("ab人", 4) == ["ab", "人"]


def test_tokens_are_longer_than_bytes() -> None:
    counter = Tiktoken(tiny_encoding())
    assert (counter.count("hello hello"), Utf8Bytes().count("hello hello")) == (3, 11)
    assert len(counter.split("hello" * 20, 4)) < len(Utf8Bytes().split("hello" * 20, 4))


@given(st.text())
def test_what_is_sent_can_be_written_as_utf8_and_keeps_its_length(text: str) -> None:
    sent = sendable(text)
    assert len(sent) == len(text)
    assert sent.encode("utf-8").decode("utf-8") == sent


def test_only_lone_surrogates_are_replaced() -> None:
    assert sendable("\ud800 a\udfff 🎬人") == "\N{REPLACEMENT CHARACTER} a\N{REPLACEMENT CHARACTER} 🎬人"


def test_auto_without_a_vocabulary_counts_bytes_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert find_counter(MODEL, "auto").counting == BYTES
    assert find_counter("some/other-model", "auto").counting == BYTES
    assert list(tmp_path.iterdir()) == []


def test_auto_with_a_vocabulary_in_its_cache_counts_tokens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setitem(tiktoken.registry.ENCODINGS, "cl100k_base", tiny_encoding())
    vocabulary_file("cl100k_base").touch()
    assert find_counter(MODEL, "auto").counting == "tiktoken tiny"
    assert find_counter(MODEL, "bytes").counting == BYTES
    assert find_counter("some/other-model", "auto").counting == BYTES


def test_a_vocabulary_that_cannot_be_loaded_leaves_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken() -> dict[str, object]:
        raise ValueError("Hash mismatch")

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    tiktoken.list_encoding_names()
    assert tiktoken.registry.ENCODING_CONSTRUCTORS is not None
    monkeypatch.setitem(tiktoken.registry.ENCODING_CONSTRUCTORS, "cl100k_base", broken)
    monkeypatch.delitem(tiktoken.registry.ENCODINGS, "cl100k_base", raising=False)
    vocabulary_file("cl100k_base").touch()
    assert find_counter(MODEL, "auto").counting == BYTES
    with pytest.raises(tokens.TransientError, match="TIKTOKEN_CACHE_DIR"):
        find_counter(MODEL, "tiktoken")


def test_tiktoken_for_a_model_that_it_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match="set `tokenizer` to 'bytes'"):
        find_counter("some/other-model", "tiktoken")


def test_the_cache_is_where_tiktoken_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[str] = []
    monkeypatch.setattr(
        tiktoken_ext.openai_public, "load_tiktoken_bpe", lambda url, expected_hash: seen.append(url) or {}
    )
    tiktoken_ext.openai_public.cl100k_base()
    assert seen == [VOCABULARY_URLS["cl100k_base"]]
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path / "b"))
    assert vocabulary_file("cl100k_base").parent == tmp_path / "b"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "a"))
    assert vocabulary_file("cl100k_base").parent == tmp_path / "a"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert not vocabulary_file("cl100k_base").is_file()
