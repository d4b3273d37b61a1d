"""The one hash, golden: a value here that moves makes every stored file of every root stale."""

from __future__ import annotations

import hashlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.errors import MediaFMError
from mediafm.lineage.chain import TitleChain
from mediafm.lineage.fingerprint import Identity, canonical_json, fingerprint, short

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)

GOLDEN = [
    (None, "null", "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"),
    ({}, "{}", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
    (
        {"b": [1, 2.5, True, None], "a": {"ü": "七"}},
        '{"a":{"ü":"七"},"b":[1,2.5,true,null]}',
        "f480a216f119ba67069b3104bb1cf63c367087aedb5228dba3cac3a2e48e0bb6",
    ),
]


@pytest.mark.parametrize(("value", "text", "digest"), GOLDEN)
def test_golden_values(value: object, text: str, digest: str) -> None:
    assert canonical_json(value) == text  # type: ignore[arg-type]
    assert fingerprint(value) == digest  # type: ignore[arg-type]


def test_a_golden_identity() -> None:
    spans = Identity(
        table="spans",
        title_id="any-title",
        producer={"detector": {"name": "lite", "threshold": 0.5}, "step_version": 1},
        inputs={"video": "0" * 64},
    )
    assert spans.producer_id == "db7c306f83234931"
    assert spans.fingerprint == "5e3dbdba3ec2503f6d7f710e3e223e018216c0d3602845cdae16b3cb0f30d285"


def test_a_golden_chain() -> None:
    producers = {table: {"step_version": 1} for table in ("spans", "cues", "text_embeddings")}
    chain = TitleChain("any-title", {"video": "v", "text": "t"}, producers)
    assert (
        chain.identity("text_embeddings").fingerprint
        == "0cd1f43ca95795469b6f5ed76eabd4a4a5f30ed0a80741524f55139e37baa522"
    )


@given(JSON)
def test_equal_exactly_when_the_value_is(value: object) -> None:
    text = canonical_json(value)  # type: ignore[arg-type]
    assert canonical_json(json.loads(text)) == text
    assert fingerprint(value) == hashlib.sha256(text.encode()).hexdigest()  # type: ignore[arg-type]


def test_order_of_keys_and_kind_of_sequence_do_not_matter() -> None:
    assert fingerprint({"a": 1, "b": (1, 2)}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint([1, 2]) != fingerprint([2, 1])
    assert fingerprint(1) != fingerprint("1")
    assert fingerprint(1) != fingerprint(True)


@pytest.mark.parametrize("value", [math.nan, math.inf, b"x", {1: 2}, {"a": {None: 1}}, [object()], {"s": {1, 2}}])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(MediaFMError, match="a value that is not JSON"):
        fingerprint(value)  # type: ignore[arg-type]


def test_the_title_is_not_part_of_the_work() -> None:
    first, second = (Identity(table="spans", title_id=name, producer={}, inputs={"video": "v"}) for name in "ab")
    assert first.fingerprint == second.fingerprint
    assert "a" not in first.header().values()


@pytest.mark.parametrize("changes", [{"table": "cues"}, {"producer": {"x": 1}}, {"inputs": {"video": "w"}}])
def test_everything_else_is(changes: dict[str, object]) -> None:
    base: dict[str, object] = {"table": "spans", "title_id": "t", "producer": {}, "inputs": {"video": "v"}}
    assert Identity(**base).fingerprint != Identity(**{**base, **changes}).fingerprint  # type: ignore[arg-type]


def test_a_producer_is_named_by_table_and_producer_only() -> None:
    one = Identity(table="spans", title_id="a", producer={"x": 1}, inputs={"video": "v"})
    assert one.producer_id == Identity(table="spans", title_id="b", producer={"x": 1}, inputs={}).producer_id
    assert one.producer_id != Identity(table="cues", title_id="a", producer={"x": 1}, inputs={}).producer_id
    assert short(one.fingerprint) == one.fingerprint[:16]
