"""`mediafm run s3://… --root s3://…` against a real bucket service that throttles and cuts now and then."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mediafm.config import load_config
from mediafm.media.synthetic.catalog import write_sample
from mediafm.media.synthetic.settings import TINY
from mediafm.s3.client import open_client
from mediafm.s3.settings import S3Settings
from mediafm.store.opening import open_store
from mediafm.store.views import connect
from mediafm.testing.s3_server import Fault, S3Proxy
from tests.conftest import FAKE_ACCESS_KEY, FAKE_SECRET_KEY

NUM_TITLES = 6
CURRENT = "SELECT table_name, title_id, fingerprint, sha256 FROM current ORDER BY ALL"
STATES = "SELECT title_id, state FROM title_status ORDER BY ALL"
TOML = """
[training]
preset = "tiny"
max_steps = 8
[probes]
num_bootstrap = 50
[s3]
endpoint_url = "{endpoint}"
"""


@pytest.fixture
def drawn(tmp_path: Path, bucket: str, s3_endpoint: str) -> Path:
    """A few tiny films here, and their copies in the bucket."""
    folder = tmp_path / "catalog"
    write_sample(folder, NUM_TITLES, 3, settings=TINY, num_workers=1)
    client = open_client(S3Settings(endpoint_url=s3_endpoint))
    for file in folder.rglob("*"):
        if file.is_file():
            client.upload_file(str(file), bucket, f"in/{file.relative_to(folder)}")
    return folder


def mediafm(*arguments: str) -> str:
    command = [sys.executable, "-m", "mediafm_pipelines", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert FAKE_SECRET_KEY not in done.stdout + done.stderr
    assert FAKE_ACCESS_KEY not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_from_and_into_a_bucket_is_a_local_run(drawn: Path, bucket: str, s3: S3Proxy, tmp_path: Path) -> None:
    toml = tmp_path / "mediafm.toml"
    toml.write_text(TOML.format(endpoint=s3.endpoint_url))
    here = ("--config", str(toml), "--root", str(tmp_path / "root"))
    there = ("--config", str(toml), "--root", f"s3://{bucket}/root", "--state", str(tmp_path / "state"))
    faults: tuple[Fault, ...] = ("slow_down", "cut", "cut_answer")

    def now_and_then(number: int, method: str, path: str) -> Fault | None:
        return faults[number // 20 % 3] if number % 20 == 0 else None

    local = json.loads(mediafm("run", str(drawn), *here, "--json"))
    s3.choose_fault = now_and_then
    remote = json.loads(mediafm("run", f"s3://{bucket}/in", *there, "--json"))
    assert s3.num_faults > 10
    assert remote["titles"] == local["titles"]
    assert (remote["root"], remote["shots"]) == (f"s3://{bucket}/root", local["shots"])
    assert remote["checkpoint"]["sha256"] == local["checkpoint"]["sha256"]
    found = []
    for flags in ({"root": str(tmp_path / "root")}, {"root": f"s3://{bucket}/root", "state": str(tmp_path / "state")}):
        with connect(open_store(load_config(toml, flags))) as connection:
            found.append([connection.execute(query).fetchall() for query in (CURRENT, STATES)])
    assert found[0] == found[1]
    again = json.loads(mediafm("run", f"s3://{bucket}/in", *there, "--json"))
    assert again["dagster_runs"] == [], "nothing is left to do"
    title = local["titles"]["ok"][0]
    assert title in mediafm("audit", "--title", title, *there)
    assert not secrets_in(tmp_path), "neither state, logs nor copies hold them"
    s3.choose_fault = lambda number, method, path: None
    assert not secrets_of(bucket, s3)


def secrets_in(folder: Path) -> list[Path]:
    """Files that hold a credential."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file for file in files if any(secret.encode() in file.read_bytes() for secret in SECRETS)]


def secrets_of(bucket: str, s3: S3Proxy) -> list[str]:
    """Objects that hold a credential."""
    client = open_client(S3Settings(endpoint_url=s3.endpoint_url))
    keys = [entry["Key"] for entry in client.list_objects_v2(Bucket=bucket, Prefix="root/")["Contents"]]
    bodies = {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    return [key for key, body in bodies.items() if any(secret.encode() in body for secret in SECRETS)]


SECRETS = (FAKE_ACCESS_KEY, FAKE_SECRET_KEY)
