"""The root that audits are tested on."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediafm.store.store import Store
from tests.unit.lineage.audited_root import write_root


@pytest.fixture
def filled(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    write_root(store)
    return store
