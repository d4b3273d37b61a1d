"""Every encoder that needs no weights is held to the conformance pack; the others are in their own tests."""

from __future__ import annotations

import pytest

from mediafm.config import EncoderChoice
from mediafm.encoders.registry import REGISTRY, create_encoder
from mediafm.testing.encoders import check_encoder
from mediafm.testing.inputs import odd_inputs

WITHOUT_WEIGHTS = sorted(name for name in REGISTRY if name.startswith(("lite-", "fake-")))


@pytest.mark.parametrize("name", WITHOUT_WEIGHTS)
def test_conforms(name: str) -> None:
    (modality,) = REGISTRY[name].modalities
    check_encoder(lambda: create_encoder(modality, EncoderChoice(name=name)), odd_inputs(modality))
