"""A training run as a file: what a process is told that trains, and what it leaves behind.

    <output>/job.json              what is to be done
    <output>/model.safetensors     the checkpoint's two files
    <output>/config.json
    <output>/result.json           the rest; written last, so the output is there once it is
    <output>/error-<rank>.json     what stopped a rank
    <output>/told.jsonl            what the first rank told of its steps and evaluations

The job is the same for every rank of every host: the root must lie where all of them can read it, and the first rank
must be able to write the output and the states.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mediafm.data.corpus import Corpus, open_corpus
from mediafm.data.manifest import ManifestTitle, TrainingManifest
from mediafm.data.manifest_files import from_files as manifest_from_files
from mediafm.data.sequences import TitleSequence
from mediafm.errors import ConfigError, MediaFMError, NotFoundError
from mediafm.s3.settings import S3Settings
from mediafm.store.folders import MANIFESTS, folder_key, read_folder
from mediafm.store.opening import store_at
from mediafm.train.checkpoint import from_folder, to_files
from mediafm.train.config import TrainConfig
from mediafm.train.curves import CurvePoint
from mediafm.train.loop import Progress, TrainResult, train
from mediafm.train.ranks import RANK, TIMEOUT_SECONDS, error_from, error_parts, joined
from mediafm.train.run_state import RunFolder
from mediafm.types import Json

JOB_FILE = "job.json"
RESULT_FILE = "result.json"
TOLD_FILE = "told.jsonl"
TELL_SECONDS = 0.5
"""Steps are told at most so often."""


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """One run for any number of ranks; round-trips through JSON exactly.

    root: the root, by `Config.root_name`, whose store holds the manifest.
    manifest_sha256: what the run sees.
    config: everything else that moves its numbers.
    device: "cpu" or "cuda"; rank k of a host takes its k-th GPU.
    states: the folder of the states that a stopped run goes on from.
    output: the folder of what comes of it.
    cache: the root's cache, which holds the manifest's corpus, built before; "": `<root>/cache`.
    s3: how a root in a bucket is reached: `S3Settings` as JSON. Credentials stay where each host has them.
    gpu_memory_fraction: the share of a GPU's memory that a rank may take.
    timeout_seconds: how long a rank is waited for.
    """

    root: str
    manifest_sha256: str
    config: TrainConfig
    device: str
    states: str
    output: str
    cache: str = ""
    s3: Mapping[str, Json] = field(default_factory=dict)
    gpu_memory_fraction: float = 1.0
    timeout_seconds: float = TIMEOUT_SECONDS

    @property
    def file(self) -> Path:
        """Where the job itself is written."""
        return Path(self.output) / JOB_FILE

    def as_json(self) -> dict[str, Json]:
        return {**asdict(self), "config": self.config.as_json()}

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> TrainingJob:
        """The inverse of `as_json`. Raises `ConfigError`: a field is missing, unknown or impossible."""
        names = {item.name for item in fields(cls)}
        if set(parts) - names or not {"root", "manifest_sha256", "config", "device", "states", "output"} <= set(parts):
            raise ConfigError(
                f"fields {', '.join(sorted(parts))}",
                rule=f"a job has {', '.join(sorted(names))}",
                where="training job",
            )
        return cls(**{**parts, "config": TrainConfig.from_json(parts["config"])})

    def write(self) -> None:
        """Makes the output folder and writes the job there."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        _write(self.file, json.dumps(self.as_json()).encode())

    @classmethod
    def read(cls, file: Path) -> TrainingJob:
        """Raises `ConfigError`: the file cannot be read, or holds no job."""
        try:
            parts = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise ConfigError(
                str(error), rule="a job is a readable JSON file", where=str(file), remedy="Check the path."
            ) from error
        return cls.from_json(parts)


Tell = Callable[[Mapping[str, Json]], None]
"""Told by the first rank: {"num_steps", "max_steps"} now and then, {"point"} at each evaluation."""


def run_job(job: TrainingJob, tell: Tell | None = None) -> None:
    """This process's part of the job: alone, or as one of the ranks that `torchrun` started.

    Raises:
        Exception: whatever stopped this rank; it stands in `error-<rank>.json` before.
    """
    try:
        with joined(job.device, job.timeout_seconds, job.gpu_memory_fraction) as ranks:
            manifest, corpus = ranks.together(lambda: open_job(job))
            heard = tell if ranks.is_first else None
            result = train(
                manifest,
                corpus,
                job.config,
                device=str(ranks.device),
                progress=_now_and_then(heard) if heard else None,
                on_metrics=(lambda point: heard({"point": point.as_json()})) if heard else None,
                folder=RunFolder(Path(job.states)),
                ranks=ranks,
            )
            ranks.together(lambda: write_result(result, Path(job.output)) if ranks.is_first else None)
    except Exception as error:
        _leave_error(Path(job.output), error)
        raise


def _now_and_then(tell: Tell) -> Progress:
    last = 0.0

    def progress(num_steps: int, max_steps: int) -> None:
        nonlocal last
        if time.monotonic() - last >= TELL_SECONDS:
            last = time.monotonic()
            tell({"num_steps": num_steps, "max_steps": max_steps})

    return progress


def write_result(result: TrainResult, folder: Path) -> None:
    """Puts a run's result into `folder`."""
    for name, data in to_files(result.checkpoint).items():
        _write(folder / name, data)
    rest: dict[str, Json] = {
        "curves": [point.as_json() for point in result.curves],
        "seconds": result.seconds,
        "resumed_at_step": result.resumed_at_step,
        "notes": list(result.notes),
    }
    _write(folder / RESULT_FILE, json.dumps(rest, allow_nan=False).encode())


def read_result(folder: Path) -> TrainResult:
    """The inverse of `write_result`.

    Raises:
        NotFoundError: the run left no result.
        IntegrityError: what it left is not whole.
    """
    if not (folder / RESULT_FILE).is_file():
        raise NotFoundError("no result", rule="a run that ends well leaves one", where=str(folder))
    rest = json.loads((folder / RESULT_FILE).read_text())
    checkpoint = from_folder(folder)
    return TrainResult(
        checkpoint=checkpoint,
        curves=tuple(CurvePoint(**point) for point in rest["curves"]),
        report=dict(checkpoint.report),
        seconds=rest["seconds"],
        resumed_at_step=rest["resumed_at_step"],
        notes=tuple(rest["notes"]),
    )


def first_error(folder: Path) -> MediaFMError | None:
    """What stopped a run, by the rank that it stopped first; None if no rank could say."""
    told = [json.loads(file.read_text()) for file in sorted(folder.glob("error-*.json"))]
    if not told:
        return None
    first = min(told, key=lambda one: (one["distance"], one["unix_seconds"]))
    is_placed = first["error"]["where"].startswith(RANK)
    return MediaFMError.from_dict(first["error"]) if is_placed else error_from(first["error"], first["rank"])


def open_job(job: TrainingJob) -> tuple[TrainingManifest, Corpus]:
    """What the job trains on.

    Raises:
        NotFoundError: the root lacks the manifest or its corpus.
        IntegrityError: the manifest's files are damaged.
    """
    cache = Path(job.cache or f"{job.root}/cache")
    store = store_at(job.root, cache, S3Settings.model_validate(job.s3))
    manifest = manifest_from_files(read_folder(store, folder_key(MANIFESTS, job.manifest_sha256)))
    return manifest, open_corpus(manifest, _is_missing, cache)


def _is_missing(title: ManifestTitle) -> TitleSequence:
    raise NotFoundError(
        "no corpus of this manifest",
        rule="who writes a job builds its corpus first, in the root's cache",
        where=title.title_id,
        remedy="Materialise mediafm_checkpoint, and let all hosts see the root and its cache.",
    )


def _leave_error(folder: Path, error: Exception) -> None:
    """Says what stopped this rank, and how far that is from the cause, since one rank's error stops them all.

    0: an error of its own, 1: another rank told it, 2: unforeseen, so perhaps only that another rank fell silent.
    """
    rank = int(os.environ.get("RANK", "0"))
    is_told = isinstance(error, MediaFMError) and error.where.startswith(RANK)
    told = {
        "rank": rank,
        "unix_seconds": time.time(),
        "distance": 2 if not isinstance(error, MediaFMError) else int(is_told),
        "error": error_parts(error),
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / f"error-{rank}.json", json.dumps(told).encode())


def _write(file: Path, data: bytes) -> None:
    beside = file.with_name(f".{file.name}.part")
    beside.write_bytes(data)
    beside.replace(file)
