"""The gate's rule, case by case; and what it leaves in the root."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from mediafm.config import GateSettings
from mediafm.errors import ConflictError
from mediafm.lineage.records import LedgerRecord
from mediafm.probes.noninferiority import GateRules, GateTask, judge_task
from mediafm.steps.decision import Decision
from mediafm.steps.gate import (
    Candidate,
    decide,
    decisions_about,
    has_skill,
    labelled_test_set,
    move_champion,
    skill_sentence,
)
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION
from tests.unit.steps.checkpoints import stored_checkpoint

RULES = GateRules(settings=GateSettings(), test_share=0.15)


def candidate(low: float | None = 0.1, flaw: str = "", space: str = "s", was_champion: bool = False) -> Candidate:
    interval = None if low is None else [low, low + 0.2]
    report = {"skill": {"random": {"skill": 0.2 if low is None else low + 0.1, "interval": interval}}}
    return Candidate(sha256="new", report=report, flaw=flaw, space=space, was_champion=was_champion)


def champion(is_provisional: bool = False) -> dict[str, Any]:
    return {"checkpoint_sha256": "old", "is_provisional": is_provisional, "space": "s"}


def task_of(difference: float, spread: float = 0.01, num_groups: int = 20, name: str = "tone") -> GateTask:
    replicates = difference + spread * np.random.default_rng(0).normal(size=200)
    return judge_task(
        name,
        "macro average precision",
        candidate=0.6 + difference,
        champion=0.6,
        replicates=replicates,
        num_test_groups=num_groups,
        rules=RULES,
    )


GOOD, BAD, WIDE, FEW = task_of(0.01), task_of(-0.2, name="genre"), task_of(0.0, 0.1, name="ads"), task_of(0.0, 0.01, 9)


def test_the_first_checkpoint_is_installed_as_provisional_whatever_its_skill() -> None:
    decision = decide(candidate(low=-0.9), None, [], RULES)
    assert (decision.verdict, decision.checkpoint_sha256, decision.is_provisional) == ("installed", "new", True)
    assert decision.champion_before is None


def test_a_flawed_first_checkpoint_is_not_installed() -> None:
    decision = decide(candidate(flaw="its vectors have collapsed"), None, [], RULES)
    assert (decision.verdict, decision.checkpoint_sha256) == ("refused", None)
    assert "collapsed" in decision.reason


def test_skill_above_zero_replaces_a_provisional_champion_whatever_the_tasks_say() -> None:
    for tasks in ([], [BAD], [WIDE]):
        decision = decide(candidate(low=0.01), champion(is_provisional=True), tasks, RULES)
        assert (decision.verdict, decision.checkpoint_sha256, decision.is_provisional) == ("promoted", "new", False)
        assert decision.tasks == tuple(tasks), "what was measured is shown all the same"


@pytest.mark.parametrize(("low", "verdict"), [(-0.01, "refused"), (0.0, "refused"), (None, "undecidable")])
@pytest.mark.parametrize("is_provisional", [True, False])
def test_without_skill_above_zero_the_champion_stays(low: float | None, verdict: str, is_provisional: bool) -> None:
    decision = decide(candidate(low=low), champion(is_provisional), [GOOD], RULES)
    assert (decision.verdict, decision.checkpoint_sha256) == (verdict, "old")
    assert decision.is_provisional == is_provisional
    assert "not above zero" in decision.reason


def test_a_candidate_that_is_not_inferior_is_promoted() -> None:
    decision = decide(candidate(), champion(), [GOOD, task_of(0.2, name="genre")], RULES)
    assert (decision.verdict, decision.checkpoint_sha256, decision.champion_before) == ("promoted", "new", "old")
    assert "not inferior on 2 measures" in decision.reason


@pytest.mark.parametrize(
    ("tasks", "verdict", "why"),
    [
        ([GOOD, BAD], "refused", "genre .*even the upper bound"),
        ([GOOD, WIDE, BAD], "refused", "genre"),
        ([GOOD, WIDE], "undecidable", "ads .*half width"),
        ([GOOD, FEW], "undecidable", "9 labelled test groups"),
        ([], "undecidable", "no labelled task compares"),
    ],
)
def test_an_inferior_or_undecidable_candidate_keeps_the_champion(tasks: list[GateTask], verdict: str, why: str) -> None:
    decision = decide(candidate(), champion(), tasks, RULES)
    assert (decision.verdict, decision.checkpoint_sha256, decision.has_moved) == (verdict, "old", False)
    assert re.search(why, decision.reason)


def test_across_spaces_probes_decide_and_skill_is_still_asked_for() -> None:
    decision = decide(candidate(space="other"), champion(), [GOOD], RULES)
    assert (decision.verdict, decision.is_other_space) == ("promoted", True)
    assert "different spaces" in decision.as_markdown()
    assert decide(candidate(low=-0.1, space="other"), champion(), [GOOD], RULES).verdict == "refused"


def test_who_was_taken_down_does_not_come_back_by_itself() -> None:
    decision = decide(candidate(was_champion=True), champion(), [GOOD], RULES)
    assert (decision.verdict, decision.checkpoint_sha256) == ("refused", "old")
    assert "mediafm promote" in decision.reason


def test_the_champion_itself_changes_nothing() -> None:
    same = {**champion(), "checkpoint_sha256": "new"}
    assert decide(candidate(low=-1, was_champion=True), same, [BAD], RULES).verdict == "unchanged"


def test_skill_is_said_with_its_interval() -> None:
    assert skill_sentence(candidate(low=0.1).report) == "skill +0.200 (95 % +0.100 to +0.300)"
    assert skill_sentence(candidate(low=None).report) == "skill +0.200 (no interval: too few groups)"
    assert not has_skill(candidate(low=None).report)


def test_a_decision_survives_json_and_is_told_in_markdown_and_tags() -> None:
    decision = decide(candidate(), champion(), [GOOD, WIDE], RULES)
    assert Decision.from_json(json.loads(json.dumps(decision.as_json(), allow_nan=False))) == decision
    text = decision.as_markdown()
    assert "| tone | macro average precision | 20 | 0.610 | 0.600 | +0.010 |" in text
    assert "| undecidable |" in text
    assert "Rules: on every labelled task the one-sided 95 % lower bound" in text
    tags = decision.as_tags()
    assert tags["gate.verdict"] == "undecidable"
    assert json.loads(tags["gate.tasks"])[0]["task"] == "tone"


def test_a_task_of_any_name_stays_in_its_cell() -> None:
    decision = decide(candidate(), champion(), [task_of(0.01, name="a | b\n# c")], RULES)
    assert "| a \\| b # c | macro" in decision.as_markdown()


def test_the_first_is_installed_the_next_compared_and_all_is_on_record(workspace: Workspace) -> None:
    first, second, third = (stored_checkpoint(workspace, seed) for seed in (1, 2, 3))
    assert move_champion(workspace, first).verdict == "installed"
    assert move_champion(workspace, second).verdict == "promoted"
    before = workspace.pointers.read(CHAMPION)
    refused = move_champion(workspace, third, [BAD], "set")
    assert (refused.verdict, refused.times_used) == ("refused", 1)
    assert workspace.pointers.read(CHAMPION) == before
    workspace.ledger.flush()
    (found,) = decisions_about(workspace.store, third)
    assert found == refused
    assert found.champion_before == second
    assert [one.verdict for one in decisions_about(workspace.store)] == ["installed", "promoted", "refused"]


def test_comparisons_by_a_test_set_are_counted_once_for_each_pair(workspace: Workspace) -> None:
    one, other, third, fourth = (stored_checkpoint(workspace, seed) for seed in (1, 2, 3, 4))
    move_champion(workspace, one)
    move_champion(workspace, other)

    def times(checkpoint: str, tasks: list[GateTask], test_set: str) -> int:
        decision = move_champion(workspace, checkpoint, tasks, test_set)
        workspace.ledger.flush()
        return decision.times_used

    labels = labelled_test_set("l", ["b", "a"])
    assert times(third, [BAD], labels) == 1
    assert times(third, [BAD], labels) == 1, "the same pair again tells nothing new"
    assert times(fourth, [BAD], labels) == 2
    assert times(fourth, [BAD], labelled_test_set("l", ["a", "b", "c"])) == 1
    assert times(fourth, [], labels) == 0
    assert labels == labelled_test_set("l", ["a", "b", "b"])


def test_a_comparison_with_an_earlier_champion_decides_nothing(workspace: Workspace) -> None:
    first, second = (stored_checkpoint(workspace, seed) for seed in (1, 2))
    move_champion(workspace, first)
    with pytest.raises(ConflictError, match="Compare again"):
        move_champion(workspace, second, [GOOD], "set", against="0" * 64)
    assert move_champion(workspace, second, [GOOD], "set", against=first).verdict == "promoted"


def test_weights_that_are_not_finite_are_refused(workspace: Workspace) -> None:
    broken = move_champion(workspace, stored_checkpoint(workspace, 1, is_finite=False))
    assert (broken.verdict, broken.checkpoint_sha256) == ("refused", None)
    assert "not finite" in broken.reason
    collapsed = move_champion(workspace, stored_checkpoint(workspace, 1, is_uncollapsed=False))
    assert (collapsed.verdict, collapsed.checkpoint_sha256) == ("refused", None)


def test_a_root_with_decisions_of_an_older_version_can_be_read(workspace: Workspace) -> None:
    first, second, third = (stored_checkpoint(workspace, seed) for seed in (1, 2, 3))
    old = {"verdict": "kept", "checkpoint_sha256": first, "is_provisional": False, "reason": "undecidable"}
    workspace.ledger.add(
        LedgerRecord(asset="champion", table="decisions", fingerprint=first, checkpoint_sha256=first, details=old)
    )
    workspace.ledger.flush()
    move_champion(workspace, second)
    assert move_champion(workspace, third, [GOOD], "set").times_used == 1
