"""When it is time to train again: by the number of titles, by their likeness, and never twice for the same titles."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mediafm.automation import DriftSettings, RetrainSettings
from mediafm.lineage.chain import TitleChain
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.steps.arrivals import mark_vanished
from mediafm.steps.retraining import drift_of, growth, reason_to_train
from mediafm.steps.training import keep_manifest, make_manifest, plan_manifest
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import CHECKPOINTS, folder_key, put_folder
from mediafm.store.pointers import CHAMPION
from mediafm.store.vectors import vectors_to_arrow
from mediafm.testing.stored_titles import facets_of, make
from tests.unit.steps.served_root import CONTEXTUAL, OLD

SETTINGS = RetrainSettings(min_titles=5, min_share=0.1)
FEW = DriftSettings(min_groups=8, num_permutations=199)
NUM_SHOTS = 4
BESIDE_FUSED = tuple(table for table in TABLES if table not in ("words", "fused_embeddings", *CONTEXTUAL))


def put_titles(workspace: Workspace, first: int, last: int, moved: float = 0.0, recut: str = "") -> None:
    """Titles with fused vectors of their own; `moved` moves their sound; `recut` makes the title's next generation."""
    for number in range(first, last):
        title_id = f"title-{number:03}"
        facets = facets_of(title_id, **({"audio": recut} if recut else {}))
        generation = 2 if recut else 1
        make(workspace.store, workspace.ledger, title_id, BESIDE_FUSED, workspace.producers, facets, generation)
        identity = TitleChain(title_id, facets, workspace.producers).identity("fused_embeddings")
        put_fused(workspace, identity, np.random.default_rng(number), moved)
    workspace.ledger.flush()


def put_fused(workspace: Workspace, identity: Identity, rng: np.random.Generator, moved: float) -> None:
    """Vectors around a centre of the title's own."""
    width = workspace.space.width
    centre = np.ones(width) + 0.3 * rng.normal(size=width)
    centre[width // 3] += moved
    shots = centre + 0.01 * rng.normal(size=(NUM_SHOTS, width))
    shots /= np.linalg.norm(shots, axis=1, keepdims=True)
    flags = {f"has_{modality}": pa.array([True] * NUM_SHOTS) for modality in ("video", "audio", "text")}
    index = pa.array(range(NUM_SHOTS), pa.int32())
    table = pa.table({"shot_index": index, **flags, "vector": vectors_to_arrow(shots)})
    stored = workspace.store.write(identity, table)
    workspace.ledger.add(
        LedgerRecord.of(
            identity,
            object_key=stored.key,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            num_rows=NUM_SHOTS,
            details={"num_vectors": NUM_SHOTS},
        )
    )


def train(workspace: Workspace, sha256: str = OLD) -> str:
    """The champion from now on, trained on all present titles as far as the ledger knows; its manifest's sha256."""
    manifest = plan_manifest(workspace).manifest
    assert manifest is not None
    keep_manifest(workspace, manifest)
    put_checkpoint(workspace, sha256, manifest.sha256, {})
    workspace.pointers.ensure(CHAMPION, {"checkpoint_sha256": sha256, "is_provisional": False}, "test")
    return manifest.sha256


def put_checkpoint(workspace: Workspace, sha256: str, manifest: str, producer: dict[str, object]) -> None:
    key = folder_key(CHECKPOINTS, sha256)
    put_folder(workspace.store, key, {"model.safetensors": b"weights"})
    workspace.ledger.add(
        LedgerRecord(
            asset="mediafm_checkpoint",
            table="checkpoints",
            fingerprint=sha256,
            producer=producer,  # type: ignore[arg-type]
            inputs={"manifest": manifest},
            object_key=key,
            sha256=sha256,
            checkpoint_sha256=sha256,
            details={"producers": {table: dict(value) for table, value in workspace.producers.items()}},
        )
    )
    workspace.ledger.flush()


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
