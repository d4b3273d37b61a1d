"""A person's promotion: past the gate, on record, mirrored in MLflow, and never of what must not be champion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mediafm.config import Config
from mediafm.errors import ConfigError, NotFoundError, TrainingError
from mediafm.registry.registry import Registry
from mediafm.steps.gate import decisions_about, move_champion
from mediafm.steps.mirror import mirror_alias, mirror_decision, registry_of
from mediafm.steps.override import promote
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION
from tests.unit.steps.checkpoints import stored_checkpoint, tiny_checkpoint

# MLflow and what it imports warn of their own future; none of it is ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One MLflow for all tests: making its database takes seconds."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def workspace(config: Config, state: Path) -> Iterator[Workspace]:
    with Workspace.open(config.model_copy(update={"state": str(state)}), run_id="run-1") as opened:
        yield opened


def version_tags(registry: Registry, sha256: str) -> dict[str, str]:
    import mlflow

    found = registry.find(sha256)
    assert found is not None
    client = mlflow.MlflowClient(registry.tracking_uri)
    return dict(client.get_model_version(registry.registered_model, str(found.version)).tags)


def test_a_refused_candidate_is_promoted_by_a_persons_word_and_mlflow_says_so(workspace: Workspace) -> None:
    first, second = (stored_checkpoint(workspace, seed, lowest_skill=low) for seed, low in ((1, 0.1), (2, -0.3)))
    registry = registry_of(workspace)
    for seed in (1, 2):
        registry.log_training(tiny_checkpoint(workspace, seed, lowest_skill=0.1 if seed == 1 else -0.3), [])
    for sha256 in (first, second):
        mirror_decision(workspace, move_champion(workspace, sha256))
    workspace.ledger.flush()
    assert registry.aliases() == {"champion": first}
    assert version_tags(registry, second)["gate.verdict"] == "refused"

    decision = promote(workspace, second[:12], "  the labels are of last year ")
    workspace.ledger.flush()
    assert (decision.verdict, decision.checkpoint_sha256, decision.is_provisional) == ("overridden", second, False)
    assert decision.given_reason == "the labels are of last year"
    assert "last on record: refused" in decision.reason
    pointer = workspace.pointers.read(CHAMPION)
    assert pointer is not None
    assert pointer.value["checkpoint_sha256"] == second
    assert "the labels are of last year" in pointer.reason
    assert decisions_about(workspace.store, second)[-1] == decision
    assert registry.aliases() == {"champion": second}
    tags = version_tags(registry, second)
    assert (tags["gate.verdict"], tags["gate.given_reason"]) == ("overridden", "the labels are of last year")

    again = promote(workspace, second, "once more")
    assert (again.verdict, again.reason) == ("unchanged", "it is the champion already")
    assert workspace.pointers.read(CHAMPION) == pointer


def test_the_gate_does_not_undo_what_a_person_decided(workspace: Workspace) -> None:
    first, second = (stored_checkpoint(workspace, seed) for seed in (1, 2))
    move_champion(workspace, first)
    move_champion(workspace, second)
    promote(workspace, first, "the second one is worse on what we sell")
    assert move_champion(workspace, second).verdict == "refused"
    assert promote(workspace, second, "it was not").has_moved


@pytest.mark.parametrize(
    ("digits", "reason", "error", "match"),
    [
        (64, " \n", ConfigError, "a blank reason"),
        (7, "why not", NotFoundError, "at least the first eight digits"),
        (0, "why not", NotFoundError, "at least the first eight digits"),
    ],
)
def test_a_reason_and_a_checkpoint_are_needed(
    workspace: Workspace, digits: int, reason: str, error: type[Exception], match: str
) -> None:
    sha256 = stored_checkpoint(workspace, 1)
    with pytest.raises(error, match=match):
        promote(workspace, sha256[:digits], reason)
    with pytest.raises(NotFoundError, match="0 checkpoints"):
        promote(workspace, "0123456789abcdef", "why not")
    assert workspace.pointers.read(CHAMPION) is None


@pytest.mark.parametrize("facts", [{"is_finite": False}, {"is_uncollapsed": False}])
def test_nobodys_word_mends_a_flawed_checkpoint(workspace: Workspace, facts: dict[str, bool]) -> None:
    sha256 = stored_checkpoint(workspace, 1, **facts)
    with pytest.raises(TrainingError, match="whoever wants it"):
        promote(workspace, sha256, "I insist")
    workspace.ledger.flush()
    assert workspace.pointers.read(CHAMPION) is None
    assert decisions_about(workspace.store) == []


def test_what_mlflow_does_not_know_is_not_mirrored(workspace: Workspace) -> None:
    sha256 = stored_checkpoint(workspace, 9)
    before = registry_of(workspace).aliases()
    assert promote(workspace, sha256, "the only one we have").has_moved
    mirror_alias(workspace, "serving", sha256)
    mirror_alias(workspace, "serving", None)
    assert registry_of(workspace).aliases() == before
