"""An evening of one root: films come under `dagster dev`, a model is trained, judged and rolled out; films break, a
training is killed, a vector is audited, a title forgotten. With pictures of the pages where there is a browser."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from mlflow.tracking import MlflowClient

from mediafm_pipelines import tags
from tests.conftest import PROJECT_ROOT
from tests.e2e.evening import Evening, an_evening

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]
FIRST, THEN, LAST = 10, 20, 4
SENSORS = ("new_titles_sensor", "retrain_sensor", "reembed_sensor", "orphan_sensor", "failure_sensor")
JUDGED = {"refused", "undecidable", "promoted"}
GROUPS = ",".join(f"global@global:{name}" for name in ("catalog", "shots", "embeddings", "training", "evaluation"))
KILL_SECONDS = 1800
"""Of patience, no goal."""


@pytest.fixture
def evening(tmp_path: Path) -> Iterator[Evening]:
    real = PROJECT_ROOT.parent / "shared" / "media" / "titles"
    with an_evening(tmp_path / "evening", FIRST + THEN + LAST, real if real.is_dir() else None) as begun:
        yield begun


def test_an_evening_in_the_life(evening: Evening) -> None:
    ten_titles_come(evening)
    twenty_more_come(evening)
    broken = three_files_break(evening)
    a_training_is_killed(evening, broken)
    pages_are_looked_at(evening, broken)
    one_vector_is_audited(evening)
    one_title_is_forgotten(evening, broken)
    no_tick_failed(evening)


def ten_titles_come(evening: Evening) -> None:
    """Nine at once, one over a slow line; ingested, trained on, served."""
    films, server = evening.films, evening.server
    *at_once, slow = films.title_ids[:FIRST]
    films.drop(0, FIRST - 1)
    before = len(server.ticks("new_titles_sensor", 1000))
    films.drop_slowly(slow, lambda: len(server.ticks("new_titles_sensor", 1000)) >= before + 3)
    assert slow not in evening.partitions(), "a file that grows is left alone"
    assert set(at_once) <= set(evening.partitions())
    evening.says("nine films were taken up while a tenth was being copied")
    server.waits("the first titles are served", lambda: evening.is_served(films.title_ids[:FIRST]))
    (decision,) = [record.details for record in evening.records("decisions")]
    assert (decision["verdict"], decision["is_provisional"]) == ("installed", True)
    assert evening.serving() == decision["checkpoint_sha256"]
    assert {run.tags[tags.REQUESTED_BY] for run in evening.runs("ingest_job")} == {"new_titles_sensor"}
    assert set(sum(evening.sql("SELECT DISTINCT table_name FROM current"), ())) >= {"cues", "audio_embeddings"}
    evening.says(f"ten titles served by {evening.serving()[:16]}: {decision['reason']}")


def twenty_more_come(evening: Evening) -> None:
    """Trained on, judged, made champion by the gate or by a person, rolled out."""
    films, server, first = evening.films, evening.server, evening.serving()
    together = films.title_ids[: FIRST + THEN]
    films.drop(FIRST, FIRST + THEN)
    decision = server.waits("the gate speaks of thirty titles", lambda: evening.decided(FIRST + THEN))
    candidate = str(decision["candidate_sha256"])
    assert decision["verdict"] in JUDGED
    assert candidate != first
    evening.says(f"{candidate[:16]} was {decision['verdict']}: {decision['reason']}")
    (asked,) = [run for run in evening.runs("retrain_job") if run.tags.get(tags.CHECKPOINT) == candidate[:16]]
    assert asked.tags[tags.REQUESTED_BY] == "retrain_sensor"
    assert "new" in asked.tags[tags.REASON]
    if decision["verdict"] != "promoted":
        server.waits("the new titles are served by the champion that stays", lambda: evening.is_served(together))
        assert evening.serving() == first
        reason = "thirty titles are better than ten, says the editor"
        told = evening.mediafm("promote", "--checkpoint", candidate, "--reason", reason)
        assert told["verdict"] == "overridden"
        evening.says(f"{candidate[:16]} was promoted by hand")
    server.waits("it is rolled out", lambda: evening.is_served(together) and evening.serving() == candidate)
    assert {run.tags[tags.REQUESTED_BY] for run in evening.runs("reembed_job")} == {"reembed_sensor"}
    evening.says(f"thirty titles served by {candidate[:16]}")


def three_files_break(evening: Evening) -> tuple[str, ...]:
    """Each is set aside with its reason, and the others stay as they are; one is mended and comes back as it was."""
    films, server, before = evening.films, evening.server, evening.readers()
    truncated, text, empty = broken = films.title_ids[FIRST : FIRST + 3]
    films.break_three(*broken)

    def reasons() -> dict[str, str] | None:
        found = evening.title_states()
        are_aside = all(found[title_id][0] == "quarantined" for title_id in broken)
        return {title_id: found[title_id][1] for title_id in broken} if are_aside else None

    said = server.waits("the broken files are set aside", reasons)
    assert "0 bytes" in said[empty]
    assert all(len(reason) > 20 for reason in said.values())
    server.waits("nothing is under way", evening.is_idle)
    others = {title_id: print_ for title_id, print_ in before.items() if title_id not in broken}
    assert evening.readers() == others, "a title whose file broke is left out; the others are what they were"
    evening.says("set aside: " + "; ".join(f"{title_id}: {reason}" for title_id, reason in said.items()))
    films.mend(truncated)
    server.waits("the mended film is served again", lambda: evening.is_served([*others, truncated]))
    assert evening.readers() == {**others, truncated: before[truncated]}
    evening.says(f"{truncated} was mended, and has the vectors that it had")
    return (text, empty)


def a_training_is_killed(evening: Evening, broken: tuple[str, ...]) -> None:
    """SIGKILL of the run's process in a step that holds a slot of the pool; the next run goes on from its state."""
    films, server = evening.films, evening.server
    served = set(evening.readers())
    films.drop(FIRST + THEN, FIRST + THEN + LAST)
    states = evening.config.root_path / "cache" / "training"
    server.waits("a training has saved its state", lambda: any(states.glob("*/*.safetensors")), KILL_SECONDS, 0.02)
    killed = evening.runs("retrain_job")[0]
    assert evening.slot_holders() == {killed.run_id}
    os.kill(int(killed.tags[tags.PID]), signal.SIGKILL)
    evening.says(f"training {killed.run_id[:8]} was killed")
    server.waits(
        "the killed run is marked as failed",
        lambda: evening.run(killed.run_id).status is dg.DagsterRunStatus.FAILURE,
    )
    server.waits("its slot is free", lambda: killed.run_id not in evening.slot_holders())
    evening.says("it is marked as failed, and its slot is free")
    server.waits("somebody was told", lambda: [one for one in evening.hook.told if one["run_id"] == killed.run_id])
    titles = len(served) + LAST
    decision = server.waits("the next run trained and the gate spoke", lambda: evening.decided(titles))
    (record,) = [one for one in evening.records("checkpoints") if one.checkpoint_sha256 == decision["candidate_sha256"]]
    assert record.run_id != killed.run_id
    assert int(str(record.details["resumed_at_step"])) >= 20
    server.waits(
        "everything is served",
        lambda: evening.is_served(served | set(films.title_ids[FIRST + THEN :])),
    )
    told = [one for one in evening.hook.told if one["run_id"] == killed.run_id]
    assert [(one["event"], one["job"]) for one in told] == [("run_failed", "retrain_job")], "told once"
    evening.says(f"the next run went on at step {record.details['resumed_at_step']}: {decision['verdict']}")
    assert not set(broken) & set(evening.readers())


def pages_are_looked_at(evening: Evening, broken: tuple[str, ...]) -> None:
    """What an operator sees at the end of it."""
    if evening.browser is None:
        evening.says("no browser: no pictures")
        return
    evening.look(
        f"/asset-groups?expanded={GROUPS}", "asset-graph", "mediafm_checkpoint", "champion"
    )  # long names are cut there
    evening.look("/automation", "automation", *SENSORS, "weekly_retrain")
    evening.look("/runs", "runs", "retrain_job", "reembed_job", "Failure", "new_titles_sensor")
    evening.look("/assets/checkpoint_probes", "checkpoint-probes", "scores", "clip_tone", "contextual")
    evening.look("/assets/champion", "champion", "verdict", "candidate", "Rules:")
    evening.look(f"/assets/raw_titles?view=partitions&partition={broken[1]}", "quarantined", "0 bytes")
    evening.look(f"/assets/raw_titles?view=events&partition={broken[1]}", "quarantined-event", broken[1])
    title_id = evening.films.title_ids[0]
    evening.look(f"/assets/contextual_embeddings?view=partitions&partition={title_id}", "contextual", title_id)
    evening.look("/assets/served_manifest", "served", "pointer_moved")


def one_vector_is_audited(evening: Evening) -> None:
    """From the vector back to checkpoint, manifest, encoders and file; Dagster and MLflow know the same."""
    title_id = evening.films.title_ids[1]
    found = evening.mediafm("audit", "--title", title_id)
    nodes = list(nodes_of(found["tree"]))
    assert found["complaints"] == []
    assert found["tree"]["facts"]["media_sha256"] == evening.media_sha256(title_id)
    tables = {node["name"] for node in nodes if node["kind"] == "value"}
    assert tables >= {"contextual_embeddings", "fused_embeddings", "video_embeddings", "spans", "cues", "titles"}
    encoders = {node["facts"]["producer"]["encoder"]["name"] for node in nodes if is_encoded(node)}
    assert encoders == {"lite-video", "lite-audio", "lite-text"}
    (checkpoint,) = [node for node in nodes if node["kind"] == "checkpoint"]
    (manifest,) = [node for node in nodes if node["kind"] == "manifest"]
    sha256 = checkpoint["facts"]["sha256"]
    assert sha256 == evening.serving()
    saw = f"SELECT count(*) FROM manifest_titles WHERE manifest_sha256 = '{manifest['facts']['sha256']}'"
    assert evening.sql(saw) == [(manifest["facts"]["num_titles"],)]
    assert manifest["facts"]["num_titles"] >= FIRST + THEN
    runs = {run for node in nodes for run in node["facts"].get("runs", ())}
    jobs = {evening.run(run).job_name for run in runs}
    assert jobs == {"ingest_job", "retrain_job", "reembed_job"}
    client = MlflowClient(tracking_uri=f"sqlite:///{evening.config.state_path / 'mlflow.db'}")
    version = client.get_model_version("mediafm", str(checkpoint["facts"]["details"]["model_version"]))
    assert version.tags["checkpoint_sha256"] == sha256
    assert version.tags["manifest_sha256"] == manifest["facts"]["sha256"]
    checked = evening.mediafm("audit", "--check", "--sample", "50")
    assert checked["findings"] == []
    evening.says(f"{title_id}: {len(nodes)} nodes, {len(runs)} runs, MLflow's version {version.version}; all agree")


def nodes_of(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node["children"]:
        yield from nodes_of(child)


def is_encoded(node: Mapping[str, Any]) -> bool:
    return "encoder" in (node["facts"].get("producer") or {})


def one_title_is_forgotten(evening: Evening, broken: tuple[str, ...]) -> None:
    """Gone from every view and place, and not taken in again although its file lies there."""
    title_id, before = evening.films.title_ids[2], evening.readers()
    root = evening.config.root_path
    assert title_id in before
    evening.server.waits("nothing is under way", evening.is_idle)
    told = evening.mediafm("forget", "--title", title_id, "--yes", "--reason", "the licence ended")
    assert told["unreachable"]["checkpoints"], "the weights that saw it are named"
    asked = evening.runs("ingest_job"), evening.runs("reembed_job")
    evening.server.waits_for_ticks("new_titles_sensor", 4)
    assert evening.films.in_watched(title_id).exists()
    assert title_id not in evening.partitions()
    assert (evening.runs("ingest_job"), evening.runs("reembed_job")) == asked, "nobody asks for it again"
    assert evening.readers() == {other: print_ for other, print_ in before.items() if other != title_id}
    for view in ("titles", "shots", "fused_embeddings", "contextual_embeddings", "title_embeddings"):
        assert evening.sql(f"SELECT count(*) FROM {view} WHERE title_id = '{title_id}'") == [(0,)], view
    assert list((root / "store").glob(f"*/*/{title_id}")) == []
    assert evening.mediafm("audit", "--title", title_id)["tree"]["facts"]["state"] == "forgotten"
    assert evening.mediafm("audit", "--check", "--sample", "50")["findings"] == []
    evening.look("/assets/contextual_embeddings?view=partitions", "after-forgetting", "contextual_embeddings")
    evening.says(f"{title_id} is forgotten; {len(evening.readers())} titles are served")


def no_tick_failed(evening: Evening) -> None:
    """Over the whole evening; and how many runs it took."""
    failed = {name: [tick["error"] for tick in evening.server.ticks(name, 1000) if tick["error"]] for name in SENSORS}
    assert failed == {name: [] for name in SENSORS}
    jobs = [run.job_name for run in evening.runs()]
    evening.says(f"{len(jobs)} runs: " + ", ".join(f"{jobs.count(job)} {job}" for job in sorted(set(jobs))))
