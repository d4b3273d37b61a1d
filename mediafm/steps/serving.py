"""What readers get: the pointer `serving`, moved when every title that it serves has its new vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mediafm.errors import ConflictError
from mediafm.lineage.fingerprint import fingerprint
from mediafm.lineage.records import LedgerRecord
from mediafm.steps.contextual import ContextualStep, pointed_checkpoint, space_producers
from mediafm.steps.history import StepHistory
from mediafm.steps.present import PresentTitle
from mediafm.steps.rollout import ROLLED_BACK_FROM, producer_ids_of
from mediafm.steps.say_titles import named
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION, SERVING
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
    lost: titles that readers had and have no more, because the pointer was moved all the same.
    held: of `missing`, those that keep the pointer from moving.
    reason: what happened, or why nothing did; a sentence.
    """

    checkpoint_sha256: str | None
    served: Mapping[str, str]
    missing: tuple[str, ...]
    was_moved: bool
    lost: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    reason: str = ""

    @property
    def sha256(self) -> str:
        return fingerprint({"checkpoint": self.checkpoint_sha256, "titles": dict(self.served)})

    def as_json(self) -> dict[str, Json]:
        return {
            "checkpoint_sha256": self.checkpoint_sha256,
            "was_moved": self.was_moved,
            "reason": self.reason,
            "titles": len(self.served),
            "num_missing": len(self.missing),
            "held": list(self.held),
            "lost": list(self.lost),
        }


def serving_sha256(workspace: Workspace) -> str | None:
    """The checkpoint whose vectors readers get."""
    return pointed_checkpoint(workspace, SERVING)


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


def serve(workspace: Workspace, *, allow_missing: bool = False) -> ServedManifest:
    """Moves `serving` to the champion if nobody loses vectors by it; says what readers see afterwards.

    A rollback that was stopped between its two pointers is ended: there, too, nobody is waited for.

    Args:
        allow_missing: move it all the same; the titles that readers lose are listed and recorded.

    Raises:
        ConflictError: another run moved the pointer elsewhere meanwhile.
    """
    pointer, champion = workspace.pointers.read(SERVING), workspace.pointers.read(CHAMPION)
    if champion is None:
        reason = "there is no champion yet"
        return ServedManifest(checkpoint_sha256=None, served={}, missing=(), was_moved=False, reason=reason)
    sha256 = str(champion.value["checkpoint_sha256"])
    present = str(pointer.value["checkpoint_sha256"]) if pointer else None
    served, missing = embedded_titles(workspace, sha256)
    if present == sha256:
        reason = f"readers get {sha256[:16]} already" + (f"; {named(missing)} to be filled" if missing else "")
        return _recorded(
            workspace,
            ServedManifest(
                checkpoint_sha256=sha256, served=served, missing=tuple(missing), was_moved=False, reason=reason
            ),
        )
    held = embedded_titles(workspace, present)[0] if present else {}
    lost = tuple(sorted(set(held) - set(served)))
    is_rollback = present is not None and champion.value.get(ROLLED_BACK_FROM) == present
    if not is_rollback and (lost or not served) and not (allow_missing and served):
        return ServedManifest(
            checkpoint_sha256=present,
            served=held,
            missing=tuple(sorted({*lost, *missing})),
            was_moved=False,
            held=lost,
            reason=_held_reason(sha256, lost),
        )
    reason = _moved_reason(sha256, lost, is_rollback)
    value: dict[str, Json] = {"checkpoint_sha256": sha256, "producers": producer_ids_of(workspace.store, sha256)}
    if is_rollback:
        value[ROLLED_BACK_FROM] = present
    _move_serving(workspace, pointer.generation if pointer else 0, value, reason)
    return _recorded(
        workspace,
        ServedManifest(
            checkpoint_sha256=sha256,
            served=served,
            missing=tuple(sorted({*lost, *missing})),
            was_moved=True,
            lost=lost,
            reason=reason,
        ),
    )


def _held_reason(champion: str, lost: Sequence[str]) -> str:
    if not lost:
        return f"no title has vectors by {champion[:16]} yet: `mediafm run` makes them"
    return (
        f"readers would lose {named(lost)} that {champion[:16]} has yet to embed: `mediafm run` makes their vectors, "
        "`mediafm serve --allow-missing` moves without them"
    )


def _moved_reason(champion: str, lost: Sequence[str], is_rollback: bool) -> str:
    how = "a rollback" if is_rollback else "--allow-missing"
    if lost:
        return f"to {champion[:16]} by {how}; readers lose {named(lost)}"
    return f"every title served before has its vectors by {champion[:16]}"


def _move_serving(workspace: Workspace, generation: int, value: Mapping[str, Json], reason: str) -> None:
    """Moves the pointer; where another run has taken it to the same checkpoint meanwhile, both meant the same."""
    try:
        workspace.pointers.move(SERVING, generation, value, reason)
    except ConflictError:
        if serving_sha256(workspace) != value["checkpoint_sha256"]:
            raise


def _recorded(workspace: Workspace, manifest: ServedManifest) -> ServedManifest:
    """The manifest, with a row of the ledger for each that is new and for each move."""
    champion = str(manifest.checkpoint_sha256)
    known = {row.fingerprint for row in records(workspace.store, ["served"])}
    if manifest.was_moved or manifest.sha256 not in known:
        workspace.ledger.add(
            LedgerRecord(
                asset="served_manifest",
                table="served",
                fingerprint=manifest.sha256,
                inputs={"checkpoint": champion},
                num_rows=len(manifest.served),
                checkpoint_sha256=champion,
                details={"reason": manifest.reason, "lost": list(manifest.lost), "was_moved": manifest.was_moved},
            )
        )
    return manifest


def _is_done(workspace: Workspace, history: StepHistory, title: PresentTitle, tables: Sequence[str]) -> bool:
    identities = [title.chain.identity(table) for table in tables]
    return all(history.done(one) is not None and workspace.store.has(one) for one in identities)
