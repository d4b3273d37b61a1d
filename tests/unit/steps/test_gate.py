"""The gate's rule, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from mediafm.steps.gate import MARGIN, decide, has_skill, skill_sentence


def report(low: float | None = 0.1, is_uncollapsed: bool = True) -> dict[str, Any]:
    interval = None if low is None else [low, low + 0.2]
    return {
        "is_uncollapsed": is_uncollapsed,
        "skill": {"random": {"skill": 0.2 if low is None else low + 0.1, "interval": interval}},
    }


def champion(is_provisional: bool = False) -> dict[str, Any]:
    return {"checkpoint_sha256": "old", "is_provisional": is_provisional}


def difference(low: float | None, num_groups: int = 20) -> dict[str, Any]:
    return {"task": "tone", "measure": "map", "value": 0.0, "low": low, "num_groups": num_groups}


def test_the_first_checkpoint_is_installed_as_provisional_whatever_its_skill() -> None:
    decision = decide("new", report(low=-0.9), None, [])
    assert (decision.verdict, decision.checkpoint_sha256, decision.is_provisional) == ("installed", "new", True)


def test_a_collapsed_first_checkpoint_is_not_installed() -> None:
    decision = decide("new", report(is_uncollapsed=False), None, [])
    assert (decision.verdict, decision.checkpoint_sha256) == ("kept", None)
    assert "collapsed" in decision.reason


def test_skill_above_zero_replaces_a_provisional_champion() -> None:
    decision = decide("new", report(low=0.01), champion(is_provisional=True), [])
    assert (decision.verdict, decision.checkpoint_sha256, decision.is_provisional) == ("promoted", "new", False)


@pytest.mark.parametrize("low", [-0.01, 0.0, None])
def test_without_skill_above_zero_the_champion_stays(low: float | None) -> None:
    decision = decide("new", report(low=low), champion(is_provisional=True), [])
    assert (decision.verdict, decision.checkpoint_sha256, decision.is_provisional) == ("kept", "old", True)
    assert "not above zero" in decision.reason


def test_a_candidate_that_is_not_inferior_is_promoted() -> None:
    decision = decide("new", report(), champion(), [difference(-MARGIN + 0.01), difference(0.2)])
    assert (decision.verdict, decision.checkpoint_sha256) == ("promoted", "new")


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([difference(-MARGIN - 0.01)], "lower end"),
        ([difference(0.1), difference(None)], "no interval"),
        ([difference(0.1, num_groups=9)], "undecidable: 9 labelled groups"),
        ([], "no probe compares"),
    ],
)
def test_an_inferior_or_undecidable_candidate_is_refused(rows: list[dict[str, Any]], why: str) -> None:
    decision = decide("new", report(), champion(), rows)
    assert (decision.verdict, decision.checkpoint_sha256) == ("kept", "old")
    assert why in decision.reason


def test_the_champion_itself_changes_nothing() -> None:
    assert decide("old", report(low=-1), champion(), []).verdict == "unchanged"


def test_skill_is_said_with_its_interval() -> None:
    assert skill_sentence(report(low=0.1)) == "skill +0.200 (95 % +0.100 to +0.300)"
    assert skill_sentence(report(low=None)) == "skill +0.200 (no interval: too few groups)"
    assert not has_skill(report(low=None))
