"""Detectors by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mediafm.config import DetectorChoice, load_profile
from mediafm.errors import ConfigError
from mediafm.shots.detector import ShotDetector
from mediafm.shots.registry import create_detector, detector_names, placed


@pytest.mark.parametrize("name", detector_names())
def test_each_name_makes_a_detector_that_says_its_name(name: str) -> None:
    detector = create_detector(DetectorChoice(name=name))
    assert isinstance(detector, ShotDetector)
    assert detector.spec.name == name
    assert detector.spec.as_json()["settings"]


def test_each_call_makes_a_fresh_one() -> None:
    choice = DetectorChoice(name="lite")
    assert create_detector(choice) is not create_detector(choice)
    assert create_detector(choice).spec == create_detector(choice).spec


def test_the_lite_profile_names_the_default() -> None:
    assert load_profile("lite").detector.name == detector_names()[0] == "lite"


def test_an_unknown_name_is_answered_with_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"lite, transnetv2, adaptive, content, .*Did you mean 'adaptive'\?"):
        create_detector(DetectorChoice(name="adaptve"))
    with pytest.raises(ConfigError, match="Choose one of them"):
        create_detector(DetectorChoice(name="zzz"))


@pytest.mark.parametrize("name", detector_names())
def test_an_unknown_setting_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match=r"setting 'qqq'; its settings are \w+"):
        create_detector(DetectorChoice(name=name, settings={"qqq": 1}))


def test_a_misspelt_setting_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'threshold'"):
        create_detector(DetectorChoice(name="lite", settings={"treshold": 0.4}))


def test_a_setting_out_of_bounds_says_which() -> None:
    with pytest.raises(ConfigError, match=r"detector histogram: threshold = 7"):
        create_detector(DetectorChoice(name="histogram", settings={"threshold": 7}))


@pytest.mark.parametrize("name", detector_names())
def test_a_setting_moves_the_spec(name: str) -> None:
    plain = create_detector(DetectorChoice(name=name)).spec
    key, value = {
        "lite": ("min_shot_frames", 33),
        "transnetv2": ("threshold", 0.33),
        "given": ("shot_set", "by hand"),
    }.get(name, ("min_scene_len", 33))
    changed = create_detector(DetectorChoice(name=name, settings={key: value})).spec
    assert changed.settings[key] == value
    assert changed.as_json() != plain.as_json()


def test_the_registry_imports_no_detector() -> None:
    code = "import sys, mediafm.shots.registry; assert not {'cv2', 'scenedetect', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_network_is_told_its_device_and_no_other_detector_is() -> None:
    asked: list[str] = []

    def device() -> str:
        asked.append("once")
        return "cuda:1"

    assert placed(DetectorChoice(name="lite"), device) == DetectorChoice(name="lite")
    assert asked == []
    assert placed(DetectorChoice(name="transnetv2"), device).settings == {"device": "cuda:1"}
    own = DetectorChoice(name="transnetv2", settings={"device": "cpu", "threshold": 0.4})
    assert placed(own, device) == own


def test_the_device_stands_in_no_spec() -> None:
    here = create_detector(DetectorChoice(name="transnetv2")).spec.as_json()
    there = create_detector(placed(DetectorChoice(name="transnetv2"), lambda: "auto")).spec.as_json()
    assert here == there
