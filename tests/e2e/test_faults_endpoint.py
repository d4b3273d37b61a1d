"""The endpoint of text embeddings is down, fails, or answers garbage half-way: some titles wait, none is spoilt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediafm.testing.embeddings_server import EmbeddingsServer, Fault
from tests.e2e.command import Finished
from tests.e2e.faults import Attacked

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

TEXT = """
[text]
name = "openai-text"

[text.settings]
base_url = "{url}"
api_key_env = ""
dimensions = 64
max_inputs = 2
max_attempts = 2
first_wait_seconds = 0.05
endpoint_name = "a local one"
"""
FAULTS = {
    "fails": Fault(status=500),
    "answers no JSON": Fault(defect="not_json"),
    "cuts its answer": Fault(defect="truncated"),
    "gives vectors that are too long": Fault(defect="wrong_width"),
    "gives numbers that are none": Fault(defect="nan"),
}
GOOD_REQUESTS = 4
"""Before the fault begins: enough for the metadata and some of the text."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[EmbeddingsServer]:
    with EmbeddingsServer() as server:
        yield server


def attacked_at(folder: Path, url: str) -> Attacked:
    found = Attacked.of(folder)
    profile = folder / "pooled.toml"
    before, _, after = profile.read_text().partition('[text]\nname = "lite-text"\n')
    profile.write_text(before + TEXT.format(url=url) + after)
    return found


@pytest.fixture(scope="module")
def undisturbed(few: Path, endpoint: EmbeddingsServer, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    attacked = attacked_at(tmp_path_factory.mktemp("undisturbed") / "attacked", endpoint.base_url)
    found = attacked.run(few)
    print(f"{endpoint.num_requests} requests of an undisturbed run")
    assert endpoint.num_requests > GOOD_REQUESTS + 1
    return found


def test_an_endpoint_that_fails_half_way_leaves_titles_for_later(
    few: Path, undisturbed: Finished, endpoint: EmbeddingsServer, tmp_path: Path
) -> None:
    """One fault after another on one root: what was bought is kept, what is missing is asked for again."""
    attacked = attacked_at(tmp_path / "attacked", endpoint.base_url)
    endpoint.plan([None] * GOOD_REQUESTS)
    for name, fault in FAULTS.items():
        print(name)
        endpoint.always(fault)
        disturbed(attacked, few, undisturbed)
    endpoint.always(None)
    completes(attacked, few, undisturbed)


def test_an_endpoint_that_is_down_leaves_titles_for_later(few: Path, undisturbed: Finished, tmp_path: Path) -> None:
    with EmbeddingsServer() as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        attacked = attacked_at(tmp_path / "attacked", server.base_url)
    disturbed(attacked, few, undisturbed)
    with EmbeddingsServer(port):
        completes(attacked, few, undisturbed, "retry")


def disturbed(attacked: Attacked, few: Path, undisturbed: Finished) -> None:
    """A run that the fault befalls: it says of each title why, and goes on with everything else."""
    code, summary, _ = attacked.ended(attacked.start(few))
    assert code == 3
    failed = summary["titles"]["failed"]
    assert failed
    assert all(summary["reasons"][title_id] for title_id in failed)
    every = undisturbed.summary["titles"]["ok"]
    assert sorted([*summary["titles"]["ok"], *failed]) == every
    assert len(list(attacked.root.glob("store/video_embeddings/*/*/*.parquet"))) == len(every)


def completes(attacked: Attacked, few: Path, undisturbed: Finished, verb: str = "run") -> None:
    if verb == "retry":
        done = attacked.call("retry", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["titles"] == undisturbed.summary["titles"]
    else:
        assert attacked.run(few).summary["titles"] == undisturbed.summary["titles"]
    attacked.assert_whole(undisturbed.root)
    attacked.assert_recorded_once()
