"""The process's encoders and its transcriber: each is loaded once, whatever the number of titles, runs and steps, and
freed at the end.

A step borrows the one that the profile names; it stays loaded for the next step or run of this process until
`free_encoders`, or until more recent ones need its place.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from mediafm.config import EncoderChoice, TranscriberChoice
from mediafm.encoders.encoder import Encoder
from mediafm.encoders.host import EncoderHost
from mediafm.encoders.registry import WITHOUT_NETWORK, create_encoder
from mediafm.encoders.transcriber import Transcriber
from mediafm.encoders.transcriber_registry import create_transcriber
from mediafm.errors import ConfigError
from mediafm.lineage.fingerprint import fingerprint
from mediafm.steps.device import resolve_device
from mediafm.steps.workspace import Workspace
from mediafm.store.bought import FILE_NAME, BoughtVectors, RootPurse
from mediafm.store.views import bought
from mediafm.types import Json, Modality

MAX_LOADED = 7
"""What stays loaded at once: an encoder a modality, those of a second space during a change of encoders, and one to
spare, or the transcriber (our choice)."""


class _Spec(Protocol):
    def as_json(self) -> dict[str, Json]: ...


class _Borrowed(Protocol):
    @property
    def spec(self) -> _Spec: ...
    def close(self) -> None: ...


Loaded = TypeVar("Loaded", bound=_Borrowed)

_loaded: OrderedDict[str, Any] = OrderedDict()
_lock = threading.Lock()


def borrow_encoder(workspace: Workspace, modality: Modality) -> Encoder[Any]:
    """The profile's encoder of `modality`, loaded before if this process had it. It is not the caller's to close.

    Raises:
        ConfigError: the profile names what does not exist, or the device does not.
    """
    choice = workspace.profile.encoder(modality)
    return _borrow(workspace, str(modality), choice, lambda host: create_encoder(modality, choice, host))


def borrow_transcriber(workspace: Workspace) -> Transcriber:
    """The profile's transcriber, as `borrow_encoder` lends encoders.

    Raises:
        ConfigError: the profile has none, or as `borrow_encoder`.
    """
    choice = workspace.profile.transcriber
    if choice is None:
        raise ConfigError(
            "no transcriber",
            rule="the profile names what transcribes titles without timed text",
            where=f"profile {workspace.profile.name}",
            remedy="Give it a [transcriber].",
        )
    return _borrow(workspace, "transcriber", choice, lambda host: create_transcriber(choice, host))


def free_encoders() -> None:
    """Closes every encoder of this process; the next that is borrowed is loaded anew."""
    with _lock:
        while _loaded:
            _loaded.popitem()[1].close()


def _borrow(
    workspace: Workspace,
    task: str,
    choice: EncoderChoice | TranscriberChoice,
    make: Callable[[EncoderHost], Loaded],
) -> Loaded:
    """What this process has of the same spec, settings and device; else what `make` gives, not loaded yet."""
    device = _device(workspace, choice)
    made = make(_host(workspace, device))
    settings: dict[str, Json] = dict(choice.settings)
    key = fingerprint(
        {
            "root": str(workspace.store.root),
            "task": task,
            "spec": made.spec.as_json(),
            "settings": settings,
            "device": device,
        }
    )
    with _lock:
        if key in _loaded:
            made.close()
            _loaded.move_to_end(key)
            found: Loaded = _loaded[key]
            return found
        while len(_loaded) >= MAX_LOADED:
            _loaded.popitem(last=False)[1].close()
        _loaded[key] = made
        return made


def _device(workspace: Workspace, choice: EncoderChoice | TranscriberChoice) -> str:
    """Where it runs. One without a network runs here, and PyTorch is not imported to look for a GPU."""
    if workspace.config.device == "auto" and choice.name in WITHOUT_NETWORK:
        return "cpu"
    return resolve_device(workspace.config.device, workspace.gpu_memory_fraction)


def _host(workspace: Workspace, device: str) -> EncoderHost:
    """The root's own cache and purse: what is bought once serves every title and run, and one budget holds for all."""
    path = workspace.config.cache_path / FILE_NAME
    purse = RootPurse(path, lambda: bought(workspace.store)[1])
    return EncoderHost(device=device, cache=BoughtVectors(path), purse=purse)
