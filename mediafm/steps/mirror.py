"""MLflow says what the root's pointers and decisions say, wherever it knows the checkpoint. It decides nothing."""

from __future__ import annotations

from mediafm.registry.registry import Registry
from mediafm.steps.decision import UNCHANGED, Decision
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION


def registry_of(workspace: Workspace) -> Registry:
    """The MLflow of the root."""
    return Registry.of(workspace.config)


def mirror_alias(workspace: Workspace, alias: str, sha256: str | None) -> None:
    """Lets MLflow's alias mean this checkpoint. Raises `StoreError`: MLflow refused."""
    registry = registry_of(workspace)
    if sha256 is not None and registry.find(sha256) is not None:
        registry.set_alias(alias, sha256)


def mirror_decision(workspace: Workspace, decision: Decision) -> None:
    """The alias `champion`, and the decision as tags of the candidate's version. Raises `StoreError`: MLflow refused.

    A candidate that is the champion already keeps the tags of the decision that made it so.
    """
    mirror_alias(workspace, CHAMPION, decision.checkpoint_sha256)
    registry, candidate = registry_of(workspace), decision.candidate_sha256
    if candidate is not None and decision.verdict != UNCHANGED and registry.find(candidate) is not None:
        registry.set_tags(candidate, decision.as_tags())
