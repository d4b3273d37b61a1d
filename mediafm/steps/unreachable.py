"""What forgetting a title cannot reach: weights that saw it, copies elsewhere, and the media itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mediafm.errors import MediaFMError
from mediafm.lineage.audit_made import checkpoints_of_manifests
from mediafm.probes.head_files import from_files
from mediafm.steps.heads import HEADS
from mediafm.store.audited import OpenedLedger, open_audited
from mediafm.store.folders import folder_key, read_folder
from mediafm.store.store import Store
from mediafm.store.tombstones import Tombstone
from mediafm.store.views import records
from mediafm.types import Json

_COPIES = (
    "object versions, snapshots and backups of the root, of Dagster's and of MLflow's state, and exports that were "
    "written elsewhere, have to be purged where they lie"
)


@dataclass(frozen=True, kw_only=True)
class SeenBy:
    """A checkpoint that was trained, validated or tested on the title. model_version: in MLflow, as the ledger says."""

    checkpoint_sha256: str
    manifest_sha256: str
    split: str
    model_version: str


@dataclass(frozen=True, kw_only=True)
class Unreachable:
    """What still knows of a forgotten title.

    manifests: that name it. checkpoints: whose weights saw it. heads: sha256 of saved probes that were fitted on it.
    media: paths of its files, which MediaFM never deletes.
    same_media: titles of the same media under other names, with values of their own.
    """

    manifests: tuple[str, ...]
    checkpoints: tuple[SeenBy, ...]
    heads: tuple[str, ...]
    media: tuple[str, ...]
    same_media: tuple[str, ...]

    @property
    def sentences(self) -> list[str]:
        """For people, one sentence each."""
        found = [
            f"checkpoint {one.checkpoint_sha256[:16]} (version {one.model_version or 'unknown'}) saw it in the split "
            f"{one.split}: its weights stay, in the store and in MLflow; train again without it"
            for one in self.checkpoints
        ]
        found += [f"the saved probe {sha256[:16]} was fitted on it: save it again" for sha256 in self.heads]
        found += [f"the title {name} is of the same media: `mediafm forget --title {name}`" for name in self.same_media]
        found += [f"the media file {path} is not MediaFM's to delete" for path in self.media]
        return [
            *found,
            "manifests, evaluations and the ledger keep its id, its checksums and its numbers, not its content",
            _COPIES,
        ]

    def as_json(self) -> dict[str, Json]:
        return {
            "manifests": list(self.manifests),
            "checkpoints": [asdict(one) for one in self.checkpoints],
            "heads": list(self.heads),
            "media": list(self.media),
            "same_media": list(self.same_media),
            "sentences": list(self.sentences),
        }


def unreachable(store: Store, tombstone: Tombstone) -> Unreachable:
    """What still knows of the title, by the ledger, the manifests and the saved probes."""
    raw = records(store, ["titles"], [tombstone.title_id])
    sources = [row.details.get("source") for row in raw]
    paths = {str(source["path"]) for source in sources if isinstance(source, dict) and source.get("path")}
    with open_audited(store) as ledger:
        splits = _splits(ledger, tombstone)
        trained = checkpoints_of_manifests(ledger, sorted(splits))
        same_media = _same_media(ledger, tombstone)
        versions = [
            SeenBy(
                checkpoint_sha256=row["checkpoint_sha256"],
                manifest_sha256=row["inputs"]["manifest"],
                split=splits[row["inputs"]["manifest"]],
                model_version=_model_version(row["details"]),
            )
            for row in trained
        ]
    return Unreachable(
        manifests=tuple(sorted(splits)),
        checkpoints=tuple(dict.fromkeys(versions)),
        heads=tuple(_heads(store, tombstone.title_id)),
        media=tuple(sorted(paths)),
        same_media=tuple(same_media),
    )


def _splits(ledger: OpenedLedger, tombstone: Tombstone) -> dict[str, str]:
    """Manifest -> the split in which it names the title, or another of its media."""
    rows = ledger.rows(
        "SELECT manifest_sha256, any_value(split) AS split FROM manifest_titles "
        "WHERE title_id = $title OR list_contains($media::VARCHAR[], media_sha256) GROUP BY 1",
        {"title": tombstone.title_id, "media": list(tombstone.media_sha256)},
    )
    return {row["manifest_sha256"]: row["split"] for row in rows}


def _same_media(ledger: OpenedLedger, tombstone: Tombstone) -> list[str]:
    rows = ledger.rows(
        "SELECT DISTINCT title_id FROM current WHERE table_name = 'titles' AND title_id <> $title "
        "AND list_contains($media::VARCHAR[], media_sha256) ORDER BY 1",
        {"title": tombstone.title_id, "media": list(tombstone.media_sha256)},
    )
    return [row["title_id"] for row in rows]


def _heads(store: Store, title_id: str) -> Sequence[str]:
    """Saved probes whose labels the title had; one that cannot be read is not told apart, and is named."""
    found = []
    for record in records(store, [HEADS]):
        try:
            head = from_files(read_folder(store, folder_key(HEADS, record.fingerprint)), record.fingerprint)
        except MediaFMError:
            found.append(record.fingerprint)
            continue
        if title_id in head.origin.title_ids:
            found.append(record.fingerprint)
    return list(dict.fromkeys(found))


def _model_version(details: str) -> str:
    return str(json.loads(details).get("model_version", ""))
