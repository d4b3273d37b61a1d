"""A bucket that throttles, cuts connections half-way, or is gone for a while: `mediafm run` on an `s3://` root."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mediafm.config import load_config
from mediafm.s3.client import open_client
from mediafm.s3.settings import S3Settings
from mediafm.store.opening import open_store
from mediafm.store.views import connect
from mediafm.testing.s3_server import Fault, S3Proxy
from tests.e2e.command import Command, Finished, select
from tests.e2e.faults import CURRENT, REPEATED, SETTINGS, write_profile

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SEED = 20261121
FAULTS: tuple[Fault, ...] = ("slow_down", "cut", "cut_answer")
FAULT_SHARE = 0.1
REQUESTS_BEFORE_OUTAGE = 60
S3 = """
[s3]
endpoint_url = "{endpoint}"
max_attempts = {attempts}
"""


@dataclass(frozen=True, kw_only=True)
class InBucket:
    """A catalogue and a root in a bucket, and the command that works on them through the proxy."""

    command: Command
    catalog: str
    root: str
    state: Path
    bucket: str

    def on(self) -> tuple[str, ...]:
        return "--config", str(self.command.settings), "--root", self.root, "--state", str(self.state)

    def run(self) -> tuple[int, dict[str, Any], str]:
        """Exit code, the JSON object on stdout, and stderr."""
        done = self.command.call("run", self.catalog, *self.on(), "--json")
        return done.returncode, json.loads(done.stdout), done.stderr

    def select(self, query: str) -> list[tuple[Any, ...]]:
        flags = {"root": self.root, "state": str(self.state)}
        with connect(open_store(load_config(self.command.settings, flags))) as connection:
            return connection.execute(query).fetchall()

    def assert_whole(self, undisturbed: Finished) -> None:
        assert self.select(CURRENT) == select(undisturbed.root, CURRENT)
        assert self.select(REPEATED) == []
        checked = self.command.call("audit", "--check", *self.on(), "--json")
        assert json.loads(checked.stdout)["findings"] == []


@pytest.fixture
def in_bucket(few: Path, bucket: str, s3: S3Proxy, s3_endpoint: str, tmp_path: Path) -> Iterator[InBucket]:
    client = open_client(S3Settings(endpoint_url=s3_endpoint))
    for file in few.rglob("*"):
        if file.is_file():
            client.upload_file(str(file), bucket, f"in/{file.relative_to(few)}")
    write_profile(tmp_path)
    settings = tmp_path / "mediafm.toml"
    settings.write_text(SETTINGS + S3.format(endpoint=s3.endpoint_url, attempts=6))
    yield InBucket(
        command=Command(settings),
        catalog=f"s3://{bucket}/in",
        root=f"s3://{bucket}/root",
        state=tmp_path / "state",
        bucket=bucket,
    )
    uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    assert uploads == [], "an upload that was begun is ended or aborted"


def test_a_throttling_and_cutting_bucket_costs_nothing_but_time(
    in_bucket: InBucket, s3: S3Proxy, few_finished: Finished
) -> None:
    drawn = random.Random(SEED)
    s3.choose_fault = lambda number, method, path: drawn.choice(FAULTS) if drawn.random() < FAULT_SHARE else None
    code, summary, stderr = in_bucket.run()
    assert code == 0, stderr
    assert s3.num_faults > 5
    assert summary["titles"] == few_finished.summary["titles"]
    s3.choose_fault = lambda number, method, path: None
    in_bucket.assert_whole(few_finished)


def test_a_bucket_that_is_gone_in_the_middle_is_told_and_the_next_run_completes(
    in_bucket: InBucket, s3: S3Proxy, few_finished: Finished
) -> None:
    s3.choose_fault = lambda number, method, path: "cut" if number > REQUESTS_BEFORE_OUTAGE else None
    code, told, stderr = in_bucket.run()
    print(code, told, stderr)
    assert code == 3
    assert "Traceback" not in stderr
    assert in_bucket.bucket in json.dumps(told) + stderr
    s3.choose_fault = lambda number, method, path: None
    code, summary, stderr = in_bucket.run()
    assert code == 0, stderr
    assert summary["titles"] == few_finished.summary["titles"]
    in_bucket.assert_whole(few_finished)


def test_a_bucket_that_was_never_there_is_told_at_once(in_bucket: InBucket, s3: S3Proxy) -> None:
    s3.choose_fault = lambda number, method, path: "cut"
    code, told, stderr = in_bucket.run()
    assert code == 3
    assert "Traceback" not in stderr
    assert told["error"]["remedy"]
    assert in_bucket.bucket in stderr
