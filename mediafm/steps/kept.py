"""What may not be removed from a root, and why: what the configuration, checkpoints in use and holds need.

A value is kept by its producer (everything that one makes), by its own key, or by its title. Files of no title
(checkpoints, manifests, evaluations, saved probes) are never removed: they are small, and audits ask for them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow.parquet as pq

from mediafm.errors import NotFoundError
from mediafm.steps.checkpoints import checkpoint_record
from mediafm.steps.rollback import way_back
from mediafm.steps.rollout import producer_ids_of
from mediafm.steps.training import MANIFEST
from mediafm.store.folders import MANIFESTS, folder_key, read_folder
from mediafm.store.pointers import CHAMPION, PRODUCERS, SERVING, Pointers
from mediafm.store.store import STORE_FOLDER, Store
from mediafm.store.tombstones import HOLDS, holds
from mediafm.store.views import records

CONFIGURED = "configured now"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Why values stay.

    by_producer: (table, producer_id) -> reason. by_key: a value's key -> reason. by_title: title_id -> reason.
    state: of all that this follows from; what is read again before anything is removed.
    """

    by_producer: Mapping[tuple[str, str], str]
    by_key: Mapping[str, str] = field(default_factory=dict)
    by_title: Mapping[str, str] = field(default_factory=dict)
    state: tuple[str, ...] = ()

    def why(self, key: str) -> str:
        """Why the value under `key` stays, a clause; "" if nothing needs it."""
        _, table, producer_id, title_id, _ = key.split("/")
        if table == "titles":
            return "raw records say what titles are"
        return (
            self.by_producer.get((table, producer_id), "")
            or self.by_key.get(key, "")
            or self.by_title.get(title_id, "")
        )


def kept_in(store: Store) -> Kept:
    """What the root needs now.

    Raises:
        NotFoundError: no run has said yet what is configured: then nothing is known to be old.
        IntegrityError: a pointer or a hold cannot be read.
    """
    pointers = Pointers(store)
    configured = pointers.read(PRODUCERS)
    if configured is None:
        raise NotFoundError(
            "nothing is known of the configuration",
            rule="a run has written down which producers are configured",
            where=str(store.root),
            remedy="`mediafm run` first.",
        )
    state = state_of(store)
    by_producer = {(table, str(item)): CONFIGURED for table, item in configured.value.items()}
    by_key: dict[str, str] = {}
    for sha256, role in _checkpoints(store, pointers):
        for table, producer_id in producer_ids_of(store, sha256).items():
            by_producer.setdefault((table, str(producer_id)), f"{role} {sha256[:16]}")
        manifest = checkpoint_record(store, sha256).inputs.get("manifest")
        if manifest:
            by_key |= dict.fromkeys(_named_by(store, manifest), f"manifest of {role} {sha256[:16]}")
    newest = pointers.read(MANIFEST)
    if newest is not None:
        sha256 = str(newest.value["manifest_sha256"])
        by_key |= dict.fromkeys(_named_by(store, sha256), f"newest manifest {sha256[:16]}")
    held = {hold.title_id: f"held: {hold.reason}" for hold in holds(store)}
    return Kept(by_producer=by_producer, by_key=by_key, by_title=held, state=state)


def state_of(store: Store) -> tuple[str, ...]:
    """Moves whenever a pointer does, or a hold is set or released."""
    keys = (key for folder in ("pointers", HOLDS) for key in store.files.list_keys(folder))
    return tuple(keys)


def _checkpoints(store: Store, pointers: Pointers) -> Iterator[tuple[str, str]]:
    """Each checkpoint whose values stay, with its role; one that has two comes twice."""
    champions, served = (way_back(pointers.history(name)) for name in (CHAMPION, SERVING))
    for role, way in (("champion", champions), ("served checkpoint", served)):
        if way:
            yield way[-1], role
    yield from ((sha256, "champion before") for sha256 in champions[-2:-1])
    if champions[-1:] == served[-1:]:  # else a rollback returns to what is served
        yield from ((sha256, "served checkpoint before") for sha256 in served[-2:-1])
    history = [str(pointer.value["checkpoint_sha256"]) for pointer in pointers.history(CHAMPION)]
    yield from ((sha256, "champion before") for sha256 in [one for one in history if one != history[-1]][-1:])
    newest = pointers.read(MANIFEST)
    for row in records(store, ["checkpoints"]) if newest else ():
        if newest and row.inputs.get("manifest") == newest.value["manifest_sha256"]:
            yield row.checkpoint_sha256, "newest checkpoint"


def _named_by(store: Store, manifest_sha256: str) -> Iterator[str]:
    """The keys of the values that a manifest names. Raises `NotFoundError`, `IntegrityError`."""
    files = read_folder(store, folder_key(MANIFESTS, manifest_sha256))
    rows = pq.read_table(io.BytesIO(files["titles.parquet"]), columns=["fused_key", "metadata_key"])
    for row in rows.to_pylist():
        yield row["fused_key"]
        if row["metadata_key"]:
            yield row["metadata_key"]


def is_value(key: str) -> bool:
    """Whether a key of the store is that of one title's value."""
    return key.startswith(f"{STORE_FOLDER}/") and key.count("/") == 4 and key.endswith(".parquet")
