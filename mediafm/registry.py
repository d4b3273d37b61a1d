"""MLflow's view of training: the only file that knows MLflow, and it imports it inside functions only.

The truth of a checkpoint is `store/checkpoints/<sha256>/`; MLflow holds a copy that is found, or made, by its sha256
tag, and its aliases mirror our pointers. Embedding needs none of this. Telemetry is off before MLflow is imported.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediafm.config import OrchestrationSettings
from mediafm.errors import NotFoundError, StoreError
from mediafm.lineage.fingerprint import canonical_json
from mediafm.train.checkpoint import Checkpoint, to_files
from mediafm.train.curves import CurvePoint
from mediafm.types import Json

SHA256_TAG = "checkpoint_sha256"
MANIFEST_TAG = "manifest_sha256"
DATASET_NAME = "training_manifest"
_DIGEST_CHARACTERS = 32
"""MLflow keeps at most 36 characters of a data set's digest; tags hold all 64."""
_PARAM_CHARACTERS = 500
_OFF = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """Where MLflow keeps a checkpoint.

    sha256: of the checkpoint.
    model_id: of the LoggedModel ("m-...").
    run_id: of the training run.
    version: of the registered model.
    """

    sha256: str
    model_id: str
    run_id: str
    version: int


class Registry:
    """One MLflow server or database, one experiment, one registered model.

    Args:
        tracking_uri: `sqlite:///...`, `postgresql://...` or `http://...`.
        artifact_root: a folder or URI; the experiment keeps the one that it was made with.
        experiment, registered_model: names.
    """

    def __init__(
        self, tracking_uri: str, artifact_root: str, experiment: str = "mediafm", registered_model: str = "mediafm"
    ) -> None:
        self.tracking_uri = tracking_uri
        self.artifact_root = artifact_root
        self.experiment = experiment
        self.registered_model = registered_model
        self._ready: tuple[Any, str] | None = None

    @classmethod
    def at(cls, state: Path, settings: OrchestrationSettings | None = None) -> Registry:
        """The registry of a state folder: `mlflow.db` and `mlartifacts/` in it."""
        names = settings or OrchestrationSettings()
        state = state.absolute()
        return cls(
            f"sqlite:///{state / 'mlflow.db'}", str(state / "mlartifacts"), names.experiment, names.registered_model
        )

    def set_up(self) -> None:
        """Makes the database, the experiment and the registered model where they are missing; safe to race."""
        self._client()

    def log_training(
        self,
        checkpoint: Checkpoint,
        curves: Sequence[CurvePoint],
        pictures: Mapping[str, bytes] | None = None,
        tags: Mapping[str, str] | None = None,
        run_name: str | None = None,
    ) -> RegisteredVersion:
        """Logs a training run and registers its checkpoint, once: a known sha256 is answered with what is there.

        Args:
            checkpoint: its files become a LoggedModel; its training config the parameters; its skill the metrics.
            curves: logged by the number of steps taken.
            pictures: file name -> bytes, logged beside ("curves.png").
            tags: further tags of run and version (`dagster_run_id`, `git_sha`).
            run_name: what the run is called in the UI; the sha256's beginning unless given.

        Raises:
            StoreError: MLflow refused.
        """
        known = self.find(checkpoint.sha256)
        if known is not None:
            return known
        all_tags = {SHA256_TAG: checkpoint.sha256, MANIFEST_TAG: checkpoint.manifest_sha256, **(tags or {})}
        client, experiment_id = self._client()
        with _refusals(f"checkpoint {checkpoint.sha256}"):
            run = client.create_run(experiment_id, tags=all_tags, run_name=run_name or checkpoint.sha256[:12])
            run_id = str(run.info.run_id)
            is_done = False
            try:
                model_id = self._log_model(client, experiment_id, run_id, checkpoint, all_tags)
                _log_numbers(client, run_id, model_id, checkpoint, curves)
                _log_files(client, run_id, {"report.json": _pretty(checkpoint.report), **(pictures or {})})
                version = self._register(client, model_id, run_id, all_tags)
                is_done = True
            finally:
                client.set_terminated(run_id, "FINISHED" if is_done else "FAILED")
        return RegisteredVersion(sha256=checkpoint.sha256, model_id=model_id, run_id=run_id, version=version)

    def find(self, sha256: str) -> RegisteredVersion | None:
        """The registered version of a checkpoint; None if MLflow does not know it."""
        client, _ = self._client()
        with _refusals(f"checkpoint {sha256}"):
            found = client.search_model_versions(f"name = '{self.registered_model}' and tags.{SHA256_TAG} = '{sha256}'")
        versions = sorted((item for item in found if item.source), key=lambda item: int(item.version))
        if not versions:
            return None
        first = versions[0]
        # `model_id` is None on SQLite; the source says it ("models:/m-...").
        return RegisteredVersion(
            sha256=sha256,
            model_id=str(first.source).removeprefix("models:/"),
            run_id=str(first.run_id),
            version=int(first.version),
        )

    def set_alias(self, alias: str, sha256: str) -> None:
        """Lets `alias` ("champion", "serving") mean this checkpoint's version.

        Raises:
            NotFoundError: MLflow does not know the checkpoint.
        """
        version = self._require(sha256).version
        client, _ = self._client()
        with _refusals(f"alias {alias}"):
            client.set_registered_model_alias(self.registered_model, alias, str(version))

    def aliases(self) -> dict[str, str]:
        """Alias -> sha256 of the checkpoint that it means."""
        client, _ = self._client()
        with _refusals("aliases"):
            model = client.get_registered_model(self.registered_model)
            tags = {
                alias: client.get_model_version(self.registered_model, str(version)).tags
                for alias, version in model.aliases.items()
            }
        return {alias: str(found[SHA256_TAG]) for alias, found in tags.items() if SHA256_TAG in found}

    def log_probe_metrics(self, model_id: str, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Puts numbers beside a LoggedModel, on its page and on its run's."""
        client, _ = self._client()
        with _refusals(f"model {model_id}"):
            model = client.get_logged_model(model_id)
            client.log_batch(str(model.source_run_id), metrics=_metrics(metrics, step or 0, model_id))

    def _require(self, sha256: str) -> RegisteredVersion:
        found = self.find(sha256)
        if found is None:
            raise NotFoundError(
                f"no version of {self.registered_model!r} with {SHA256_TAG} {sha256}",
                rule="an alias means a registered checkpoint",
                where=self.tracking_uri,
                remedy="Log the checkpoint first.",
            )
        return found

    def _client(self) -> tuple[Any, str]:
        """The client and the experiment's id; the first call makes what is missing, under a lock between processes."""
        if self._ready is None:
            with _refusals(self.tracking_uri), _lock(self.tracking_uri), _quiet():
                _make_database(self.tracking_uri)
                client = _mlflow().MlflowClient(self.tracking_uri, self.tracking_uri)
                found = client.get_experiment_by_name(self.experiment)
                experiment_id = (
                    found.experiment_id if found else client.create_experiment(self.experiment, self.artifact_root)
                )
                if not client.search_registered_models(f"name = '{self.registered_model}'"):
                    client.create_registered_model(self.registered_model)
                self._ready = client, str(experiment_id)
        return self._ready

    def _log_model(
        self, client: Any, experiment_id: str, run_id: str, checkpoint: Checkpoint, tags: Mapping[str, str]
    ) -> str:
        model = client.create_logged_model(
            experiment_id=experiment_id,
            name=self.registered_model,
            source_run_id=run_id,
            tags=dict(tags),
            params=_flat_params(checkpoint),
            model_type="mediafm",
        )
        with tempfile.TemporaryDirectory(prefix="mediafm-") as folder:
            for name, content in to_files(checkpoint).items():
                (Path(folder) / name).write_bytes(content)
            client.log_model_artifacts(model.model_id, folder)
        client.finalize_logged_model(model.model_id, "READY")
        return str(model.model_id)

    def _register(self, client: Any, model_id: str, run_id: str, tags: Mapping[str, str]) -> int:
        with _global_tracking_uri(self.tracking_uri):
            version = client.create_model_version(
                self.registered_model, f"models:/{model_id}", run_id=run_id, tags=dict(tags), model_id=model_id
            )
        return int(version.version)


def skill_metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """The report's numbers by flat name: test skill under both mask sets, with the ends of its interval."""
    found: dict[str, float] = {}
    for mask_set in ("random", "span"):
        skill = report["skill"][mask_set]
        prefix = "test_skill" if mask_set == "random" else "test_skill_span"
        found |= _with_interval(prefix, skill["skill"], skill["interval"])
        for modality, view in skill["by_modality"].items():
            found |= _with_interval(f"{prefix}_{modality}", view["skill"], view["interval"])
    return found


def _with_interval(name: str, value: float | None, interval: Sequence[float] | None) -> dict[str, float]:
    numbers = {name: value}
    if interval is not None:
        numbers |= {f"{name}_low": interval[0], f"{name}_high": interval[1]}
    return {key: number for key, number in numbers.items() if number is not None}


def _log_numbers(client: Any, run_id: str, model_id: str, checkpoint: Checkpoint, curves: Sequence[CurvePoint]) -> None:
    from mlflow.entities import Dataset, DatasetInput, LoggedModelOutput, Param

    params = [Param(name, value) for name, value in _flat_params(checkpoint).items()]
    client.log_batch(run_id, params=params)
    dataset = Dataset(
        name=DATASET_NAME,
        digest=checkpoint.manifest_sha256[:_DIGEST_CHARACTERS],
        source_type="mediafm",
        source=json.dumps({MANIFEST_TAG: checkpoint.manifest_sha256}),
        profile=canonical_json(checkpoint.report.get("data")),
    )
    client.log_inputs(run_id, datasets=[DatasetInput(dataset=dataset)])
    client.log_outputs(run_id, models=[LoggedModelOutput(model_id=model_id, step=0)])
    for point in curves:
        client.log_batch(run_id, metrics=_metrics(point.metrics(), point.num_steps, None))
    last = curves[-1].num_steps if curves else 0
    client.log_batch(run_id, metrics=_metrics(skill_metrics(checkpoint.report), last, model_id))


def _log_files(client: Any, run_id: str, files: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix="mediafm-") as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        client.log_artifacts(run_id, folder)


def _metrics(numbers: Mapping[str, float], step: int, model_id: str | None) -> list[Any]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(name, float(value), now, step, model_id=model_id) for name, value in numbers.items()]


def _flat_params(checkpoint: Checkpoint) -> dict[str, str]:
    """The training config by dotted name, as short text."""
    found: dict[str, str] = {}

    def walk(prefix: str, value: Json) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                walk(f"{prefix}.{key}" if prefix else key, item)
        else:
            found[prefix] = str(value)[:_PARAM_CHARACTERS]

    walk("", dict(checkpoint.training))
    found["export_layers"] = str(list(checkpoint.export_layers))
    return found


def _pretty(value: Mapping[str, Json]) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True).encode()


def _mlflow() -> Any:
    """MLflow, imported with its telemetry off."""
    for name, value in _OFF.items():
        os.environ.setdefault(name, value)
    import mlflow

    return mlflow


@contextmanager
def _global_tracking_uri(tracking_uri: str) -> Iterator[None]:
    """MLflow 3.17 resolves `models:/m-...` through its global URI, whatever the client's: lends it ours."""
    mlflow = _mlflow()
    in_environment = os.environ.get("MLFLOW_TRACKING_URI")
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(tracking_uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
        if in_environment is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        else:
            os.environ["MLFLOW_TRACKING_URI"] = in_environment


@contextmanager
def _lock(tracking_uri: str) -> Iterator[None]:
    """Only one process at a time makes a SQLite database: racing creators crash each other."""
    if not tracking_uri.startswith("sqlite:///"):
        yield
        return
    database = Path(tracking_uri.removeprefix("sqlite:///"))
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_database(tracking_uri: str) -> None:
    """Makes an absent SQLite database beside its place and moves it there: MLflow cannot mend one that is half made."""
    database = Path(tracking_uri.removeprefix("sqlite:///"))
    if not tracking_uri.startswith("sqlite:///") or database.exists():
        return
    beside = database.with_suffix(".making")
    beside.unlink(missing_ok=True)
    beside.with_name(f"{beside.name}-journal").unlink(missing_ok=True)
    _mlflow().MlflowClient(f"sqlite:///{beside}", f"sqlite:///{beside}").search_experiments(max_results=1)
    beside.rename(database)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the migrations' chatter while a database is made."""
    loggers = [logging.getLogger(name) for name in ("mlflow.store.db.utils", "mlflow.store", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _refusals(where: str) -> Iterator[None]:
    """MLflow's own errors as ours."""
    _mlflow()
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise StoreError(
            str(error).splitlines()[0],
            rule="MLflow must answer",
            where=where,
            remedy="Look at the tracking URI; the checkpoint itself lies in the store.",
        ) from error
