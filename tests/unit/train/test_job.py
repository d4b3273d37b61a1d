"""A job and its result as files, and what is said of a run that was stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mediafm.data.manifest import TrainingManifest
from mediafm.data.synthetic import SyntheticCatalog
from mediafm.errors import ConfigError, IntegrityError, MediaFMError, NotFoundError, StoreError
from mediafm.train.config import TrainConfig
from mediafm.train.job import RESULT_FILE, TOLD_FILE, TrainingJob, first_error, read_result, run_job, write_result
from mediafm.train.loop import TrainResult
from mediafm.train.ranks import error_from, error_parts
from tests.unit.train.conftest import job_in


@pytest.fixture
def job(catalog: SyntheticCatalog, manifest: TrainingManifest, config: TrainConfig, tmp_path: Path) -> TrainingJob:
    return job_in(tmp_path, catalog, manifest, config)


def test_a_job_comes_back_as_it_was(job: TrainingJob) -> None:
    job.write()
    assert TrainingJob.read(job.file) == job
    assert TrainingJob.from_json(json.loads(json.dumps(job.as_json()))) == job


def test_a_file_that_is_no_job_is_refused(job: TrainingJob, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a job is a readable JSON file"):
        TrainingJob.read(tmp_path / "absent.json")
    with pytest.raises(ConfigError, match=r"fields cache, .*, rooot, .*a job has"):
        TrainingJob.from_json({**job.as_json(), "rooot": "x"})
    with pytest.raises(ConfigError, match="fields root; a job has"):
        TrainingJob.from_json({"root": "x"})


def test_the_entry_point_trains_alone_as_the_library_does(job: TrainingJob, result: TrainResult) -> None:
    job.write()
    done = subprocess.run(
        [sys.executable, "-m", "mediafm.train", str(job.file)], capture_output=True, text=True, check=True
    )
    found = read_result(Path(job.output))
    assert found.checkpoint.weights == result.checkpoint.weights
    assert [point.validation_loss for point in found.curves] == [point.validation_loss for point in result.curves]
    assert json.loads(done.stdout.splitlines()[0])["step"] == 4
    told = [json.loads(line) for line in (Path(job.output) / TOLD_FILE).read_text().splitlines()]
    assert [one["point"]["step"] for one in told if "point" in one] == [point.step for point in found.curves]
    assert any(one.get("num_steps") == 1 for one in told)
    assert first_error(Path(job.output)) is None


def test_a_result_comes_back_as_it_was(result: TrainResult, tmp_path: Path) -> None:
    given = replace(result, resumed_at_step=3, notes=("a note",))
    write_result(given, tmp_path)
    found = read_result(tmp_path)
    assert found.checkpoint.weights == given.checkpoint.weights
    assert found.report == json.loads(json.dumps(given.report))
    assert [asdict(point) for point in found.curves] == [asdict(point) for point in given.curves]
    assert (found.seconds, found.resumed_at_step, found.notes) == (given.seconds, 3, ("a note",))


def test_a_result_that_is_not_there_or_not_whole_is_refused(result: TrainResult, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no result; a run that ends well leaves one"):
        read_result(tmp_path)
    write_result(result, tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match="the config's sha256"):
        read_result(tmp_path)
    assert (tmp_path / RESULT_FILE).exists()


def test_a_job_without_its_corpus_says_what_to_do_and_leaves_its_words(job: TrainingJob, tmp_path: Path) -> None:
    for file in (Path(job.root) / "cache" / "corpora" / job.manifest_sha256).iterdir():
        file.unlink()
    with pytest.raises(NotFoundError, match="no corpus of this manifest"):
        run_job(job)
    left = first_error(Path(job.output))
    assert isinstance(left, NotFoundError)
    assert left.where.startswith("rank 0: ")


def leave(folder: Path, rank: int, error: Exception, distance: int, seconds: float) -> None:
    told = {"rank": rank, "unix_seconds": seconds, "distance": distance, "error": error_parts(error)}
    (folder / f"error-{rank}.json").write_text(json.dumps(told))


def test_the_error_nearest_the_cause_is_told_whoever_was_first(tmp_path: Path) -> None:
    own = StoreError("no space left", rule="a disk has room", where="title x")
    leave(tmp_path, 0, RuntimeError("Connection closed by peer"), 2, 1.0)
    unforeseen = first_error(tmp_path)
    assert str(unforeseen).startswith("rank 0: training: RuntimeError: Connection closed by peer; ")
    leave(tmp_path, 1, error_from(error_parts(own), 2), 1, 2.0)
    assert str(first_error(tmp_path)) == "rank 2: title x: no space left; a disk has room."
    leave(tmp_path, 2, own, 0, 3.0)
    found = first_error(tmp_path)
    assert isinstance(found, StoreError)
    assert str(found) == "rank 2: title x: no space left; a disk has room."


def test_an_error_without_a_place_gets_its_rank() -> None:
    assert error_from(error_parts(MediaFMError("a", rule="b")), 3).where == "rank 3"
