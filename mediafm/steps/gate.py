"""The gate: which checkpoint is approved, and why.

The pointer `champion` moves here, by a person's promotion (`mediafm.steps.override`) and by a rollback; nowhere else.
The rule, in order:

1. A candidate whose weights are not finite or whose exported vectors collapsed is refused.
2. A root's first one is installed as *provisional*, whatever its skill: nothing is there to compare it with.
3. One that was champion before and is so no more is refused: somebody took it down, and only a person brings it back.
4. Skill must be above zero. Skill compares a candidate with the trivial predictors of its own space and never with the
   champion: cosines to the targets of two spaces are no common scale. So it is asked for across spaces, too.
5. With that, any replaces a provisional champion.
6. Any other champion is replaced by one that is not inferior on every gated task (`mediafm.probes.noninferiority`).

What cannot be decided for want of labelled titles keeps the champion; a refusal is recorded, and is no error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mediafm.errors import ConflictError
from mediafm.lineage.fingerprint import fingerprint
from mediafm.lineage.records import LedgerRecord
from mediafm.probes.noninferiority import INFERIOR, NOT_INFERIOR, GateRules, GateTask, judge
from mediafm.steps.checkpoints import load_checkpoint
from mediafm.steps.decision import INSTALLED, PROMOTED, REFUSED, UNCHANGED, UNDECIDABLE, Decision
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION
from mediafm.store.store import Store
from mediafm.store.views import records
from mediafm.types import Json

if TYPE_CHECKING:
    from mediafm.train.checkpoint import Checkpoint


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What the rule asks of a candidate.

    report: the checkpoint's own (`skill`, `is_uncollapsed`).
    flaw: why it must never be champion, a sentence; "" for a sound one.
    space: id of the space that it reads.
    was_champion: it was champion before.
    """

    sha256: str
    report: Mapping[str, Any]
    flaw: str = ""
    space: str = ""
    was_champion: bool = False


def decide(
    candidate: Candidate, champion: Mapping[str, Any] | None, gate_tasks: Sequence[GateTask], rules: GateRules
) -> Decision:
    """The rule, free of any store.

    Args:
        champion: the pointer's value, None before the first.
        gate_tasks: candidate against champion on the test groups; those that the rules leave out are ignored.
    """
    verdict, reason, tasks = _verdict(candidate, champion, gate_tasks, rules)
    moves = verdict in (INSTALLED, PROMOTED)
    before = str(champion["checkpoint_sha256"]) if champion else None
    return Decision(
        verdict=verdict,
        checkpoint_sha256=candidate.sha256 if moves else before,
        is_provisional=verdict == INSTALLED if moves else bool(champion and champion["is_provisional"]),
        reason=reason,
        candidate_sha256=candidate.sha256,
        champion_before=before,
        is_other_space=champion is not None and champion.get("space", candidate.space) != candidate.space,
        skill=skill_of(candidate.report),
        tasks=tasks,
        rules=rules.as_json(),
    )


def _verdict(
    candidate: Candidate, champion: Mapping[str, Any] | None, gate_tasks: Sequence[GateTask], rules: GateRules
) -> tuple[str, str, tuple[GateTask, ...]]:
    """The verdict, its reason and the gated tasks, shown whether or not it came to them."""
    said = skill_sentence(candidate.report)
    if champion is not None and champion["checkpoint_sha256"] == candidate.sha256:
        return UNCHANGED, "the candidate is the champion already", ()
    judged = judge(gate_tasks, rules) if gate_tasks else None
    tasks = judged.tasks if judged else ()
    if candidate.flaw:
        return REFUSED, candidate.flaw, tasks
    if champion is None:
        return INSTALLED, f"the first checkpoint of this root, provisional whatever its skill; {said}", tasks
    if candidate.was_champion:
        return REFUSED, "it was champion before and was taken down: only `mediafm promote` brings it back", tasks
    if not has_skill(candidate.report):
        is_known = skill_of(candidate.report)["interval"] is not None
        return (REFUSED if is_known else UNDECIDABLE), f"the candidate's skill is not above zero: {said}", tasks
    if champion["is_provisional"]:
        return PROMOTED, f"skill above zero replaces a provisional champion; {said}", tasks
    judged = judged or judge((), rules)
    if judged.verdict == NOT_INFERIOR:
        return PROMOTED, f"{judged.reason}; {said}", judged.tasks
    return (REFUSED if judged.verdict == INFERIOR else UNDECIDABLE), judged.reason, judged.tasks


def flaw_of(checkpoint: Checkpoint) -> str:
    """Why a checkpoint must never be champion, whoever wants it: a clause; "" for a sound one."""
    weights = checkpoint.load_model().state_dict()
    wrong = [name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]
    if wrong:
        return f"weights that are not finite: {', '.join(wrong[:3])}"
    return "" if checkpoint.report["is_uncollapsed"] else "the candidate's exported vectors have collapsed"


def has_skill(report: Mapping[str, Any]) -> bool:
    """Skill above zero: the lower end of its 95 % interval over groups is."""
    interval = report["skill"]["random"]["interval"]
    return interval is not None and interval[0] > 0


def skill_sentence(report: Mapping[str, Any]) -> str:
    """The checkpoint's skill on test groups, for people."""
    skill = report["skill"]["random"]
    if skill["skill"] is None:
        return "skill could not be measured"
    interval = skill["interval"]
    ends = f"95 % {interval[0]:+.3f} to {interval[1]:+.3f}" if interval else "no interval: too few groups"
    return f"skill {skill['skill']:+.3f} ({ends})"


def skill_of(report: Mapping[str, Any]) -> dict[str, Json]:
    """The checkpoint's skill and its interval, as decisions keep them."""
    skill = report["skill"]["random"]
    return {"skill": skill["skill"], "interval": list(skill["interval"]) if skill["interval"] else None}


def gate_rules(workspace: Workspace) -> GateRules:
    """The configured rules."""
    return GateRules(settings=workspace.config.gate, test_share=workspace.config.training.test_share)


def labelled_test_set(labels_sha256: str, test_groups: Collection[str]) -> str:
    """Which labels on which test groups: what wears out as it decides. Other labels or groups are another test set."""
    return fingerprint({"labels": labels_sha256, "test_groups": sorted(set(test_groups))})


def move_champion(
    workspace: Workspace,
    candidate_sha256: str,
    gate_tasks: Sequence[GateTask] = (),
    test_set: str | None = None,
    against: str | None = None,
) -> Decision:
    """Decides, moves the pointer if the candidate is approved, and records the decision.

    Args:
        gate_tasks: the candidate against the champion on test groups; empty before the first, or without labels.
        test_set: what they were measured on, of `labelled_test_set`.
        against: the champion that they were measured against.

    Raises:
        NotFoundError: the root has no such checkpoint.
        ConflictError: the pointer was moved meanwhile.
    """
    checkpoint = load_checkpoint(workspace, candidate_sha256)
    pointer = workspace.pointers.read(CHAMPION)
    if gate_tasks and against is not None and (pointer is None or pointer.value["checkpoint_sha256"] != against):
        raise ConflictError(
            f"the champion is {pointer.value['checkpoint_sha256'] if pointer else 'none'}",
            rule=f"the candidate was compared with {against}",
            where=CHAMPION,
            remedy="Compare again, then decide.",
        )
    candidate = Candidate(
        sha256=candidate_sha256,
        report=checkpoint.report,
        flaw=flaw_of(checkpoint),
        space=checkpoint.space_id,
        was_champion=candidate_sha256 in _past_champions(workspace),
    )
    decision = decide(candidate, pointer.value if pointer else None, gate_tasks, gate_rules(workspace))
    if decision.tasks and test_set is not None:
        decision = replace(decision, test_set=test_set, times_used=times_used(workspace.store, test_set, decision))
    if decision.verdict != UNCHANGED:
        put_decision(workspace, decision, checkpoint.space_id, pointer.generation if pointer else 0)
    return decision


def put_decision(workspace: Workspace, decision: Decision, space: str, generation: int) -> None:
    """Moves the pointer if the decision does, and records the decision.

    Args:
        space: that the candidate reads.
        generation: of the pointer that it was decided at; 0 before the first.

    Raises:
        ConflictError: the pointer was moved meanwhile; nothing is recorded.
    """
    sha256 = str(decision.candidate_sha256)
    if decision.has_moved:
        value: dict[str, Json] = {
            "checkpoint_sha256": sha256,
            "is_provisional": decision.is_provisional,
            "space": space,
        }
        workspace.pointers.move(CHAMPION, generation, value, decision.reason)
    workspace.ledger.add(
        LedgerRecord(
            asset="champion",
            table="decisions",
            fingerprint=sha256,
            inputs={"checkpoint": sha256},
            checkpoint_sha256=sha256,
            details=decision.as_json(),
        )
    )


def decisions_about(store: Store, checkpoint_sha256: str | None = None) -> list[Decision]:
    """What was decided about a checkpoint (about all unless given), the newest last."""
    rows = sorted(records(store, ["decisions"]), key=lambda row: row.recorded_at)
    return [Decision.from_json(row.details) for row in rows if checkpoint_sha256 in (None, row.checkpoint_sha256)]


def times_used(store: Store, test_set: str, decision: Decision) -> int:
    """How many pairs of candidate and champion this test set has compared, with this decision's.

    The same pair again, in another run, tells nothing new and counts once.
    """
    pairs = {(one.candidate_sha256, one.champion_before) for one in decisions_about(store) if one.test_set == test_set}
    return len(pairs | {(decision.candidate_sha256, decision.champion_before)})


def _past_champions(workspace: Workspace) -> set[str]:
    return {str(pointer.value["checkpoint_sha256"]) for pointer in workspace.pointers.history(CHAMPION)}
