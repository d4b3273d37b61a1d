"""A head at rest: numbers as safetensors, and JSON beside them. Loading executes nothing.

The header of the safetensors holds the fingerprint of all that the JSON says, so the sha256 of its bytes is the head's
identity and covers both files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from mediafm.errors import IntegrityError, MediaFMError
from mediafm.lineage.fingerprint import canonical_json, fingerprint
from mediafm.probes.calibration import Sigmoid
from mediafm.probes.head import Head, HeadOrigin, HeadQuality
from mediafm.probes.labels import LabelKind
from mediafm.types import Json

FORMAT_VERSION = 1
NUMBERS_FILE, ABOUT_FILE = "head.safetensors", "head.json"
_HEADER_KEY = "mediafm"
_NUMBERS = {"mean", "scale", "weights", "bias", "calibration"}


def to_files(head: Head) -> tuple[str, dict[str, bytes]]:
    """The head's sha256, and file name -> bytes, for `store/heads/<sha256>/`. Equal heads give equal bytes."""
    from safetensors.numpy import save

    about = describe(head)
    numbers = {
        "mean": head.mean,
        "scale": head.scale,
        "weights": head.weights,
        "bias": head.bias,
        "calibration": np.array([[each.slope, each.intercept] for each in head.calibration]),
    }
    arrays = {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in sorted(numbers.items())}
    data = save(arrays, metadata={_HEADER_KEY: fingerprint(about)})
    sha256 = hashlib.sha256(data).hexdigest()
    return sha256, {NUMBERS_FILE: data, ABOUT_FILE: canonical_json({"sha256": sha256, **about}).encode()}


def describe(head: Head) -> dict[str, Json]:
    """All of a head but its numbers, as JSON."""
    return {
        "format_version": FORMAT_VERSION,
        "task": head.task,
        "kind": str(head.kind),
        "classes": list(head.classes),
        "thresholds": list(head.thresholds),
        "held_out": head.held_out.as_json(),
        "tested": head.tested.as_json() if head.tested else None,
        "origin": head.origin.as_json(),
        "inverse_strength": head.inverse_strength,
        "notes": list(head.notes),
    }


def from_files(files: Mapping[str, bytes], sha256: str) -> Head:
    """The inverse of `to_files`.

    Args:
        sha256: the name that the files stand under.

    Raises:
        IntegrityError: a file is missing or unreadable, of another format, or not what the name and the other file say.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        about = json.loads(files[ABOUT_FILE])
        said, version = about.pop("sha256"), about["format_version"]
        _require(
            version == FORMAT_VERSION, f"format {version!r}", f"this version reads format {FORMAT_VERSION}", sha256
        )
        found = hashlib.sha256(files[NUMBERS_FILE]).hexdigest()
        is_whole = said == sha256 == found and _header(files[NUMBERS_FILE]) == fingerprint(about)
        _require(is_whole, "its files say otherwise", "numbers, description and name belong together", sha256)
        numbers = load(files[NUMBERS_FILE])
        _require(set(numbers) == _NUMBERS, f"arrays {sorted(numbers)}", f"a head has {sorted(_NUMBERS)}", sha256)
        return _head(about, numbers)
    except IntegrityError:
        raise
    except (KeyError, ValueError, TypeError, SafetensorError, MediaFMError) as error:
        raise IntegrityError(
            f"{type(error).__name__} {error}",
            rule=f"a saved probe is {NUMBERS_FILE} and {ABOUT_FILE}, both readable",
            where=f"saved probe {sha256}",
            remedy="Save the probe again.",
        ) from error


def _require(holds: bool, seen: str, rule: str, sha256: str) -> None:
    if not holds:
        raise IntegrityError(seen, rule=rule, where=f"saved probe {sha256}", remedy="Save the probe again.")


def _head(about: Mapping[str, Any], numbers: Mapping[str, Any]) -> Head:
    return Head(
        task=about["task"],
        kind=LabelKind(about["kind"]),
        classes=tuple(about["classes"]),
        mean=numbers["mean"],
        scale=numbers["scale"],
        weights=numbers["weights"],
        bias=numbers["bias"],
        calibration=tuple(Sigmoid(float(slope), float(intercept)) for slope, intercept in numbers["calibration"]),
        thresholds=tuple(about["thresholds"]),
        held_out=HeadQuality.from_json(about["held_out"]),
        origin=HeadOrigin.from_json(about["origin"]),
        inverse_strength=about["inverse_strength"],
        tested=HeadQuality.from_json(about["tested"]) if about["tested"] else None,
        notes=tuple(about["notes"]),
    )


def _header(data: bytes) -> str:
    """What `to_files` put into the safetensors header."""
    length = int.from_bytes(data[:8], "little")
    if length > len(data):
        raise ValueError("the numbers are cut short")
    return str(json.loads(data[8 : 8 + length])["__metadata__"][_HEADER_KEY])
