"""The gate: which checkpoint is approved, and why. The pointer `champion` moves here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mediafm.lineage.records import LedgerRecord
from mediafm.steps.checkpoints import load_checkpoint
from mediafm.steps.evaluation import CANDIDATE, CHAMPION_FEATURES, Evaluation
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION
from mediafm.train.checkpoint import Checkpoint
from mediafm.types import Json

MARGIN = 0.05
"""By how much a candidate may be worse on a task without being refused (non-inferiority; our choice)."""
MIN_GROUPS = 10
"""A task with fewer labelled groups decides nothing."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the gate said.

    verdict: "installed" (the first checkpoint), "promoted", "kept" (the champion stays) or "unchanged".
    checkpoint_sha256: the champion afterwards; None if there is none.
    is_provisional: whether that champion is a first one that nothing was compared with.
    """

    verdict: str
    checkpoint_sha256: str | None
    is_provisional: bool
    reason: str

    def as_json(self) -> dict[str, Json]:
        return {
            "verdict": self.verdict,
            "checkpoint_sha256": self.checkpoint_sha256,
            "is_provisional": self.is_provisional,
            "reason": self.reason,
        }


def decide(
    candidate_sha256: str,
    report: Mapping[str, Any],
    champion: Mapping[str, Any] | None,
    differences: Sequence[Mapping[str, Any]],
) -> Decision:
    """The rule, free of any store.

    Args:
        report: the candidate's own (`skill`, `is_uncollapsed`).
        champion: the pointer's value, None before the first.
        differences: the probe report's rows (candidate - champion), each with `num_groups`.
    """
    if champion is not None and champion["checkpoint_sha256"] == candidate_sha256:
        return _keep(champion, "unchanged", "the candidate is the champion already")
    if not report["is_uncollapsed"]:
        return _keep(champion, "kept", "the candidate's exported vectors have collapsed")
    if champion is None:
        reason = f"the first checkpoint of this root, provisional whatever its skill; {skill_sentence(report)}"
        return Decision(verdict="installed", checkpoint_sha256=candidate_sha256, is_provisional=True, reason=reason)
    if not has_skill(report):
        return _keep(champion, "kept", f"the candidate's skill is not above zero: {skill_sentence(report)}")
    if champion["is_provisional"]:
        reason = f"skill above zero replaces a provisional champion; {skill_sentence(report)}"
        return Decision(verdict="promoted", checkpoint_sha256=candidate_sha256, is_provisional=False, reason=reason)
    refusals = _refusals(differences)
    if refusals:
        return _keep(champion, "kept", "; ".join(refusals))
    reason = f"not inferior on {len(differences)} measures within {MARGIN}; {skill_sentence(report)}"
    return Decision(verdict="promoted", checkpoint_sha256=candidate_sha256, is_provisional=False, reason=reason)


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


def move_champion(workspace: Workspace, candidate_sha256: str, evaluation: Evaluation | None) -> Decision:
    """Decides, moves the pointer if the candidate is approved, and records the decision.

    Raises:
        ConflictError: another gate moved the pointer meanwhile.
    """
    candidate = load_checkpoint(workspace, candidate_sha256)
    pointer = workspace.pointers.read(CHAMPION)
    champion = pointer.value if pointer else None
    decision = decide(candidate_sha256, candidate.report, champion, _against_champion(evaluation))
    if decision.verdict in ("installed", "promoted"):
        value: dict[str, Json] = {
            "checkpoint_sha256": candidate_sha256,
            "is_provisional": decision.is_provisional,
            "space": candidate.space_id,
        }
        workspace.pointers.move(CHAMPION, pointer.generation if pointer else 0, value, decision.reason)
    if decision.verdict != "unchanged":
        _record(workspace, candidate, decision)
    return decision


def _record(workspace: Workspace, candidate: Checkpoint, decision: Decision) -> None:
    workspace.ledger.add(
        LedgerRecord(
            asset="champion",
            table="decisions",
            fingerprint=candidate.sha256,
            inputs={"checkpoint": candidate.sha256},
            checkpoint_sha256=candidate.sha256,
            details=decision.as_json(),
        )
    )


def _against_champion(evaluation: Evaluation | None) -> list[Mapping[str, Any]]:
    if evaluation is None or evaluation.probes is None:
        return []
    groups = {(row["task"], row["measure"]): row["num_groups"] for row in evaluation.probes["rows"]}
    return [
        {**row, "num_groups": groups[(row["task"], row["measure"])]}
        for row in evaluation.probes["differences"]
        if row["features"] == CANDIDATE and row["against"] == CHAMPION_FEATURES
    ]


def _refusals(differences: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why the candidate is not shown to be as good as the champion; every measure must decide for it."""
    if not differences:
        return ["undecidable: no probe compares the candidate with the champion, so the champion stays"]
    found = []
    for row in differences:
        name = f"{row['task']} ({row['measure']})"
        if row["num_groups"] < MIN_GROUPS:
            found.append(f"{name} is undecidable: {row['num_groups']} labelled groups of the {MIN_GROUPS} it takes")
        elif row["low"] is None or row["low"] <= -MARGIN:
            low = "no interval" if row["low"] is None else f"{row['low']:+.3f}"
            found.append(f"{name}: {row['value']:+.3f}, lower end {low}, where {-MARGIN:+.2f} is the bound")
    return found


def _keep(champion: Mapping[str, Any] | None, verdict: str, reason: str) -> Decision:
    return Decision(
        verdict=verdict,
        checkpoint_sha256=str(champion["checkpoint_sha256"]) if champion else None,
        is_provisional=bool(champion["is_provisional"]) if champion else False,
        reason=reason,
    )
