"""How a space was configured: what a checkpoint's record keeps, so that its space can still be made under another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from mediafm.config import Config, Profile
from mediafm.errors import ConfigError, MediaFMError, TransientError
from mediafm.lineage.fingerprint import fingerprint
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.steps.producers import Producer
from mediafm.steps.recorded_profile import recorded_settings
from mediafm.steps.workspace import Workspace
from mediafm.types import Json

SECTIONS = ("frames", "audio", "timed_text", "metadata", "fusion")
"""The parts of the configuration that move a vector, beside the profile."""
MODEL_INPUTS = ("fused_embeddings", "metadata_embeddings")
"""What a checkpoint reads of a title."""


def space_settings(workspace: Workspace) -> dict[str, Json]:
    """Profile and sections that make the workspace's space, as JSON. No key of an endpoint is among them."""
    dumped = workspace.config.model_dump(mode="json", include=set(SECTIONS))
    return {"profile": workspace.profile.model_dump(mode="json"), **dumped}


def agree(table: str, first: Mapping[str, Producer], second: Mapping[str, Producer]) -> bool:
    """Whether a title's value in `table` is one and the same under both: its own producer and all that it reads."""
    if fingerprint(first.get(table, {})) != fingerprint(second.get(table, {})) or (table in first) != (table in second):
        return False
    return all(agree(parent, first, second) for parent in TABLES[table].possible_parents)


def workspace_of(workspace: Workspace, checkpoint: LedgerRecord) -> Workspace:
    """The workspace in which the checkpoint's own space is made: its encoders, its fusion, its shots.

    Root, ledger, run, device and limits are those of `workspace`.

    Raises:
        ConfigError: the space cannot be made here: weights are gone, an encoder's package is, the hub is not reached,
            or the code makes other values by now.
    """
    recorded: Any = checkpoint.details["producers"]
    where = f"the space of checkpoint {checkpoint.checkpoint_sha256[:16]}"
    try:
        parts: Any = checkpoint.details.get("settings") or recorded_settings(recorded)
        sections = {name: parts[name] for name in SECTIONS}
        config = Config.model_validate({**workspace.config.model_dump(mode="json"), **sections})
        found = replace(workspace, config=config, profile=Profile.model_validate(parts["profile"]), is_configured=False)
        made = found.producers
    except (MediaFMError, ValidationError, KeyError, TypeError) as error:
        remedy = "Run again when it can be reached." if isinstance(error, TransientError) else ""
        raise ConfigError(
            f"it cannot be made here: {error}",
            rule="new titles get vectors by the checkpoint that readers see, in its own space",
            where=where,
            remedy=remedy or _REMEDY,
        ) from error
    others = sorted(table for table in TABLES if table in recorded and not _same(table, recorded, made))
    if not all(agree(table, recorded, made) for table in MODEL_INPUTS):
        raise ConfigError(
            f"this code and these weights give other {', '.join(others)}",
            rule="vectors are made by exactly what the checkpoint was trained on",
            where=where,
            remedy=_REMEDY,
        )
    return found


_REMEDY = (
    "Bring back what is missing and `mediafm run`; or let a checkpoint of the present encoders replace it: "
    "`mediafm run`, and `mediafm promote --checkpoint SHA --reason …` where the gate cannot decide."
)


def _same(table: str, first: Mapping[str, Producer], second: Mapping[str, Producer]) -> bool:
    return fingerprint(first.get(table, {})) == fingerprint(second.get(table, {}))
