"""Encoders by name: lazy, validated, and helpful when the name or a setting is wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mediafm.config import EncoderChoice, load_profile
from mediafm.encoders.registry import REGISTRY, create_encoder, encoder_names
from mediafm.errors import ConfigError
from mediafm.types import Modality


def test_the_default_profile_gives_the_published_width() -> None:
    profile = load_profile("lite")
    choices = {Modality.VIDEO: profile.video, Modality.AUDIO: profile.audio, Modality.TEXT: profile.text}
    assert sum(create_encoder(modality, choice).spec.width for modality, choice in choices.items()) == 2304


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_an_encoder_is_what_its_name_says(name: str) -> None:
    modality = REGISTRY[name].modality
    spec = create_encoder(modality, EncoderChoice(name=name), "cpu").spec
    assert (spec.name, spec.modality, spec.width, spec.crosses_cuts) == (name, modality, 768, False)


def test_names_are_listed_by_modality() -> None:
    assert encoder_names(Modality.AUDIO) == ("fake-audio", "lite-audio")


def test_an_unknown_name_is_answered_with_the_known_and_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'lite-vidio'.*fake-video, lite-video.*Did you mean 'lite-video'"):
        create_encoder(Modality.VIDEO, EncoderChoice(name="lite-vidio"))


def test_an_encoder_of_another_modality_is_refused() -> None:
    with pytest.raises(ConfigError, match="profile, text: 'lite-audio' reads audio"):
        create_encoder(Modality.TEXT, EncoderChoice(name="lite-audio"))


def test_an_unknown_setting_is_answered_with_the_known() -> None:
    with pytest.raises(ConfigError, match=r"'widht'.*settings of fake-text are width.*Did you mean 'width'"):
        create_encoder(Modality.TEXT, EncoderChoice(name="fake-text", settings={"widht": 8}))


def test_an_impossible_setting_says_why() -> None:
    with pytest.raises(ConfigError, match=r"encoder fake-text: width = 1: .*greater than or equal to 4"):
        create_encoder(Modality.TEXT, EncoderChoice(name="fake-text", settings={"width": 1}))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lite-video", {"motion_weight": 0.0}),
        ("lite-audio", {"rhythm_weight": 0.5}),
        ("lite-text", {"width": 512}),
        ("fake-video", {"width": 5}),
    ],
)
def test_every_setting_moves_the_spec(name: str, settings: dict[str, float]) -> None:
    modality = REGISTRY[name].modality
    plain = create_encoder(modality, EncoderChoice(name=name)).spec
    turned = create_encoder(modality, EncoderChoice(name=name, settings=settings)).spec
    assert plain.as_json() != turned.as_json()


def test_the_registry_loads_no_encoder_until_asked() -> None:
    program = (
        "import sys, mediafm.encoders.registry; "
        "print(sorted({'torch', 'cv2', 'mediafm.encoders.lite_video'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
