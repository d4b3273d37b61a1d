"""The conformance pack for encoders. Call `check_encoder` from a test of your own encoder.

It raises `EncoderError` with what was seen, the rule it breaks and what to mend, and returns None when all holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediafm.encoders.encoder import Encoder, EncoderSpec, Input
from mediafm.errors import EncoderError, MediaFMError
from mediafm.lineage.fingerprint import fingerprint

MIN_INPUTS = 3


def check_encoder(make_encoder: Callable[[], Encoder[Input]], inputs: Sequence[Input], tolerance: float = 0.0) -> None:
    """Holds an encoder to its contract.

    Args:
        make_encoder: gives a new encoder; called several times, as after a restart.
        inputs: at least three, of different kind and length, among them the oddest that the encoder must bear.
        tolerance: largest difference allowed between the same item alone and in a batch, as a share of the vector's
            norm. 0.0 means equal bytes; a network whose kernels depend on the batch's size needs a little.

    Raises:
        EncoderError: the first rule that does not hold.
    """
    if len(inputs) < MIN_INPUTS:
        raise EncoderError(
            f"{len(inputs)} inputs", rule=f"the pack needs at least {MIN_INPUTS}", remedy="Give it more."
        )
    with make_encoder() as encoder:
        _check_spec(encoder.spec)
        _check_empty(encoder)
        together = encoder.encode(inputs)
        _check_shape(encoder.spec, together, len(inputs))
        _check_rows(encoder, inputs, together, tolerance)
    _check_restart(make_encoder, inputs, together)
    _check_close(make_encoder)


def _check_spec(spec: EncoderSpec) -> None:
    told = spec.as_json()
    try:
        same = json.loads(json.dumps(told))
        equal = fingerprint(same) == fingerprint(told)
    except (TypeError, ValueError, MediaFMError) as error:
        raise _broken(spec, f"a spec that is not JSON ({error})", "a spec is JSON", "Keep settings to JSON.") from error
    if not equal:
        raise _broken(spec, "a spec that JSON changes", "a spec survives JSON unchanged", "Use lists and strings.")
    if not spec.name or not spec.licence:
        raise _broken(spec, f"name {spec.name!r}, licence {spec.licence!r}", "a spec has both", "Fill them in.")
    if spec.step_version < 1:
        raise _broken(spec, f"step_version {spec.step_version}", "step_version counts from 1", "Raise it.")


def _check_empty(encoder: Encoder[Any]) -> None:
    shape = encoder.encode([]).shape
    if shape != (0, encoder.spec.width):
        raise _broken(encoder.spec, f"{shape} for no input", "no input gives [0, width]", "Override `_encode` only.")


def _check_shape(spec: EncoderSpec, vectors: NDArray[Any], num_items: int) -> None:
    if vectors.dtype != np.float32 or vectors.shape != (num_items, spec.width):
        raise _broken(
            spec,
            f"{vectors.dtype} {vectors.shape} for {num_items} items",
            f"float32 ({num_items}, {spec.width}) was promised",
            "Cast, and check the spec's width.",
        )
    if not np.isfinite(vectors).all():
        raise _broken(spec, "a number that is not finite", "vectors are finite", "Guard divisions and logarithms.")


def _check_rows(
    encoder: Encoder[Input], inputs: Sequence[Input], together: NDArray[np.float32], tolerance: float
) -> None:
    """Each row comes from its own item: alone, in a batch, in another order, beside other neighbours."""
    alone = np.concatenate([encoder.encode([item]) for item in inputs])
    backwards = encoder.encode(list(reversed(inputs)))[::-1]
    beside_itself = encoder.encode([inputs[0], inputs[0], inputs[-1]])
    remedy = "Keep no state between calls, pad with a mask, and pool each item alone."
    rule = "a row depends on its own item alone"
    _compare(encoder.spec, alone, together, tolerance, "the batch and one item at a time differ", rule, remedy)
    _compare(encoder.spec, backwards, together, tolerance, "the order within a batch moves vectors", rule, remedy)
    expected = together[[0, 0, -1]]
    _compare(encoder.spec, beside_itself, expected, tolerance, "a neighbour moves a vector", rule, remedy)


def _check_restart(
    make_encoder: Callable[[], Encoder[Input]], inputs: Sequence[Input], together: NDArray[np.float32]
) -> None:
    with make_encoder() as fresh:
        again = fresh.encode(inputs)
        told = fingerprint(fresh.spec.as_json())
    with make_encoder() as other:
        if fingerprint(other.spec.as_json()) != told:
            raise _broken(other.spec, "two specs of one encoder differ", "a spec is a constant", "Leave time out.")
    remedy = "Seed what is drawn, and use a stable hash rather than Python's."
    _compare(fresh.spec, again, together, 0.0, "a fresh encoder gives other bytes", "a restart changes nothing", remedy)


def _check_close(make_encoder: Callable[[], Encoder[Any]]) -> None:
    encoder = make_encoder()
    for _ in range(2):
        try:
            encoder.close()
        except Exception as error:
            raise _broken(
                encoder.spec, f"close() raised {error!r}", "close() may be called twice", "Let it do nothing then."
            ) from error


def _compare(
    spec: EncoderSpec,
    seen: NDArray[np.float32],
    expected: NDArray[np.float32],
    tolerance: float,
    complaint: str,
    rule: str,
    remedy: str,
) -> None:
    gaps = np.abs(seen.astype(np.float64) - expected).max(axis=1)
    bounds = tolerance * np.linalg.norm(expected.astype(np.float64), axis=1)
    if (gaps > bounds).any():
        row = int(np.argmax(gaps - bounds))
        raise _broken(spec, f"{complaint}: row {row} by {gaps[row]:.3g}", rule, remedy)


def _broken(spec: EncoderSpec, seen: str, rule: str, remedy: str) -> EncoderError:
    return EncoderError(seen, rule=rule, where=f"encoder {spec.name}", remedy=remedy)
