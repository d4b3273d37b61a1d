"""A roll-out step by step: how far it is, who reads what meanwhile, and the way back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediafm.config import Config
from mediafm.errors import ConfigError, NotFoundError
from mediafm.lineage.records import LedgerRecord
from mediafm.steps.contextual import champion_sha256, checkpoints_in_use
from mediafm.steps.exports import export_vectors
from mediafm.steps.in_context import titles_to_embed
from mediafm.steps.producers import checkpoint_producers
from mediafm.steps.rollback import Rollback, move_back, target_of
from mediafm.steps.rollout import ROLLED_BACK_FROM, rollout
from mediafm.steps.search import search_shots
from mediafm.steps.serving import serve, serving_sha256
from mediafm.steps.summary import root_status
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION, SERVING
from mediafm.store.vectors import vectors_to_arrow
from mediafm.store.views import connect, records
from tests.unit.steps.served_root import NEW, OLD, embedded, ingested, with_checkpoint

THIRD = "c" * 64
DIRECTION = {OLD: 0, NEW: 1, THIRD: 2}
"""Each checkpoint's vectors point its own way: a mixture would show in any cosine."""
NUM_SHOTS = 3


def embed(workspace: Workspace, sha256: str, *title_ids: str) -> None:
    """Vectors of the titles by a checkpoint, all along its direction."""
    producers = {**workspace.producers, **checkpoint_producers(sha256)}
    for title in workspace.titles(title_ids, producers):
        for table in ("contextual_embeddings", "title_embeddings"):
            identity = title.chain.identity(table)
            count = NUM_SHOTS if table == "contextual_embeddings" else 1
            columns = {"vector": vectors_to_arrow(np.tile(np.eye(4)[DIRECTION[sha256]], (count, 1)))}
            if count > 1:
                columns = {"shot_index": pa.array(np.arange(count, dtype=np.int32)), **columns}
            stored = workspace.store.write(identity, pa.table(columns))
            workspace.ledger.add(
                LedgerRecord.of(
                    identity,
                    object_key=stored.key,
                    sha256=stored.sha256,
                    size_bytes=stored.size_bytes,
                    num_rows=count,
                    checkpoint_sha256=sha256,
                )
            )
    workspace.ledger.flush()


def back(workspace: Workspace, to: str | None = None, reason: str = "") -> Rollback:
    done, _ = move_back(workspace, to, reason)
    workspace.ledger.flush()
    return done


def served_root(workspace: Workspace, *title_ids: str) -> None:
    workspace.point_producers()
    ingested(workspace, *title_ids)
    with_checkpoint(workspace, OLD)
    embed(workspace, OLD, *title_ids)
    assert serve(workspace).was_moved


def promoted(workspace: Workspace, sha256: str, *title_ids: str) -> None:
    with_checkpoint(workspace, sha256)
    embed(workspace, sha256, *title_ids)


def readers_get(workspace: Workspace, folder: Path) -> set[str]:
    """The checkpoints that readers' vectors are of, as views, search and export each say; they must agree."""
    seen: list[set[str]] = []
    with connect(workspace.store) as connection:
        rows = connection.execute("SELECT title_id, vector FROM contextual_embeddings").fetchall()
        named = connection.execute(
            "SELECT DISTINCT checkpoint_sha256 FROM current WHERE table_name IN ('contextual_embeddings', "
            "'title_embeddings')"
        ).fetchall()
    by_direction = {direction: sha256 for sha256, direction in DIRECTION.items()}
    seen.append({by_direction[int(np.argmax(vector))] for _, vector in rows})
    seen.append({sha256 for (sha256,) in named})
    if rows:
        file = folder / "out.parquet"
        export_vectors(workspace.config, file, "contextual_embeddings", is_forced=True)
        seen.append(set(pq.read_table(file, columns=["checkpoint_sha256"]).column(0).to_pylist()))
        hits = search_shots(workspace.config, rows[0][0], 0, 100, "contextual_embeddings")
        assert len(hits) == len(rows) - 1
        assert {round(float(str(hit["score"])), 3) for hit in hits} <= {1.0}, "a cosine between two checkpoints"
    assert all(one == seen[0] for one in seen), seen
    return seen[0]


def test_at_no_step_do_readers_get_two_checkpoints(workspace: Workspace, tmp_path: Path) -> None:
    """A roll-out with a title that arrives meanwhile, one that moves without a title, and the way back from it."""
    titles = ["t0", "t1"]
    served_root(workspace, *titles)
    script = ["promote", "arrives", "half", "serve", "rest", "serve", "promote third", "half", "allow", "back"]
    expected = [OLD, OLD, OLD, OLD, OLD, NEW, NEW, NEW, THIRD, NEW]
    for step, (action, reads) in enumerate(zip(script, expected, strict=True)):
        todo = titles_to_embed(workspace)
        if action.startswith("promote"):
            with_checkpoint(workspace, THIRD if action.endswith("third") else NEW)
        elif action == "arrives":
            titles.append(f"t{len(titles)}")
            ingested(workspace, titles[-1])
        elif action in ("half", "rest"):
            for sha256 in checkpoints_in_use(workspace):
                embed(workspace, sha256, *todo[: None if action == "rest" else len(todo) // 2])
        elif action == "back":
            back(workspace)
        else:
            serve(workspace, allow_missing=action == "allow")
        workspace.ledger.flush()
        assert readers_get(workspace, tmp_path) == {reads} == {serving_sha256(workspace)}, (step, action)


def test_the_views_of_another_detector_s_shots_do_not_reach_readers(config: Config, tmp_path: Path) -> None:
    """Vectors of one space are told with the times of that space's shots, whatever is configured meanwhile."""
    with Workspace.open(config) as workspace:
        served_root(workspace, "a")
    profile = tmp_path / "other.toml"
    other = Path(config.profile).read_text().replace('[detector]\nname = "lite"', '[detector]\nname = "adaptive"')
    profile.write_text(other)
    changed = config.model_copy(update={"profile": str(profile)})
    with Workspace.open(changed) as workspace:
        assert "spans" in rolled(workspace, changed)["other_tables"]
        with connect(workspace.store) as connection:
            assert connection.execute("SELECT count(*) FROM shots").fetchall() == [(0,)], "the other cut is not there"
    hits = search_shots(changed, "a", 0, 10, "contextual_embeddings")
    assert [(hit["start_seconds"], hit["end_seconds"]) for hit in hits] == [(1.0, 1.0), (2.0, 2.0)]
    export_vectors(changed, tmp_path / "out.parquet", "contextual_embeddings")
    assert pq.read_table(tmp_path / "out.parquet").column("start_seconds").to_pylist() == [0.0, 1.0, 2.0]


def rolled(workspace: Workspace, config: Config) -> dict[str, object]:
    workspace.point_producers()
    found = root_status(config)["rollout"]
    assert isinstance(found, dict)
    return found


def test_status_says_how_far_a_roll_out_is(workspace: Workspace, config: Config) -> None:
    served_root(workspace, "a", "b", "c")
    assert rolled(workspace, config)["sentence"] == ""
    promoted(workspace, NEW, "a")
    found = rolled(workspace, config)
    assert (found["num_embedded"], found["num_titles"], found["held"]) == (1, 3, ["b", "c"])
    assert found["sentence"] == (
        f"rolling out {NEW[:16]}: 1 of 3 titles; readers get {OLD[:16]} until then; "
        "2 titles (b, c) of theirs still to be embedded: `mediafm run`"
    )
    embed(workspace, NEW, "b", "c")
    assert "3 of 3 titles" in str(rolled(workspace, config)["sentence"])
    serve(workspace)
    assert rolled(workspace, config)["is_under_way"] is False


def test_there_is_no_roll_out_before_a_champion(workspace: Workspace) -> None:
    assert rollout(workspace.store) is None
    with pytest.raises(NotFoundError, match="nothing was served yet"):
        target_of(workspace)


def test_a_title_that_arrives_meanwhile_is_wanted_of_both(workspace: Workspace) -> None:
    served_root(workspace, "a")
    promoted(workspace, NEW, "a")
    ingested(workspace, "b")
    embed(workspace, NEW, "b")
    assert titles_to_embed(workspace) == ["b"], "readers of the old checkpoint want it too"
    embed(workspace, OLD, "b")
    assert titles_to_embed(workspace) == []
    assert serve(workspace).was_moved, "and it does not hold the move"


def test_a_rollback_returns_both_pointers_and_lists_what_is_to_be_filled(workspace: Workspace, config: Config) -> None:
    served_root(workspace, "a")
    promoted(workspace, NEW, "a")
    ingested(workspace, "b")
    embed(workspace, NEW, "b")
    serve(workspace)
    done = back(workspace, reason="it sings")
    assert (done.from_sha256, done.to_sha256, done.lost, done.unfilled) == (NEW, OLD, ("b",), ("b",))
    assert (champion_sha256(workspace), serving_sha256(workspace)) == (OLD, OLD)
    (row,) = [row for row in records(workspace.store, ["decisions"]) if row.details["verdict"] == "rolled_back"]
    assert (row.fingerprint, row.details["given_reason"]) == (NEW, "it sings")
    sentence = str(rolled(workspace, config)["sentence"])
    assert sentence == f"rolled back from {NEW[:16]}; 1 title (b) still to be filled: `mediafm run`"
    assert titles_to_embed(workspace) == ["b"]


def test_a_second_rollback_goes_one_further_back_and_never_forward(workspace: Workspace) -> None:
    served_root(workspace, "a")
    for sha256 in (NEW, THIRD):
        promoted(workspace, sha256, "a")
        serve(workspace)
    assert back(workspace).to_sha256 == NEW
    assert back(workspace).to_sha256 == OLD
    with pytest.raises(NotFoundError, match=f"no checkpoint before {OLD[:16]}"):
        back(workspace)
    promoted(workspace, THIRD)
    serve(workspace)
    assert back(workspace).to_sha256 == OLD, "what readers got before it, not what was taken down before that"


def test_a_rollback_during_a_roll_out_calls_it_off(workspace: Workspace) -> None:
    served_root(workspace, "a", "b")
    promoted(workspace, NEW, "a")
    before = workspace.pointers.read(SERVING)
    done = back(workspace)
    assert (done.from_sha256, done.to_sha256, done.lost) == (NEW, OLD, ())
    assert workspace.pointers.read(SERVING) == before
    assert champion_sha256(workspace) == OLD


def test_a_rollback_may_name_where_to(workspace: Workspace) -> None:
    served_root(workspace, "a")
    for sha256 in (NEW, THIRD):
        promoted(workspace, sha256, "a")
        serve(workspace)
    assert back(workspace, OLD[:8]).to_sha256 == OLD
    assert back(workspace, OLD).was_moved is False, "readers get it already"
    with pytest.raises(NotFoundError, match=r"0 checkpoints 'dddddddd'.*returns to one of"):
        back(workspace, "d" * 8)
    promoted(workspace, NEW)
    with pytest.raises(ConfigError, match="is the champion, and readers do not get it yet"):
        back(workspace, NEW)


@pytest.mark.parametrize("ends", ["the same again", "a serve"])
def test_a_rollback_that_was_stopped_between_its_pointers_is_ended(workspace: Workspace, ends: str) -> None:
    served_root(workspace, "a")
    promoted(workspace, NEW, "a")
    ingested(workspace, "b")
    embed(workspace, NEW, "b")
    serve(workspace)
    old = workspace.pointers.history(CHAMPION)[0].value
    present = workspace.pointers.read(CHAMPION)
    assert present is not None
    workspace.pointers.move(CHAMPION, present.generation, {**old, ROLLED_BACK_FROM: NEW}, "and then it was killed")
    if ends == "a serve":
        found = serve(workspace)
        assert (found.was_moved, found.lost) == (True, ("b",)), "a rollback waits for nobody"
    else:
        assert back(workspace).from_sha256 == NEW
    assert (champion_sha256(workspace), serving_sha256(workspace)) == (OLD, OLD)
    with pytest.raises(NotFoundError, match="no checkpoint before"):
        back(workspace)


def test_the_first_checkpoint_has_none_before_it(workspace: Workspace) -> None:
    served_root(workspace, "a")
    embedded(workspace, OLD, "a")
    with pytest.raises(NotFoundError, match=f"no checkpoint before {OLD[:16]}"):
        back(workspace)
