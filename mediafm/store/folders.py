"""Folders at rest: a checkpoint or a manifest, several files that belong together under one name.

The list of the files, with their hashes, is put last: a folder is there once its list is, and every read is verified
against it. Of two writers the loser takes the winner's folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from mediafm.errors import ConflictError, IntegrityError, StoreError
from mediafm.lineage.fingerprint import canonical_json
from mediafm.store.store import STORE_FOLDER, Store, sha256_of
from mediafm.types import Json

LIST_FILE = "folder.json"
CHECKPOINTS = "checkpoints"
MANIFESTS = "manifests"


def folder_key(kind: str, sha256: str) -> str:
    """Where a checkpoint or a manifest stands."""
    return f"{STORE_FOLDER}/{kind}/{sha256}"


def folders_beginning(store: Store, kind: str, prefix: str) -> list[str]:
    """The sha256 of the kind's folders that begin with `prefix`, sorted; one without its list yet is among them."""
    above = folder_key(kind, "")
    names = {key.removeprefix(above).partition("/")[0] for key in store.files.list_keys(above.rstrip("/"))}
    return sorted(name for name in names if name.startswith(prefix))


def has_folder(store: Store, key: str) -> bool:
    """Whether the folder is there, whole."""
    return store.files.exists(f"{key}/{LIST_FILE}")


def put_folder(store: Store, key: str, files: Mapping[str, bytes]) -> bool:
    """Put several files under one key, once and for ever. True if they stand there now because of this call.

    What a killed writer left there without a list is replaced.

    Raises:
        StoreError: a file has the list's name, or the root cannot be written.
        ConflictError: another process wrote other bytes there at the same time, and neither folder is whole.
    """
    if LIST_FILE in files:
        raise StoreError(f"a file named {LIST_FILE}", rule="the store writes the list itself", where=key)
    if has_folder(store, key):
        return False
    for name, data in files.items():
        _put_member(store, f"{key}/{name}", data)
    members: dict[str, Json] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)} for name, data in files.items()
    }
    if not store.files.put_exclusive(f"{key}/{LIST_FILE}", canonical_json({"files": members}).encode()):
        return False
    try:
        folder_paths(store, key)
    except IntegrityError as error:
        store.files.delete(f"{key}/{LIST_FILE}")
        raise ConflictError(
            "another process wrote it at the same time",
            rule="one writer at a time writes differing bytes under one key",
            where=key,
            remedy="Run again.",
        ) from error
    return True


def folder_paths(store: Store, key: str) -> dict[str, Path]:
    """Local paths of the folder's files by name, each verified against the list.

    Raises:
        NotFoundError: there is no such folder, or a file of it is gone.
        IntegrityError: a file is not what the list says.
    """
    found = {}
    for name, member in _read_list(store, key).items():
        found[name] = store.verify_bytes(f"{key}/{name}", str(member["sha256"]), int(str(member["size_bytes"])))
    return found


def read_folder(store: Store, key: str) -> dict[str, bytes]:
    """The folder's files by name, verified. Raises like `folder_paths`."""
    return {name: path.read_bytes() for name, path in folder_paths(store, key).items()}


def _put_member(store: Store, key: str, data: bytes) -> None:
    if (
        store.files.put_exclusive(key, data)
        or sha256_of(store.files.local_path(key)) == hashlib.sha256(data).hexdigest()
    ):
        return
    store.files.delete(key)
    store.files.put_exclusive(key, data)


def _read_list(store: Store, key: str) -> dict[str, dict[str, str | int]]:
    place = f"{key}/{LIST_FILE}"
    try:
        members: dict[str, dict[str, str | int]] = json.loads(store.files.read_bytes(place))["files"]
        if not all({"sha256", "size_bytes"} <= set(member) for member in members.values()):
            raise KeyError("sha256 and size_bytes")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"not a list of files ({error})", rule="a folder's list names each file's sha256 and size", where=place
        ) from error
    return members
