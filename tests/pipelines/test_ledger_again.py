"""A root whose ledger was lost works again from its files: the checkpoint's record among them."""

from __future__ import annotations

import shutil
from pathlib import Path

from mediafm.lineage.fingerprint import fingerprint
from mediafm.lineage.records import RunInfo
from mediafm.steps.checkpoints import checkpoint_record
from mediafm.store.rebuild import rebuild_ledger
from mediafm.store.store import Store
from mediafm.store.views import records
from mediafm_pipelines.catalog_run import CatalogRun


def test_a_checkpoints_record_comes_back_with_the_producers_of_its_space(finished: CatalogRun, root: Path) -> None:
    before = records(Store(finished.config.root_path), ["checkpoints"])[-1]
    shutil.rmtree(root / "ledger")
    store = Store(root)
    rebuilt = rebuild_ledger(store, RunInfo(run_id="again", host="here"))
    assert rebuilt.damaged == ()
    after = checkpoint_record(store, before.checkpoint_sha256)
    for name in ("producers", "space"):
        assert fingerprint(after.details[name]) == fingerprint(before.details[name])
    assert (after.inputs, after.object_key, after.size_bytes) == (before.inputs, before.object_key, before.size_bytes)
    assert rebuild_ledger(store, RunInfo(run_id="again", host="here")).num_rows == 0


def test_a_damaged_checkpoint_has_no_record_and_is_named(root: Path) -> None:
    (folder,) = (root / "store" / "checkpoints").iterdir()
    (folder / "config.json").write_bytes(b"{}")
    shutil.rmtree(root / "ledger")
    rebuilt = rebuild_ledger(Store(root), RunInfo(run_id="again", host="here"))
    assert rebuilt.damaged == (f"store/checkpoints/{folder.name}",)
    assert records(Store(root), ["checkpoints"]) == []
