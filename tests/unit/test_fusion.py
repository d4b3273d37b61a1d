"""The fused vector: unit norm, one order of blocks, honest absence."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.config import FusionSettings
from mediafm.errors import EncoderError, LineageMismatchError
from mediafm.fusion import Space, fuse
from mediafm.types import Json, Modality

WIDTHS = {Modality.VIDEO: 5, Modality.AUDIO: 3, Modality.TEXT: 4}


def _space(video_weight: float = 1.0, **changes: object) -> Space:
    specs: Mapping[Modality, Mapping[str, Json]] = {
        modality: {"name": f"fake-{modality}", "width": width} for modality, width in WIDTHS.items()
    }
    made = Space.create(
        specs, FusionSettings(video_weight=video_weight, audio_weight=1.0, text_weight=1.0), ("title", "synopsis")
    )
    return Space(**{**made.__dict__, **changes})  # type: ignore[arg-type]


def _blocks(num_shots: int, seed: int) -> dict[Modality, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {modality: draw.normal(size=(num_shots, width)).astype(np.float32) for modality, width in WIDTHS.items()}


def _presence(flags: list[tuple[bool, bool, bool]]) -> dict[Modality, np.ndarray]:
    table = np.asarray(flags, np.bool_).reshape(-1, 3)
    return {modality: table[:, column] for column, modality in enumerate(Modality)}


some_flags = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=8)


@settings(deadline=None)
@given(some_flags, st.integers(0, 99), st.floats(0.1, 10))
def test_every_row_is_of_norm_one_or_absent(flags: list[tuple[bool, bool, bool]], seed: int, weight: float) -> None:
    fused = fuse(_space(weight), _blocks(len(flags), seed), _presence(flags))
    assert fused.vectors.shape == (len(flags), 12)
    assert fused.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(fused.vectors, axis=1), fused.has_vector.astype(float), atol=1e-6)
    np.testing.assert_array_equal(fused.is_present, np.asarray(flags, bool).reshape(-1, 3))
    np.testing.assert_array_equal(fused.has_vector, fused.is_present.any(axis=1))


@settings(deadline=None)
@given(st.integers(0, 99), st.floats(1e-3, 1e30))
def test_the_scale_of_a_block_does_not_matter(seed: int, scale: float) -> None:
    flags = _presence([(True, True, True)] * 4)
    blocks = _blocks(4, seed)
    scaled = {**blocks, Modality.AUDIO: (blocks[Modality.AUDIO].astype(np.float64) * scale)}
    expected = fuse(_space(), blocks, flags).vectors
    np.testing.assert_allclose(fuse(_space(), scaled, flags).vectors, expected, atol=1e-6)


def test_worked_by_hand() -> None:
    blocks = {
        Modality.VIDEO: np.array([[3, 4, 0, 0, 0]], np.float32),
        Modality.AUDIO: np.array([[0, 0, 7]], np.float32),
        Modality.TEXT: np.array([[9, 9, 9, 9]], np.float32),
    }
    fused = fuse(_space(2.0), blocks, _presence([(True, True, False)]))
    expected = np.array([2 * 0.6, 2 * 0.8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]) / np.sqrt(5)
    np.testing.assert_allclose(fused.vectors[0], expected, atol=1e-7)


def test_blocks_stand_in_the_order_of_modalities() -> None:
    space = _space()
    assert space.slices == {Modality.VIDEO: slice(0, 5), Modality.AUDIO: slice(5, 8), Modality.TEXT: slice(8, 12)}
    blocks = _blocks(3, 7)
    shuffled = {modality: blocks[modality] for modality in reversed(Modality)}
    flags = _presence([(True, True, True)] * 3)
    np.testing.assert_array_equal(fuse(space, blocks, flags).vectors, fuse(space, shuffled, flags).vectors)


def test_an_absent_block_is_zero_whatever_stands_in_it() -> None:
    blocks = _blocks(2, 1)
    blocks[Modality.TEXT][:] = np.nan
    fused = fuse(_space(), blocks, _presence([(True, True, False)] * 2))
    assert not fused.vectors[:, _space().slices[Modality.TEXT]].any()
    assert np.isfinite(fused.vectors).all()


def test_a_block_without_direction_counts_as_absent() -> None:
    blocks = _blocks(2, 2)
    blocks[Modality.AUDIO][1] = 1e-8
    fused = fuse(_space(), blocks, _presence([(True, True, True), (False, True, False)]))
    np.testing.assert_array_equal(fused.is_present, [[True, True, True], [False, False, False]])
    np.testing.assert_array_equal(fused.has_vector, [True, False])


@settings(deadline=None)
@given(st.integers(0, 99))
def test_float16_keeps_the_cosine(seed: int) -> None:
    vectors = fuse(_space(), _blocks(6, seed), _presence([(True, True, True)] * 6)).vectors
    kept = vectors.astype(np.float16).astype(np.float32)
    # Eleven bits of mantissa: each number moves by at most 2**-11 of itself, so the cosine by less than 2**-10.
    np.testing.assert_allclose(kept @ kept.T, vectors @ vectors.T, atol=2**-9)


def test_every_wrong_block_is_named_at_once() -> None:
    blocks = _blocks(2, 3)
    blocks[Modality.VIDEO] = blocks[Modality.VIDEO][:, :4]
    del blocks[Modality.TEXT]
    with pytest.raises(LineageMismatchError, match=r"video block \(2, 4\), expected \(2, 5\); text block None"):
        fuse(_space(), blocks, _presence([(True, True, True)] * 2))


def test_another_rule_is_refused() -> None:
    with pytest.raises(LineageMismatchError, match="fusion rule 99, this code has 1"):
        fuse(_space(rule_version=99), _blocks(1, 0), _presence([(True, True, True)]))


def test_a_present_vector_is_finite() -> None:
    blocks = _blocks(3, 3)
    blocks[Modality.AUDIO][1, 0] = np.inf
    with pytest.raises(EncoderError, match="shot 1, audio"):
        fuse(_space(), blocks, _presence([(True, True, True)] * 3))


def test_no_shots() -> None:
    fused = fuse(_space(), _blocks(0, 0), _presence([]))
    assert fused.vectors.shape == (0, 12)
    assert fused.is_present.shape == (0, 3)


def test_a_space_round_trips_through_json() -> None:
    space = _space(0.5)
    again = Space.from_json(json.loads(json.dumps(space.as_json())))
    assert again == space
    assert again.space_id == space.space_id
    assert (again.width, again.metadata_width) == (12, 4)


@pytest.mark.parametrize("changes", [{"rule_version": 2}, {"metadata_fields": ("title",)}])
def test_whatever_moves_the_meaning_moves_the_id(changes: dict[str, object]) -> None:
    assert _space(**changes).space_id != _space().space_id  # type: ignore[arg-type]
    assert _space(2.0).space_id != _space().space_id


def test_a_space_knows_all_three_modalities() -> None:
    with pytest.raises(LineageMismatchError, match="one encoder and one weight for each"):
        _space(encoders={Modality.VIDEO: {"name": "x", "width": 3}})
    with pytest.raises(LineageMismatchError, match="a weight is positive"):
        _space(weights=dict.fromkeys(Modality, 0.0))
    with pytest.raises(LineageMismatchError, match="a space holds what"):
        Space.from_json({"encoders": {}})
