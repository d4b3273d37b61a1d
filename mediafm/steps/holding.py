"""Holding titles for an audit, and letting them go."""

from __future__ import annotations

from mediafm.config import Config
from mediafm.errors import ConfigError, NotFoundError
from mediafm.steps.existing import existing_store
from mediafm.steps.forgetting import who
from mediafm.store.tombstones import Hold, holds, put_hold
from mediafm.store.views import records


def hold_title(config: Config, title_id: str, *, reason: str, is_release: bool = False) -> Hold:
    """Holds a title, or releases it; on record with who did it.

    Raises:
        NotFoundError: the root never saw the title, or it is to be released and is not held.
        ConfigError: a hold without a reason.
    """
    store = existing_store(config)
    if not is_release and not reason.strip():
        raise ConfigError(
            "a blank reason",
            rule="who holds a title says why, for those who find that it cannot be forgotten",
            where="--reason",
            remedy='Give --reason "…".',
        )
    if not records(store, ["titles"], [title_id]):
        raise NotFoundError(
            f"no title {title_id!r}",
            rule="what is held was seen before",
            where=str(store.root),
            remedy="`mediafm status` lists the titles.",
        )
    return put_hold(store, title_id, is_held=not is_release, reason=reason.strip(), set_by=who())


def list_holds(config: Config) -> tuple[Hold, ...]:
    """All titles that are held."""
    return holds(existing_store(config))
