"""From a row of features to the probability of a boundary: one hidden layer, one answer.

Its numbers stand in `lite_network.json`, one feature a line, fitted by `python -m benchmarks.fit_shots` on procedural
videos drawn from a seed: no film and no download went into them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources

import numpy as np

from mediafm.errors import IntegrityError
from mediafm.shots.lite_features import FEATURE_NAMES, Floats

CLIP = 4.0
"""Standardised features are held within this many deviations: what is stranger than the training counts as the edge."""


@dataclass(frozen=True, slots=True)
class LiteNetwork:
    """Legend: F features, U hidden units."""

    centre_F: Floats
    scale_F: Floats
    weight_FU: Floats
    bias_U: Floats
    output_U: Floats
    output_bias: float
    fingerprint: str

    def probability(self, rows_CF: Floats) -> Floats:
        """float32 [C] in (0, 1): how likely each centre is the middle of a transition."""
        standard = np.clip((rows_CF - self.centre_F) / self.scale_F, -CLIP, CLIP)
        hidden = np.maximum(standard @ self.weight_FU + self.bias_U, 0.0)
        logit = np.clip(hidden @ self.output_U + self.output_bias, -12.0, 12.0)
        return np.asarray(1.0 / (1.0 + np.exp(-logit)), np.float32)


@cache
def load_network() -> LiteNetwork:
    """The network that ships.

    Raises:
        IntegrityError: it was fitted to other features than the code computes.
    """
    content = (resources.files("mediafm") / "shots" / "lite_network.json").read_bytes()
    stored = json.loads(content)
    features = stored["features"]
    if tuple(features) != FEATURE_NAMES:
        raise IntegrityError(
            f"weights for {len(features)} features that begin with {next(iter(features), None)!r}",
            rule=f"the detector computes {len(FEATURE_NAMES)} that begin with {FEATURE_NAMES[0]!r}, in this order",
            where="mediafm/shots/lite_network.json",
            remedy="Fit it again: python -m benchmarks.fit_shots",
        )

    def column(key: str) -> Floats:
        return np.array([row[key] for row in features.values()], np.float32)

    return LiteNetwork(
        centre_F=column("centre"),
        scale_F=column("scale"),
        weight_FU=column("weights"),
        bias_U=np.array(stored["hidden_bias"], np.float32),
        output_U=np.array(stored["output"], np.float32),
        output_bias=float(stored["output_bias"]),
        fingerprint=sha256(content).hexdigest()[:16],
    )
