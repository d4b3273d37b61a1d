"""The process's encoders: each is loaded once, whatever the number of titles, runs and steps, and freed at the end.

A step borrows the encoder that the profile names; it stays loaded for the next step or run of this process until
`free_encoders`, or until more recent ones need its place.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from mediafm.encoders.encoder import Encoder
from mediafm.encoders.host import EncoderHost
from mediafm.encoders.registry import create_encoder
from mediafm.lineage.fingerprint import fingerprint
from mediafm.steps.device import resolve_device
from mediafm.steps.workspace import Workspace
from mediafm.types import Json, Modality

MAX_LOADED = 4
"""Encoders that stay loaded at once: one a modality and one to spare (our choice)."""

_loaded: OrderedDict[str, Encoder[Any]] = OrderedDict()
_lock = threading.Lock()


def borrow_encoder(workspace: Workspace, modality: Modality) -> Encoder[Any]:
    """The profile's encoder of `modality`, loaded before if this process had it. It is not the caller's to close.

    Raises:
        ConfigError: the profile names what does not exist, or the device does not.
    """
    choice = workspace.profile.encoder(modality)
    device = resolve_device(workspace.config.device, workspace.gpu_memory_fraction)
    settings: dict[str, Json] = dict(choice.settings)
    key = fingerprint(
        {
            "root": str(workspace.store.root),
            "modality": str(modality),
            "name": choice.name,
            "settings": settings,
            "device": device,
        }
    )
    with _lock:
        if key in _loaded:
            _loaded.move_to_end(key)
            return _loaded[key]
        while len(_loaded) >= MAX_LOADED:
            _loaded.popitem(last=False)[1].close()
        encoder = create_encoder(modality, choice, EncoderHost(device=device))
        _loaded[key] = encoder
        return encoder


def free_encoders() -> None:
    """Closes every encoder of this process; the next that is borrowed is loaded anew."""
    with _lock:
        while _loaded:
            _loaded.popitem()[1].close()
