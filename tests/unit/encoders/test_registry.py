"""Encoders by name: lazy, validated, and helpful when the name or a setting is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from mediafm.config import EncoderChoice, load_profile
from mediafm.encoders.encoder import Encoder, EncoderSpec, ShotAudio
from mediafm.encoders.registry import REGISTRY, Registration, create_encoder, encoder_names
from mediafm.errors import ConfigError, EncoderError
from mediafm.types import Modality


def test_the_default_profile_gives_the_published_width() -> None:
    profile = load_profile("lite")
    choices = {Modality.VIDEO: profile.video, Modality.AUDIO: profile.audio, Modality.TEXT: profile.text}
    assert sum(create_encoder(modality, choice).spec.width for modality, choice in choices.items()) == 2304


@pytest.mark.parametrize("name", sorted(name for name in REGISTRY if name.startswith(("lite-", "fake-"))))
def test_an_encoder_is_what_its_name_says(name: str) -> None:
    (modality,) = REGISTRY[name].modalities
    spec = create_encoder(modality, EncoderChoice(name=name)).spec
    assert (spec.name, spec.modality, spec.width, spec.crosses_cuts) == (name, modality, 768, False)


def test_names_are_listed_by_modality() -> None:
    assert encoder_names(Modality.AUDIO) == ("fake-audio", "hf-audio", "imported", "lite-audio", "none")


def test_an_unknown_name_is_answered_with_the_known_and_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"'lite-vidio'.*fake-video, hf-video, imported, lite-video, none.*Did you mean 'lite-video'"
    ):
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
    (modality,) = REGISTRY[name].modalities
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


class EchoAudio(Encoder[ShotAudio]):
    """What a package of somebody else might bring."""

    def __init__(self, width: int) -> None:
        self.spec = EncoderSpec(name="echo-audio", modality=Modality.AUDIO, width=width, step_version=1)

    def _encode(self, batch: Sequence[ShotAudio]) -> NDArray[np.float32]:
        return np.ones((len(batch), self.spec.width), np.float32)


ECHO = Registration.of(Modality.AUDIO, lambda modality, settings, host: EchoAudio(int(settings["width"])))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a package's metadata on the path, as an installer does."""

    def installed(package: str, value: str) -> None:
        folder = tmp_path / package / f"{package}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[mediafm.encoders]\necho-audio = {value}\n")
        monkeypatch.syspath_prepend(str(tmp_path / package))

    module = ModuleType("echo_encoders")
    module.ECHO, module.NOT_ONE = ECHO, 7  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "echo_encoders", module)
    return installed


CHOSEN = EncoderChoice(name="echo-audio", settings={"width": 3})


def test_a_package_brings_an_encoder_by_its_entry_point(install: Callable[[str, str], None]) -> None:
    install("echopack", "echo_encoders:ECHO")
    assert create_encoder(Modality.AUDIO, CHOSEN).spec.width == 3
    assert "echo-audio" in encoder_names(Modality.AUDIO)
    assert "echo-audio" not in encoder_names(Modality.TEXT)


def test_an_entry_point_that_is_no_registration_is_refused(install: Callable[[str, str], None]) -> None:
    install("echopack", "echo_encoders:NOT_ONE")
    with pytest.raises(ConfigError, match=r"encoder echo-audio, of echopack: echo_encoders:NOT_ONE is a int"):
        create_encoder(Modality.AUDIO, CHOSEN)


def test_an_entry_point_that_cannot_be_imported_says_so(install: Callable[[str, str], None]) -> None:
    install("echopack", "no_such_module:ECHO")
    with pytest.raises(ConfigError, match=r"of echopack: .*cannot be imported \(ModuleNotFoundError"):
        create_encoder(Modality.AUDIO, CHOSEN)


def test_a_name_that_two_packages_bring_is_refused(install: Callable[[str, str], None]) -> None:
    install("echopack", "echo_encoders:ECHO")
    install("otherpack", "echo_encoders:ECHO")
    with pytest.raises(ConfigError, match=r"of echopack, otherpack: 2 packages bring it"):
        create_encoder(Modality.AUDIO, CHOSEN)


def test_our_own_names_cannot_be_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "evil-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[mediafm.encoders]\nlite-audio = no_such_module:X\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert create_encoder(Modality.AUDIO, EncoderChoice(name="lite-audio")).spec.name == "lite-audio"


def test_vectors_that_the_user_brings_are_not_made_here() -> None:
    choice = EncoderChoice(name="imported", settings={"feature_set": "mosi", "width": 74})
    encoder = create_encoder(Modality.AUDIO, choice)
    assert (encoder.spec.width, encoder.spec.settings) == (74, {"feature_set": "mosi"})
    with pytest.raises(EncoderError, match=r"import-embeddings FILE --modality audio"):
        encoder.encode([ShotAudio(np.zeros(3, np.float32), 16_000)])


def test_a_modality_may_have_no_encoder() -> None:
    assert create_encoder(Modality.TEXT, EncoderChoice(name="none")).spec.width == 1
    with pytest.raises(ConfigError, match="the settings of none are none"):
        create_encoder(Modality.TEXT, EncoderChoice(name="none", settings={"width": 3}))


@pytest.mark.parametrize(
    ("attribute", "seen"),
    [
        (
            "WRONG_NAME",
            r"a spec of audio, named 'other'; an encoder's spec says what it was asked for: audio, 'echo-audio'",
        ),
        ("WRONG_MODALITY", "a spec of video, named 'echo-audio'"),
        ("NO_SPEC", "a object without an EncoderSpec"),
        ("BROKEN", r"its factory failed \(KeyError: 'width'\)"),
    ],
)
def test_what_a_package_makes_must_be_what_was_asked_for(
    install: Callable[[str, str], None], attribute: str, seen: str
) -> None:
    def spec(name: str, modality: Modality) -> EchoAudio:
        made = EchoAudio(3)
        made.spec = EncoderSpec(name=name, modality=modality, width=3, step_version=1)
        return made

    made = {
        "WRONG_NAME": lambda modality, settings, host: spec("other", Modality.AUDIO),
        "WRONG_MODALITY": lambda modality, settings, host: spec("echo-audio", Modality.VIDEO),
        "NO_SPEC": lambda modality, settings, host: object(),
        "BROKEN": lambda modality, settings, host: {}["width"],
    }
    setattr(sys.modules["echo_encoders"], attribute, Registration.of(Modality.AUDIO, made[attribute]))
    install("echopack", f"echo_encoders:{attribute}")
    with pytest.raises(ConfigError, match=seen):
        create_encoder(Modality.AUDIO, CHOSEN)


def test_a_broken_package_hides_no_mistyped_name(install: Callable[[str, str], None]) -> None:
    install("echopack", "no_such_module:ECHO")
    with pytest.raises(ConfigError, match=r"no encoder is named 'lite-audi'.*Did you mean 'lite-audio'"):
        create_encoder(Modality.AUDIO, EncoderChoice(name="lite-audi"))
