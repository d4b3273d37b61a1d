"""What readers get: the pointer `serving`, moved when every title that it serves has its new vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mediafm.lineage.fingerprint import Identity, fingerprint
from mediafm.lineage.records import LedgerRecord
from mediafm.steps.contextual import ContextualStep, champion_sha256, space_producers
from mediafm.steps.history import StepHistory
from mediafm.steps.present import PresentTitle
from mediafm.steps.producers import Producer
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import SERVING
from mediafm.store.views import records
from mediafm.types import Json, TitleState


@dataclass(frozen=True, kw_only=True)
class ServedManifest:
    """The titles that readers see, and by which checkpoint.

    checkpoint_sha256: what serves after this; None before the first champion.
    served: title -> fingerprint of its contextual vectors.
    missing: titles that the champion has yet to embed; while another checkpoint serves one of them, that one stays.
        A title without fused vectors in the champion's space is one of them as long as it is served.
    was_moved: whether the pointer moved.
    """

    checkpoint_sha256: str | None
    served: Mapping[str, str]
    missing: tuple[str, ...]
    was_moved: bool

    @property
    def sha256(self) -> str:
        return fingerprint({"checkpoint": self.checkpoint_sha256, "titles": dict(self.served)})


def serving_sha256(workspace: Workspace) -> str | None:
    """The checkpoint whose vectors readers get."""
    pointer = workspace.pointers.read(SERVING)
    return str(pointer.value["checkpoint_sha256"]) if pointer else None


def embedded_titles(workspace: Workspace, checkpoint_sha256: str) -> tuple[dict[str, str], list[str]]:
    """Of the present titles that have fused vectors: those that the checkpoint embedded, and those it has yet to.

    Those that it can never embed (no shot has a vector: quarantined) are neither. A value counts if the ledger has it
    and its file is there.
    """
    titles = workspace.all_titles(space_producers(workspace.store, checkpoint_sha256))
    history = StepHistory.of(workspace.store, ["fused_embeddings", *ContextualStep.tables])
    served: dict[str, str] = {}
    missing: list[str] = []
    for title in titles:
        if title.state is not TitleState.OK or not _is_done(workspace, history, title, ["fused_embeddings"]):
            continue
        identities = [title.chain.identity(table) for table in ContextualStep.tables]
        if _is_done(workspace, history, title, ContextualStep.tables):
            served[title.title_id] = identities[0].fingerprint
        elif workspace.retries_quarantined or not history.quarantine(identities):
            missing.append(title.title_id)
    return served, missing


def serve(workspace: Workspace) -> ServedManifest:
    """Moves `serving` to the champion if nobody loses vectors by it; says what readers see afterwards.

    Raises:
        ConflictError: another run moved the pointer meanwhile.
    """
    champion = champion_sha256(workspace)
    if champion is None:
        return ServedManifest(checkpoint_sha256=None, served={}, missing=(), was_moved=False)
    pointer = workspace.pointers.read(SERVING)
    present = str(pointer.value["checkpoint_sha256"]) if pointer else None
    served, missing = embedded_titles(workspace, champion)
    if present == champion:
        return _recorded(workspace, champion, served, missing, was_moved=False)
    held = embedded_titles(workspace, present)[0] if present else {}
    lost = set(held) - set(served)
    if not served or lost:
        waiting = tuple(sorted(lost | set(missing)))
        return ServedManifest(checkpoint_sha256=present, served=held, missing=waiting, was_moved=False)
    value: dict[str, Json] = {
        "checkpoint_sha256": champion,
        "producers": _producer_ids(space_producers(workspace.store, champion)),
    }
    reason = f"every title served before has its vectors by {champion[:16]}"
    workspace.pointers.move(SERVING, pointer.generation if pointer else 0, value, reason)
    return _recorded(workspace, champion, served, missing, was_moved=True)


def _recorded(
    workspace: Workspace, champion: str, served: Mapping[str, str], missing: Sequence[str], was_moved: bool
) -> ServedManifest:
    manifest = ServedManifest(checkpoint_sha256=champion, served=served, missing=tuple(missing), was_moved=was_moved)
    known = {row.fingerprint for row in records(workspace.store, ["served"])}
    if manifest.sha256 not in known:
        workspace.ledger.add(
            LedgerRecord(
                asset="served_manifest",
                table="served",
                fingerprint=manifest.sha256,
                inputs={"checkpoint": champion},
                num_rows=len(served),
                checkpoint_sha256=champion,
            )
        )
    return manifest


def _is_done(workspace: Workspace, history: StepHistory, title: PresentTitle, tables: Sequence[str]) -> bool:
    identities = [title.chain.identity(table) for table in tables]
    return all(history.done(one) is not None and workspace.store.has(one) for one in identities)


def _producer_ids(producers: Mapping[str, Producer]) -> dict[str, Json]:
    return {
        table: Identity(table=table, title_id="", producer=producer, inputs={}).producer_id
        for table, producer in producers.items()
    }
