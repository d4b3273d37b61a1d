"""Shot detectors by name. Each is imported only when it is asked for."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib import import_module

from mediafm.config import DetectorChoice
from mediafm.errors import ConfigError
from mediafm.shots.detector import ShotDetector

_FACTORIES = {
    "lite": "mediafm.shots.lite",
    "transnetv2": "mediafm.shots.transnetv2",
    "adaptive": "mediafm.shots.pyscenedetect",
    "content": "mediafm.shots.pyscenedetect",
    "histogram": "mediafm.shots.pyscenedetect",
    "hash": "mediafm.shots.pyscenedetect",
    "threshold": "mediafm.shots.pyscenedetect",
    "given": "mediafm.shots.given",
}
"""Name -> the module whose `build(choice)` makes it."""


NETWORKS = frozenset({"transnetv2"})
"""Detectors that are told a device; it moves no cut and stands in no spec."""


def detector_names() -> tuple[str, ...]:
    """Every known detector, the default first."""
    return tuple(_FACTORIES)


def placed(choice: DetectorChoice, device: Callable[[], str]) -> DetectorChoice:
    """The choice, told where its network lives, unless it has none or says so itself.

    Args:
        device: asked only if a network needs it.
    """
    if choice.name not in NETWORKS or "device" in choice.settings:
        return choice
    return DetectorChoice(name=choice.name, settings={**choice.settings, "device": device()})


def create_detector(choice: DetectorChoice) -> ShotDetector:
    """A fresh detector for one title.

    Raises:
        ConfigError: the name is not known, or a setting is unknown or out of its bounds.
    """
    if choice.name not in _FACTORIES:
        near = difflib.get_close_matches(choice.name, _FACTORIES, n=1)
        raise ConfigError(
            f"detector {choice.name!r}",
            rule=f"the detectors are {', '.join(_FACTORIES)}",
            where="profile, [detector] name",
            remedy=f"Did you mean {near[0]!r}?" if near else "Choose one of them.",
        )
    build: Callable[[DetectorChoice], ShotDetector] = import_module(_FACTORIES[choice.name]).build
    return build(choice)
