"""Which checkpoint a caller means, and what makes the tables that it reads: the served one unless another is named."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediafm.config import Config, load_profile
from mediafm.errors import LineageMismatchError, NotFoundError
from mediafm.fusion import Space
from mediafm.steps.device import resolve_device
from mediafm.steps.producers import Producer, checkpoint_producers, configured_producers
from mediafm.store.folders import CHECKPOINTS, folders_beginning
from mediafm.store.pointers import SERVING, Pointers
from mediafm.store.store import Store
from mediafm.store.views import records

if TYPE_CHECKING:
    from mediafm.embedder import Embedder
    from mediafm.train.checkpoint import Checkpoint

MAX_LOADED = 2
"""Checkpoints that stay loaded in this process."""
_SHA256 = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, kw_only=True)
class ChosenModel:
    """A checkpoint by its identity; its weights are read when an embedder is first asked for.

    sha256: of the checkpoint; None where only fused vectors are read.
    producers: what makes every table up to the fused vectors, and the contextual ones where there is a checkpoint.
    embedder: the checkpoint, loaded; raises `NotFoundError` where there is none.
    """

    sha256: str | None
    producers: Mapping[str, Producer]
    embedder: Callable[[], Embedder]

    @property
    def space(self) -> Space:
        """Of the fused vectors that it reads."""
        parts: Any = self.producers["fused_embeddings"]["space"]
        return Space.from_json(parts)


def choose_model(
    config: Config,
    store: Store,
    checkpoint: str | Path | Embedder | None,
    *,
    tracking_uri: str | None = None,
    device: str | None = None,
    needs_model: bool = True,
) -> ChosenModel:
    """The checkpoint that `checkpoint` names.

    Args:
        checkpoint: None for the served one; else a name as in `mediafm.loading`, or what `mediafm.load` gave.
        tracking_uri: another MLflow than the root's own, for names that MLflow knows.
        device: where it is loaded; the configured device unless given.
        needs_model: if not, a root that serves nothing yet gives the configured space.

    Raises:
        NotFoundError: nothing is served yet, or nothing has this name.
        LineageMismatchError: the root did not train it, and makes fused vectors in another space.
    """
    if checkpoint is None:
        pointer = Pointers(store).read(SERVING)
        if pointer is None:
            return _without_model(config, needs_model)
        return _of_store(config, store, str(pointer.value["checkpoint_sha256"]), device)
    if not isinstance(checkpoint, str | Path):
        return _of_embedder(config, store, checkpoint)
    if _SHA256.fullmatch(str(checkpoint)) and not Path(checkpoint).is_dir():
        matching = folders_beginning(store, CHECKPOINTS, str(checkpoint))
        if len(matching) == 1:
            return _of_store(config, store, matching[0], device)
    from mediafm.loading import load_checkpoint

    found = load_checkpoint(checkpoint, config=config, tracking_uri=tracking_uri)
    return ChosenModel(
        sha256=found.sha256,
        producers=_producers(config, store, found.sha256, found.space),
        embedder=lambda: _LOADED.get(store.root, found.sha256, _device(config, device), lambda: found),
    )


def _of_store(config: Config, store: Store, sha256: str, device: str | None) -> ChosenModel:
    """A checkpoint of the root: its weights are not read before they are needed."""

    def read() -> Checkpoint:
        from mediafm.loading import load_checkpoint

        return load_checkpoint(sha256, config=config)

    return ChosenModel(
        sha256=sha256,
        producers=_producers(config, store, sha256, None),
        embedder=lambda: _LOADED.get(store.root, sha256, _device(config, device), read),
    )


def _of_embedder(config: Config, store: Store, embedder: Embedder) -> ChosenModel:
    checkpoint = embedder.checkpoint
    return ChosenModel(
        sha256=checkpoint.sha256,
        producers=_producers(config, store, checkpoint.sha256, checkpoint.space),
        embedder=lambda: embedder,
    )


def _without_model(config: Config, needs_model: bool) -> ChosenModel:
    error = NotFoundError(
        f"no checkpoint is served in {config.root_name}",
        rule="vectors in context are made by the served checkpoint, or by one that is named",
        remedy="`mediafm run CATALOG` trains one and serves it.",
    )
    if needs_model:
        raise error

    def refuse() -> Embedder:
        raise error

    return ChosenModel(
        sha256=None, producers=configured_producers(config, load_profile(config.profile)), embedder=refuse
    )


def _producers(config: Config, store: Store, sha256: str, space: Mapping[str, Any] | None) -> Mapping[str, Producer]:
    """As the ledger recorded them with the checkpoint; for one that was trained elsewhere, the configured ones."""
    recorded = _recorded(store, sha256)
    if recorded is not None:
        return {**recorded, **checkpoint_producers(sha256)}
    configured = configured_producers(config, load_profile(config.profile))
    ours: Any = configured["fused_embeddings"]["space"]
    if space is None or Space.from_json(space).space_id != Space.from_json(ours).space_id:
        raise LineageMismatchError(
            f"checkpoint {sha256[:16]}, which this root has no record of",
            rule="a checkpoint that was trained elsewhere must read the space that is configured here",
            where=str(store.root),
            remedy="Choose the profile of the encoders that it was trained on (--profile).",
        )
    return {**configured, **checkpoint_producers(sha256)}


def _recorded(store: Store, sha256: str) -> Mapping[str, Producer] | None:
    """What the ledger says; asked once for each checkpoint, whose space never changes."""
    key = (store.root, sha256)
    if key not in _RECORDED:
        rows = [row for row in records(store, ["checkpoints"]) if row.checkpoint_sha256 == sha256]
        if not rows:
            return None
        producers: Any = rows[-1].details["producers"]
        _RECORDED[key] = producers
    return _RECORDED[key]


_RECORDED: dict[tuple[Path | str, str], Mapping[str, Producer]] = {}


def _device(config: Config, device: str | None) -> str:
    return resolve_device(device or config.device)


class _LoadedCheckpoints:
    """The checkpoints used last, ready on their devices."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Path | str, str, str], Embedder] = OrderedDict()

    def get(self, root: Path | str, sha256: str, device: str, read: Callable[[], Checkpoint]) -> Embedder:
        from mediafm.embedder import Embedder

        key = (root, sha256, device)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = Embedder(read(), device)
            self._kept.move_to_end(key)
            while len(self._kept) > MAX_LOADED:
                self._kept.popitem(last=False)
            return self._kept[key]


_LOADED = _LoadedCheckpoints()
