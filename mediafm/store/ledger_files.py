"""Which files the ledger is made of now: merged parts that a manifest names, and what was appended since.

ledger/_manifests/<generation>.json     {"parts": […], "replaced": […]}; the highest generation is the truth
ledger/_parts/<generation>-<uuid>.parquet
ledger/<asset>/<run_id>-<uuid>.parquet
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from mediafm.errors import IntegrityError, NotFoundError, StoreError
from mediafm.lineage.fingerprint import canonical_json
from mediafm.store.files import Files

LEDGER_FOLDER = "ledger"
PARTS_FOLDER = f"{LEDGER_FOLDER}/_parts"
MANIFESTS_FOLDER = f"{LEDGER_FOLDER}/_manifests"

_GENERATION = re.compile(r"(\d+)\.json")
_MAX_ATTEMPTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerManifest:
    """One state of the merged ledger.

    generation: 0 before the first merge.
    parts: keys of the merged files.
    replaced: keys of files whose rows stand in `parts`; they may still exist.
    """

    generation: int = 0
    parts: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    def as_bytes(self) -> bytes:
        return canonical_json({"parts": list(self.parts), "replaced": list(self.replaced)}).encode()


def manifest_key(generation: int) -> str:
    return f"{MANIFESTS_FOLDER}/{generation:08d}.json"


def read_manifest(files: Files) -> LedgerManifest:
    """The highest manifest. Raises `IntegrityError` if it is no manifest."""
    names = (key.rsplit("/", 1)[1] for key in files.list_keys(MANIFESTS_FOLDER))
    generations = [int(match[1]) for name in names if (match := _GENERATION.fullmatch(name))]
    if not generations:
        return LedgerManifest()
    key = manifest_key(max(generations))
    try:
        parsed = json.loads(files.read_bytes(key))
        return LedgerManifest(
            generation=max(generations), parts=tuple(parsed["parts"]), replaced=tuple(parsed["replaced"])
        )
    except NotFoundError:
        return read_manifest(files)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"not a manifest ({error})",
            rule="a ledger manifest is JSON with parts and replaced",
            where=key,
            remedy="Delete the folder `ledger` and rebuild the ledger from the files.",
        ) from error


def ledger_keys(files: Files) -> list[str]:
    """The files that together hold each row of the ledger exactly once. Raises as `ledger_state`."""
    manifest, appended = ledger_state(files)
    return [*manifest.parts, *appended]


def ledger_state(files: Files) -> tuple[LedgerManifest, list[str]]:
    """The manifest that holds, and the files that were appended since.

    Raises:
        StoreError: the ledger was merged again at every attempt to list it.
    """
    for _ in range(_MAX_ATTEMPTS):
        manifest = read_manifest(files)
        appended = appended_keys(files, manifest)
        if read_manifest(files).generation == manifest.generation:
            return manifest, appended
    raise StoreError(
        "the ledger was merged while it was listed",
        rule=f"a listing comes between two merges in {_MAX_ATTEMPTS} attempts",
        remedy="Merge the ledger less often.",
    )


def appended_keys(files: Files, manifest: LedgerManifest) -> list[str]:
    """The runs' own files that `manifest` does not cover."""
    replaced = set(manifest.replaced)
    return [
        key
        for key in files.list_keys(LEDGER_FOLDER)
        if not key.startswith((PARTS_FOLDER, MANIFESTS_FOLDER)) and key.endswith(".parquet") and key not in replaced
    ]
