"""Every verb as users type it: what it prints and where, and its exit codes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mediafm.cli.main import VERBS
from mediafm_pipelines.cli import cli
from tests.e2e.command import Command, Finished, select

ALL_VERBS = sorted({*(verb.name or "" for verb in VERBS), "run", "retry", "demo", "ui"})
RUN_KEYS = {"titles", "shots", "media_seconds", "wall_seconds", "checkpoint", "reason", "root"}
CHECKPOINT_KEYS = {"sha256", "model_version", "provisional", "skill", "skill_by_modality"}


@pytest.fixture
def root(finished: Finished, tmp_path: Path) -> Path:
    """A copy of the finished root that a test may change; Dagster's and MLflow's state begins anew."""
    return Path(shutil.copytree(finished.root, tmp_path / "root", ignore=shutil.ignore_patterns("state")))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder without a `mediafm.toml` and without a root."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield
    assert list(folder.iterdir()) == [], "a verb wrote where it was called"


def mediafm(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == exit_code, result.output
    return result


def mediafm_json(*arguments: str, exit_code: int = 0) -> dict[str, Any]:
    """The one JSON object on stdout."""
    result = mediafm(*arguments, "--json", exit_code=exit_code)
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""
    return dict(json.loads(result.stdout))


def complaint(*arguments: str, exit_code: int = 2) -> str:
    """The one sentence on stderr of a verb that cannot do what it is asked."""
    result = mediafm(*arguments, exit_code=exit_code)
    assert result.stdout == ""
    assert result.stderr.startswith("mediafm: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def title_id(finished: Finished) -> str:
    return str(finished.summary["titles"]["ok"][0])


def test_help_lists_the_verbs_and_each_has_its_own() -> None:
    listed = mediafm("--help").stdout
    for verb in ALL_VERBS:
        assert f"  {verb} " in listed
        own = mediafm(verb, "--help").stdout
        assert own.startswith("Usage: ")
        assert len(own.splitlines()[2].strip()) > 20, f"{verb} says what it does"


def test_an_unknown_verb_is_wrong_usage() -> None:
    assert "No such command" in mediafm("embroider", exit_code=2).stderr


def test_sample_writes_a_catalogue_once(tmp_path: Path) -> None:
    directory = tmp_path / "sample"
    found = mediafm_json("sample", str(directory), "--titles", "1", "--seed", "2")
    assert len(found["titles"]) == 1
    assert Path(found["labels"]).is_dir()
    assert sorted(directory.glob(f"{found['titles'][0]}.*"))
    assert mediafm_json("sample", str(directory), "--titles", "1", "--seed", "2") == found
    assert "another seed" in complaint("sample", str(directory), "--titles", "1", "--seed", "3")
    mediafm("sample", str(directory), "--titles", "0", exit_code=2)


def test_a_real_run_prints_one_json_object_and_nothing_else(finished: Finished) -> None:
    summary = finished.summary
    assert set(summary) >= RUN_KEYS
    assert {state: len(ids) for state, ids in summary["titles"].items()} == {"ok": 6, "quarantined": 0, "failed": 0}
    assert summary["shots"] > 20
    assert summary["media_seconds"] > 40
    assert summary["wall_seconds"] > 0
    assert summary["root"] == str(finished.root)
    assert summary["reason"] == ""
    assert set(summary["checkpoint"]) >= CHECKPOINT_KEYS
    assert summary["checkpoint"]["model_version"] == 1
    assert summary["checkpoint"]["provisional"] is True
    assert isinstance(summary["checkpoint"]["skill"], float)
    assert "video" in summary["checkpoint"]["skill_by_modality"]
    assert finished.stderr == "", "nobody looks: no progress bars"


@pytest.fixture
def one_film(catalog: Path, title_id: str, tmp_path: Path) -> Path:
    """A catalogue of one film, which a test may change."""
    folder = tmp_path / "one_film"
    folder.mkdir()
    for file in catalog.glob(f"{title_id}.*"):
        shutil.copy2(file, folder)
    return folder


def test_bad_files_are_set_aside_and_retried_on_demand(
    one_film: Path, title_id: str, command: Command, tmp_path: Path
) -> None:
    (one_film / "empty.mp4").touch()
    on = command.on(tmp_path / "root")
    summary = mediafm_json("run", str(one_film), *on)
    assert summary["titles"] == {"ok": [title_id], "quarantined": ["empty"], "failed": []}
    assert "0 bytes" in summary["reasons"]["empty"]
    assert summary["checkpoint"] is None
    assert "at least 20 shots" in summary["reason"]
    text = mediafm("run", str(one_film), *on).stdout
    assert "quarantined: empty: " in text
    assert "nothing was to be done" in text
    assert "no title 'nope'" in complaint("retry", "--title", "nope", *on)
    retried = mediafm_json("retry", "--title", "empty", *on)
    assert retried["dagster_runs"]
    assert retried["titles"]["quarantined"] == ["empty"]


def test_a_failed_title_makes_the_exit_code_3(one_film: Path, title_id: str, command: Command, tmp_path: Path) -> None:
    """A sidecar that the system lists and cannot read; once it can be read, `retry` makes the title good."""
    sidecar = one_film / f"{title_id}.en.vtt"
    sidecar.symlink_to("/proc/self/mem")
    on = command.on(tmp_path / "root")
    summary = mediafm_json("run", str(one_film), *on, exit_code=3)
    assert summary["titles"] == {"ok": [], "quarantined": [], "failed": [title_id]}
    assert "could not be read" in summary["reasons"][title_id]
    sidecar.unlink()
    assert mediafm_json("retry", *on)["titles"] == {"ok": [title_id], "quarantined": [], "failed": []}


def test_what_is_not_there_is_wrong_usage(finished: Finished, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert "there is nothing at" in complaint("run", nowhere, "--root", nowhere)
    assert "profile 'no'" in complaint("run", nowhere, "--root", nowhere, "--profile", "no")
    assert "no.toml" in complaint("status", "--config", "no.toml")
    for verb in (("status",), ("sql", "SELECT 1"), ("retry",), ("search", "--title", "a", "--shot", "0")):
        assert "there is no root at" in complaint(*verb, "--root", nowhere)
    assert "there is no root at" in complaint("audit", "--title", "a", "--root", nowhere)
    assert not Path(nowhere).exists()
    mediafm("run", exit_code=2)


def test_an_unknown_catalogue_through_the_real_command(command: Command, tmp_path: Path) -> None:
    found = command.call("run", str(tmp_path / "nowhere"), *command.on(tmp_path / "root"), "--json")
    assert found.returncode == 2
    assert json.loads(found.stdout)["error"]["error"] == "CatalogError"
    assert found.stderr.startswith("mediafm: there is nothing at")
    assert found.stderr.count("\n") == 1


def test_status_tells_of_each_title(finished: Finished, title_id: str) -> None:
    found = mediafm_json("status", "--root", str(finished.root))
    assert [title["title_id"] for title in found["titles"]] == finished.summary["titles"]["ok"]
    assert found["states"] == {"ok": 6}
    for title in found["titles"]:
        assert (title["state"], title["reason"]) == ("ok", "")
        assert title["coverage"]["video"] == 1.0
    assert sum(title["shots"] for title in found["titles"]) == finished.summary["shots"]
    assert found["serving"]["checkpoint_sha256"] == finished.summary["checkpoint"]["sha256"]
    text = mediafm("status", "--root", str(finished.root)).stdout
    assert title_id in text
    assert "6 ok in" in text
    assert "serving: " in text


@pytest.mark.parametrize("vectors", ["contextual", "fused"])
def test_search_finds_the_nearest_shots(finished: Finished, title_id: str, vectors: str) -> None:
    asked = ("search", "--title", title_id, "--shot", "1", "--top", "4", "--root", str(finished.root))
    found = mediafm_json(*asked, "--vectors", vectors)
    scores = [hit["score"] for hit in found["hits"]]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert (title_id, 1) not in [(hit["title_id"], hit["shot_index"]) for hit in found["hits"]]
    assert all(hit["start_seconds"] < hit["end_seconds"] for hit in found["hits"])
    assert found["hits"][0]["title_id"] in mediafm(*asked, "--vectors", vectors).stdout


def test_search_for_what_is_not_there(finished: Finished, title_id: str) -> None:
    root = ("--root", str(finished.root))
    assert "title 'nope'" in complaint("search", "--title", "nope", "--shot", "0", *root)
    assert "shot 99" in complaint("search", "--title", title_id, "--shot", "99", *root)
    mediafm("search", "--title", title_id, "--shot", "-1", *root, exit_code=2)


def test_sql_answers_a_select(finished: Finished) -> None:
    root = ("--root", str(finished.root))
    found = mediafm_json("sql", "SELECT count(*) AS num_shots FROM shots", *root)
    assert found == {"columns": ["num_shots"], "rows": [[finished.summary["shots"]]]}
    kinds = mediafm_json("sql", "SELECT DISTINCT typeof(vector) FROM contextual_embeddings", *root)
    width = len(mediafm_json("sql", "SELECT vector FROM contextual_embeddings LIMIT 1", *root)["rows"][0][0])
    assert kinds["rows"] == [[f"FLOAT[{width}]"]]
    fused = mediafm_json("sql", "SELECT DISTINCT typeof(vector) FROM fused_embeddings", *root)
    assert fused["rows"][0][0].startswith("FLOAT[")
    assert "num_shots" in mediafm("sql", "SELECT count(*) AS num_shots FROM shots", *root).stdout


def test_sql_does_nothing_but_select(finished: Finished, tmp_path: Path) -> None:
    target = tmp_path / "stolen.csv"
    for query in (
        f"COPY (SELECT 1) TO '{target}'",
        "INSERT INTO titles SELECT * FROM titles",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "SELECT nothing FROM shots",
        "nonsense",
    ):
        sentence = mediafm("sql", query, "--root", str(finished.root), exit_code=2).stderr
        assert sentence.startswith("mediafm: SQL: "), query
        assert "Traceback" not in sentence
    assert not target.exists()


def kinds_of(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield node["kind"], node["name"]
    for child in node["children"]:
        yield from kinds_of(child)


def test_audit_goes_from_a_title_to_its_checkpoint_and_back(finished: Finished, title_id: str) -> None:
    root, sha256 = ("--root", str(finished.root)), finished.summary["checkpoint"]["sha256"]
    found = mediafm_json("audit", "--title", title_id, *root)
    assert found["complaints"] == []
    assert sha256 in json.dumps(found["tree"])
    kinds = {kind for kind, _ in kinds_of(found["tree"])}
    assert {"title", "value", "checkpoint", "manifest"} <= kinds
    back = mediafm_json("audit", "--checkpoint", sha256[:12], *root)
    for each in finished.summary["titles"]["ok"]:
        assert each in json.dumps(back["tree"])
    assert "bytes, headers and ledger agree" in mediafm("audit", "--title", title_id, *root).stdout
    assert sha256[:12] in mediafm("audit", "--checkpoint", sha256, *root).stdout


def test_audit_of_what_is_not_there(finished: Finished) -> None:
    root = ("--root", str(finished.root))
    assert "no title 'nope'" in complaint("audit", "--title", "nope", *root)
    assert "'abcdef'" in complaint("audit", "--checkpoint", "abcdef", *root)
    mediafm("audit", *root, exit_code=2)
    mediafm("audit", "--title", "a", "--checkpoint", "b", *root, exit_code=2)


@pytest.mark.parametrize("table", ["titles", "spans", "fused_embeddings", "contextual_embeddings"])
def test_audit_finds_a_file_that_was_tampered_with(root: Path, title_id: str, table: str) -> None:
    ((key,),) = select(root, f"SELECT object_key FROM current WHERE title_id = '{title_id}' AND table_name = '{table}'")
    data = bytearray((root / key).read_bytes())
    data[len(data) // 2] ^= 1
    (root / key).write_bytes(data)
    found = mediafm_json("audit", "--title", title_id, "--root", str(root), exit_code=3)
    assert len(found["complaints"]) == 1
    assert key in found["complaints"][0]
    text = mediafm("audit", "--title", title_id, "--root", str(root), exit_code=3).stdout
    assert f"WRONG: {title_id}: 1 mismatches: {key}" in text


def test_audit_finds_weights_that_were_tampered_with(root: Path, finished: Finished, title_id: str) -> None:
    sha256 = finished.summary["checkpoint"]["sha256"]
    file = root / "store" / "checkpoints" / sha256 / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x00\x00")
    found = mediafm_json("audit", "--title", title_id, "--root", str(root), exit_code=3)
    assert sha256 in found["complaints"][0]


def test_a_device_that_does_not_exist_is_told_before_anything_is_done(
    catalog: Path, command: Command, tmp_path: Path
) -> None:
    found = command.call("run", str(catalog), *command.on(tmp_path / "root"), "--device", "tpu")
    assert found.returncode == 2
    assert "device 'tpu'; a device is auto, cpu, cuda or cuda:N" in found.stderr
    assert not (tmp_path / "root").exists()
