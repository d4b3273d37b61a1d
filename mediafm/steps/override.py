"""A person's promotion: past the gate's rule, on record, and never of a checkpoint that must not be champion."""

from __future__ import annotations

import re

from mediafm.errors import ConfigError, NotFoundError, TrainingError
from mediafm.steps.checkpoints import checkpoint_record, load_checkpoint
from mediafm.steps.decision import OVERRIDDEN, UNCHANGED, Decision
from mediafm.steps.gate import decisions_about, flaw_of, gate_rules, put_decision, skill_of
from mediafm.steps.mirror import mirror_decision
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import CHECKPOINTS, folders_beginning
from mediafm.store.pointers import CHAMPION
from mediafm.store.store import Store

_SHA256 = re.compile(r"[0-9a-f]{8,64}")


def promotable(store: Store, checkpoint: str, given_reason: str) -> str:
    """The sha256 of the checkpoint that is meant.

    Args:
        checkpoint: at least the first eight digits.
        given_reason: a person's own words.

    Raises:
        ConfigError: the reason is blank.
        NotFoundError: the root has no such checkpoint, or several begin so.
    """
    if not given_reason.strip():
        raise ConfigError(
            "a blank reason",
            rule="who overrides the gate says why, for those who read the record",
            remedy='Give --reason "…".',
        )
    matching = folders_beginning(store, CHECKPOINTS, checkpoint) if _SHA256.fullmatch(checkpoint) else []
    if len(matching) != 1:
        raise NotFoundError(
            f"{len(matching)} checkpoints {checkpoint[:16]!r}",
            rule="at least the first eight digits of a sha256 name one checkpoint of the root",
            where=str(store.root),
            remedy="`mediafm status` names the champion; MLflow's versions are tagged with their sha256.",
        )
    return checkpoint_record(store, matching[0]).checkpoint_sha256


def promote(workspace: Workspace, checkpoint: str, given_reason: str) -> Decision:
    """Makes a checkpoint the champion, whatever the gate said of it; recorded with the person's reason, and mirrored.

    No longer provisional: somebody vouches for it, so the next candidate has to stand the comparison with it.

    Args:
        checkpoint: at least the first eight digits of its sha256.

    Raises:
        ConfigError: the reason is blank.
        NotFoundError: the root has no such checkpoint.
        TrainingError: its weights are not finite or its vectors collapsed: nobody's word mends that.
        ConflictError: the pointer was moved meanwhile.
    """
    sha256 = promotable(workspace.store, checkpoint, given_reason)
    candidate = load_checkpoint(workspace, sha256)
    pointer = workspace.pointers.read(CHAMPION)
    before = str(pointer.value["checkpoint_sha256"]) if pointer else None
    if pointer is not None and before == sha256:
        return Decision(
            verdict=UNCHANGED,
            checkpoint_sha256=sha256,
            is_provisional=bool(pointer.value["is_provisional"]),
            reason="it is the champion already",
            candidate_sha256=sha256,
            champion_before=sha256,
            given_reason=given_reason.strip(),
        )
    flaw = flaw_of(candidate)
    if flaw:
        raise TrainingError(
            flaw,
            rule="a champion has finite weights and vectors that tell shots apart, whoever wants it",
            where=f"checkpoint {sha256[:16]}",
            remedy="Train again.",
        )
    decision = Decision(
        verdict=OVERRIDDEN,
        checkpoint_sha256=sha256,
        is_provisional=False,
        reason=f"promoted by a person: {given_reason.strip()}; {_overridden(workspace.store, sha256)}",
        candidate_sha256=sha256,
        champion_before=before,
        is_other_space=pointer is not None and pointer.value.get("space") != candidate.space_id,
        skill=skill_of(candidate.report),
        rules=gate_rules(workspace).as_json(),
        given_reason=given_reason.strip(),
    )
    put_decision(workspace, decision, candidate.space_id, pointer.generation if pointer else 0)
    mirror_decision(workspace, decision)
    return decision


def _overridden(store: Store, sha256: str) -> str:
    """What stood on record about the checkpoint until now."""
    earlier = decisions_about(store, sha256)
    if not earlier:
        return "the gate had not spoken about it"
    return f"last on record: {earlier[-1].verdict}, {earlier[-1].reason}"
