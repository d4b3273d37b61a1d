"""Saved probes at rest: `store/heads/<sha256>/`, found by a name whose pointer keeps the history of its versions.

    pointers/head-<name>/<version>.json

A new save under a name is its next version. Of a name the newest version that was made on the served checkpoint is
used, so that a probe saved for the next checkpoint, or a rollback, breaks no reader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mediafm.errors import ConfigError, LineageMismatchError, MediaFMError, NotFoundError
from mediafm.lineage.records import LedgerRecord
from mediafm.probes.head import Head
from mediafm.probes.head_files import from_files, to_files
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import folder_key, put_folder, read_folder
from mediafm.store.pointers import POINTER_FOLDER, Pointer, Pointers
from mediafm.store.store import Store
from mediafm.store.views import records
from mediafm.types import Json

HEADS = "heads"
ASSET = "probe_head"
HEAD_STEP_VERSION = 2
_POINTER = "head-"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MAX_NAME_CHARACTERS = 64


@dataclass(frozen=True, kw_only=True)
class SavedHead:
    """A head under its name.

    version: 1 for the first save of the name, one more with each other one. was_made: whether this call saved it.
    """

    name: str
    version: int
    sha256: str
    head: Head
    was_made: bool = False

    def as_json(self) -> dict[str, Json]:
        head = self.head
        return {
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            "was_made": self.was_made,
            "task": head.task,
            "kind": str(head.kind),
            "classes": list(head.classes),
            "thresholds": list(head.thresholds),
            "held_out": head.held_out.as_json(),
            "tested": head.tested.as_json() if head.tested else None,
            "features": head.origin.features,
            "pooling": head.origin.pooling,
            "checkpoint_sha256": head.origin.checkpoint_sha256,
            "space_id": head.origin.space_id,
            "labels_sha256": head.origin.labels_sha256,
            "num_titles": len(head.origin.title_ids),
            "num_seen_groups": head.origin.num_seen_groups,
            "notes": list(head.notes),
        }


@dataclass(frozen=True, kw_only=True)
class ListedHead:
    """What a list says of a name.

    saved: the version that is used now, else the newest; None if it cannot be read. fits: whether it was made on the
    served checkpoint. problem: why it cannot be read; "" if it can.
    """

    name: str
    saved: SavedHead | None
    fits: bool
    problem: str = ""

    def as_json(self) -> dict[str, Json]:
        about: dict[str, Json] = self.saved.as_json() if self.saved else {"name": self.name}
        about.pop("was_made", None)
        return {**about, "fits_served_checkpoint": self.fits, "problem": self.problem}


def check_name(name: str) -> str:
    """The name, if it can be one: paths are built from it.

    Raises:
        ConfigError: it cannot.
    """
    if len(name) > MAX_NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise ConfigError(
            f"the name {name!r:.100}",
            rule=f"a name is 1 to {MAX_NAME_CHARACTERS} lower-case letters and digits, with single dashes between them",
            where="saved probe",
            remedy="Choose such a name, ad-tone say.",
        )
    return name


def keep_head(workspace: Workspace, head: Head) -> SavedHead:
    """Writes a head, records it, and points its name to it; all three were done before if the very same was saved."""
    name = check_name(head.origin.name)
    sha256, files = to_files(head)
    folder = folder_key(HEADS, sha256)
    was_made = put_folder(workspace.store, folder, files)
    if was_made or not any(row.fingerprint == sha256 for row in records(workspace.store, [HEADS])):
        workspace.ledger.add(
            LedgerRecord(
                asset=ASSET,
                table=HEADS,
                fingerprint=sha256,
                inputs={"checkpoint": head.origin.checkpoint_sha256, "labels": head.origin.labels_sha256},
                object_key=folder,
                sha256=sha256,
                size_bytes=sum(map(len, files.values())),
                num_rows=len(head.classes),
                step_version=HEAD_STEP_VERSION,
                checkpoint_sha256=head.origin.checkpoint_sha256,
                details={"name": name, "task": head.task, "kind": str(head.kind), "value": head.held_out.value},
            )
        )
        workspace.ledger.flush()
    value: dict[str, Json] = {"sha256": sha256, "checkpoint_sha256": head.origin.checkpoint_sha256}
    pointer = workspace.pointers.ensure(f"{_POINTER}{name}", value, f"task {head.task} saved as {name}")
    return SavedHead(name=name, version=pointer.generation, sha256=sha256, head=head, was_made=was_made)


def load_head(store: Store, name: str, checkpoint_sha256: str | None = None) -> SavedHead:
    """A saved head, verified.

    Args:
        checkpoint_sha256: of the newest version that was made on this checkpoint; of the newest one unless given.

    Raises:
        ConfigError: no such name is possible.
        NotFoundError: nothing was saved under it.
        LineageMismatchError: no version of it was made on that checkpoint.
        IntegrityError: its files are not what they were.
    """
    versions = _versions(store, name)
    fitting = [each for each in versions if checkpoint_sha256 in (None, each.value["checkpoint_sha256"])]
    if not fitting:
        newest = versions[-1]
        raise LineageMismatchError(
            f"version {newest.generation} was made on checkpoint {str(newest.value['checkpoint_sha256'])[:16]}",
            rule=f"a probe reads the vectors that it was made on, and these are of {str(checkpoint_sha256)[:16]}",
            where=f"probe {name}",
            remedy=f"`mediafm probe LABELS --save {name}` makes it again on the vectors that are served.",
        )
    return _read(store, fitting[-1], name)


def list_heads(store: Store, serving_sha256: str | None = None) -> list[ListedHead]:
    """Every name, in order, with the version that is used; one that cannot be read is listed with the reason.

    Args:
        serving_sha256: the checkpoint that readers get; None before there is one.
    """
    prefix = f"{POINTER_FOLDER}/{_POINTER}"
    keys = [key for key in store.files.list_keys(POINTER_FOLDER) if key.startswith(prefix)]
    return [_listed(store, name, serving_sha256) for name in sorted({key.split("/")[1] for key in keys})]


def _listed(store: Store, pointer_name: str, serving_sha256: str | None) -> ListedHead:
    name = pointer_name.removeprefix(_POINTER)
    try:
        versions = _versions(store, name)
        fitting = [each for each in versions if each.value["checkpoint_sha256"] == serving_sha256]
        saved = _read(store, (fitting or versions)[-1], name)
    except MediaFMError as error:
        return ListedHead(name=name, saved=None, fits=False, problem=str(error))
    return ListedHead(name=name, saved=saved, fits=bool(fitting))


def _versions(store: Store, name: str) -> tuple[Pointer, ...]:
    versions = Pointers(store).history(f"{_POINTER}{check_name(name)}")
    if not versions:
        known = ", ".join(each.name for each in list_heads(store)) or "none"
        raise NotFoundError(
            f"no saved probe {name!r}",
            rule=f"saved here are: {known}",
            where=str(store.root),
            remedy=f"`mediafm probe LABELS --save {name}` makes it.",
        )
    return versions


def _read(store: Store, version: Pointer, name: str) -> SavedHead:
    sha256 = str(version.value["sha256"])
    head = from_files(read_folder(store, folder_key(HEADS, sha256)), sha256)
    return SavedHead(name=name, version=version.generation, sha256=sha256, head=head)
