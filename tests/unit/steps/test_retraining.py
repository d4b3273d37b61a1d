"""When it is time to train again: by the number of titles, by their likeness, and never twice for the same titles."""

from __future__ import annotations

import pytest

from mediafm.automation import DriftSettings, RetrainSettings
from mediafm.lineage.records import LedgerRecord
from mediafm.steps.arrivals import mark_vanished
from mediafm.steps.retraining import drift_of, growth, reason_to_train
from mediafm.steps.training import make_manifest
from mediafm.steps.workspace import Workspace
from tests.unit.steps.grown_root import put_checkpoint, put_titles, train

SETTINGS = RetrainSettings(min_titles=5, min_share=0.1)
FEW = DriftSettings(min_groups=8, num_permutations=199)


def test_nothing_to_train_on_is_no_reason(workspace: Workspace) -> None:
    workspace.point_producers()
    assert reason_to_train(workspace, growth(workspace), SETTINGS) == ""


def test_the_first_training_needs_no_threshold(workspace: Workspace) -> None:
    put_titles(workspace, 0, 6)
    grown = growth(workspace)
    assert (grown.baseline, grown.num_grown) == (None, 6)
    assert "first checkpoint" in reason_to_train(workspace, grown, SETTINGS)


def test_new_titles_count_from_the_champions_manifest(workspace: Workspace) -> None:
    put_titles(workspace, 0, 10)
    train(workspace)
    assert growth(workspace).num_grown == 0
    put_titles(workspace, 10, 14)
    grown = growth(workspace)
    assert (len(grown.new), len(grown.changed), grown.num_before) == (4, 0, 10)
    assert reason_to_train(workspace, grown, SETTINGS) == ""
    put_titles(workspace, 14, 15)
    assert reason_to_train(workspace, growth(workspace), SETTINGS).startswith("5 new, 0 changed, 0 gone")
    assert reason_to_train(workspace, growth(workspace), RetrainSettings(min_titles=1, min_share=0.6)) == ""


def test_changed_and_vanished_titles_are_told_apart(workspace: Workspace) -> None:
    put_titles(workspace, 0, 10)
    train(workspace)
    put_titles(workspace, 0, 6, recut="another mix")
    mark_vanished(workspace, ["title-009"])
    grown = growth(workspace)
    assert (len(grown.new), len(grown.changed), grown.num_gone) == (0, 6, 1)
    assert reason_to_train(workspace, grown, SETTINGS).startswith("0 new, 6 changed, 1 gone")


def test_a_candidate_that_the_gate_spoke_about_counts_as_tried(workspace: Workspace) -> None:
    from mediafm.steps.training import _training_producer

    put_titles(workspace, 0, 10)
    train(workspace)
    put_titles(workspace, 10, 20)
    tried = make_manifest(workspace).manifest
    assert tried is not None
    put_checkpoint(workspace, "c" * 64, tried.sha256, _training_producer(workspace))
    assert growth(workspace).num_grown == 10, "nothing was decided yet"
    refused = LedgerRecord(asset="champion", table="decisions", fingerprint="c" * 64, checkpoint_sha256="c" * 64)
    workspace.ledger.add(refused)
    workspace.ledger.flush()
    assert growth(workspace).num_grown == 0
    put_titles(workspace, 20, 23)
    assert growth(workspace).num_grown == 3


def test_the_state_moves_with_the_titles_and_with_nothing_else(workspace: Workspace) -> None:
    put_titles(workspace, 0, 6)
    before = growth(workspace).state_sha256
    train(workspace)
    assert growth(workspace).state_sha256 == before
    put_titles(workspace, 6, 7)
    assert growth(workspace).state_sha256 != before


@pytest.mark.parametrize(("moved", "is_drift"), [(0.0, False), (3.0, True)])
def test_titles_that_are_not_like_the_others_are_a_drift(workspace: Workspace, moved: float, is_drift: bool) -> None:
    put_titles(workspace, 0, 12)
    train(workspace)
    put_titles(workspace, 12, 24, moved=moved)
    drift = drift_of(workspace, growth(workspace), FEW)
    assert drift is not None
    assert (drift.num_before, drift.num_after) == (12, 12)
    assert ("audio" in drift.reason(FEW)) is is_drift
    assert bool(drift.reason(FEW)) is is_drift
    assert drift_of(workspace, growth(workspace), FEW) == drift, "the same titles give the same answer"


def test_few_titles_say_nothing_of_a_drift(workspace: Workspace) -> None:
    put_titles(workspace, 0, 12)
    train(workspace)
    put_titles(workspace, 12, 15, moved=3.0)
    assert drift_of(workspace, growth(workspace), FEW) is None


def test_a_sample_of_many_titles_is_read(workspace: Workspace) -> None:
    put_titles(workspace, 0, 14)
    train(workspace)
    put_titles(workspace, 14, 28)
    drift = drift_of(workspace, growth(workspace), DriftSettings(min_groups=8, max_titles=10, num_permutations=99))
    assert drift is not None
    assert (drift.num_before, drift.num_after) == (10, 10)
