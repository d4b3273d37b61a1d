"""The store of a root that must be there already: for verbs that only read."""

from __future__ import annotations

from mediafm.config import Config
from mediafm.errors import NotFoundError
from mediafm.store.opening import is_begun, open_store
from mediafm.store.store import Store


def existing_store(config: Config) -> Store:
    """The root's store.

    Raises:
        NotFoundError: nothing was ever written there.
    """
    store = open_store(config)
    if not is_begun(store):
        raise NotFoundError(
            f"there is no root at {config.root_name}",
            rule="a root begins with a first run",
            remedy="`mediafm run CATALOG` makes one; `--root` names another.",
        )
    return store
