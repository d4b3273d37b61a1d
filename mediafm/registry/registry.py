"""The registry: a checkpoint's run, its LoggedModel, its registered version, and the aliases that mean it.

The truth of a checkpoint is `store/checkpoints/<sha256>/`; MLflow holds a copy that is found, or made, by its sha256
tag, and its aliases mirror our pointers. Embedding needs none of this. Telemetry is off before MLflow is imported.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediafm.config import Config, OrchestrationSettings
from mediafm.errors import NotFoundError
from mediafm.registry.connection import (
    client_of,
    global_tracking_uri,
    locked,
    make_database,
    quiet,
    refusals,
)
from mediafm.registry.flavour import model_files
from mediafm.registry.names import SHA256_TAG, model_id_of
from mediafm.registry.place import check_place, claim_model
from mediafm.registry.run_log import MANIFEST_TAG, NOTE_TAG, SPACE_TAG, RunLog, flat_params, metrics_of, skill_metrics
from mediafm.servers import without_password
from mediafm.train.card import CARD_FILE
from mediafm.train.checkpoint import Checkpoint
from mediafm.train.curves import CurvePoint
from mediafm.types import Json

TRAINING_TAG = "training_identity"
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""What MLflow's pages take the experiment for."""

_DESCRIPTION_CHARACTERS, _NOTE_CHARACTERS = 5000, 8000
"""MLflow keeps so many of a version's and of a run's description; LoggedModel and run hold the whole card as a file."""
_VERSION_TAG_CHARACTERS = 100_000
"""Of a version's tag; the ledger has it whole."""


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
        tracking_uri: `sqlite:///...`, `postgresql+psycopg2://...` or `http://...`; never shown: it may hold a password.
        artifact_root: a folder or URI; the experiment keeps the one that it was made with. None: what the server says.
        experiment, registered_model: names.
        root: the root that the registered model belongs to; "" where its database serves no other.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifact_root: str | None,
        experiment: str = "mediafm",
        registered_model: str = "mediafm",
        root: str = "",
    ) -> None:
        self.tracking_uri = tracking_uri
        self.artifact_root = artifact_root
        self.experiment = experiment
        self.registered_model = registered_model
        self.root = root
        self._ready: tuple[Any, str] | None = None

    @classmethod
    def at(cls, state: Path, settings: OrchestrationSettings | None = None) -> Registry:
        """The registry of a state folder: `mlflow.db` and `mlartifacts/` in it."""
        names = settings or OrchestrationSettings()
        state = state.absolute()
        return cls(
            f"sqlite:///{state / 'mlflow.db'}", str(state / "mlartifacts"), names.experiment, names.registered_model
        )

    @classmethod
    def of(cls, config: Config) -> Registry:
        """The registry of a configuration: of its state folder, or of what `[servers]` names. Raises `ConfigError`."""
        servers, names = config.servers, config.orchestration
        own = cls.at(config.state_path, names)
        if servers.mlflow is None:
            own.artifact_root = servers.mlflow_artifacts or own.artifact_root
            return own
        artifacts = servers.mlflow_artifacts or (None if servers.has_mlflow_server else own.artifact_root)
        return cls(servers.mlflow_uri(), artifacts, names.experiment, names.registered_model, config.root_name)

    def set_up(self) -> None:
        """Makes the database, the experiment and the registered model where they are missing; safe to race.

        Raises:
            ConfigError: the registered model belongs to another root.
            StoreError: MLflow does not answer.
        """
        self._client()

    def begin_training(
        self, identity: str, manifest_sha256: str, training: Mapping[str, Json], tags: Mapping[str, str] | None = None
    ) -> RunLog:
        """The run of a training that begins, or that goes on after it was stopped.

        Args:
            identity: equal for the same manifest, settings and kind of device.
            manifest_sha256: what it trains on.
            training: its configuration; becomes the parameters.
            tags: further tags (`dagster_run_id`, `git_sha`).

        Raises:
            StoreError: MLflow refused.
        """
        with refusals(f"training {identity}"):
            log = self._open_run({TRAINING_TAG: identity}, identity[:12])
            log.tags({TRAINING_TAG: identity, MANIFEST_TAG: manifest_sha256, **_source(tags), **(tags or {})})
            log.params(flat_params(training))
        return log

    def log_training(
        self,
        checkpoint: Checkpoint,
        curves: Sequence[CurvePoint],
        files: Mapping[str, bytes] | None = None,
        tags: Mapping[str, str] | None = None,
        run_name: str | None = None,
        identity: str = "",
    ) -> RegisteredVersion:
        """Logs a training run and registers its checkpoint, once: a known sha256 is answered with what is there.

        What a stopped call, or `begin_training`, left of it is gone on with: one value a step, one run, one version.

        Args:
            checkpoint: its files become a LoggedModel; its training config the parameters; its skill the metrics.
            curves: logged by the number of steps taken.
            files: file name -> bytes, logged beside ("curves.png"); "model_card.md" describes run, model and version.
            tags: further tags of run and version (`dagster_run_id`, `git_sha`).
            run_name: what the run is called in the UI; the sha256's beginning unless given.
            identity: the training's, if `begin_training` was told one.

        Raises:
            StoreError: MLflow refused.
        """
        known, files = self.find(checkpoint.sha256), files or {}
        all_tags = {SHA256_TAG: checkpoint.sha256, MANIFEST_TAG: checkpoint.manifest_sha256, **(tags or {})}
        all_tags[SPACE_TAG] = checkpoint.space_id
        with refusals(f"checkpoint {checkpoint.sha256}"):
            if known is not None:
                self._close_repeat(identity, known)
                return known
            wanted = {TRAINING_TAG: identity} if identity else {SHA256_TAG: checkpoint.sha256}
            log = self._open_run(wanted, run_name or checkpoint.sha256[:12])
            is_done = False
            try:
                version = self._write(log, checkpoint, curves, files, all_tags)
                is_done = True
            finally:
                log.end(is_done)
        return version

    def find(self, sha256: str) -> RegisteredVersion | None:
        """The registered version of a checkpoint; None if MLflow does not know it."""
        client, _ = self._client()
        with refusals(f"checkpoint {sha256}"):
            found = client.search_model_versions(f"name = '{self.registered_model}' and tags.{SHA256_TAG} = '{sha256}'")
        versions = sorted((item for item in found if item.source), key=lambda item: int(item.version))
        return _registered(sha256, versions[0]) if versions else None

    def set_alias(self, alias: str, sha256: str) -> None:
        """Lets `alias` ("champion", "serving") mean this checkpoint's version.

        Raises:
            NotFoundError: MLflow does not know the checkpoint.
        """
        version = self._require(sha256).version
        client, _ = self._client()
        with refusals(f"alias {alias}"):
            client.set_registered_model_alias(self.registered_model, alias, str(version))

    def set_tags(self, sha256: str, tags: Mapping[str, str]) -> None:
        """Sets tags of a checkpoint's version; a later value replaces an earlier one.

        Raises:
            NotFoundError: MLflow does not know the checkpoint.
        """
        version = self._require(sha256).version
        client, _ = self._client()
        with refusals(f"tags of checkpoint {sha256}"):
            for name, value in tags.items():
                shown = value[:_VERSION_TAG_CHARACTERS]
                client.set_model_version_tag(self.registered_model, str(version), name, shown)

    def aliases(self) -> dict[str, str]:
        """Alias -> sha256 of the checkpoint that it means."""
        client, _ = self._client()
        with refusals("aliases"):
            model = client.get_registered_model(self.registered_model)
            tags = {
                alias: client.get_model_version(self.registered_model, str(version)).tags
                for alias, version in model.aliases.items()
            }
        return {alias: str(found[SHA256_TAG]) for alias, found in tags.items() if SHA256_TAG in found}

    def log_probe_metrics(self, model_id: str, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Puts numbers beside a LoggedModel, on its page and on its run's."""
        client, _ = self._client()
        with refusals(f"model {model_id}"):
            model = client.get_logged_model(model_id)
            numbers = metrics_of(metrics, step or 0, int(time.time() * 1000), model_id)
            client.log_batch(str(model.source_run_id), metrics=numbers)

    def log_probe_files(self, model_id: str, files: Mapping[str, bytes], folder: str) -> None:
        """Puts a report's tables and pictures beside a LoggedModel, and on its run's page, under `folder`."""
        client, _ = self._client()
        with refusals(f"model {model_id}"), tempfile.TemporaryDirectory(prefix="mediafm-probes-") as place:
            for name, data in files.items():
                (Path(place) / name).write_bytes(data)
            run_id = str(client.get_logged_model(model_id).source_run_id)
            client.log_model_artifacts(model_id, place, folder)
            client.log_artifacts(run_id, place, folder)

    def _require(self, sha256: str) -> RegisteredVersion:
        found = self.find(sha256)
        if found is None:
            raise NotFoundError(
                f"no version of {self.registered_model!r} with {SHA256_TAG} {sha256}",
                rule="an alias means a registered checkpoint",
                where=without_password(self.tracking_uri),
                remedy="Log the checkpoint first.",
            )
        return found

    def _client(self) -> tuple[Any, str]:
        """The client and the experiment's id; the first call makes what is missing, under a lock between processes."""
        if self._ready is None:
            with refusals(self.tracking_uri), locked(self.tracking_uri), quiet():
                make_database(self.tracking_uri)
                client = client_of(self.tracking_uri)
                found = client.get_experiment_by_name(self.experiment)
                experiment_id = (
                    found.experiment_id
                    if found
                    else client.create_experiment(self.experiment, self.artifact_root, tags=_EXPERIMENT_TAGS)
                )
                if not client.search_registered_models(f"name = '{self.registered_model}'"):
                    client.create_registered_model(self.registered_model)
                claim_model(client, self.registered_model, self.root)
                self._ready = client, str(experiment_id)
        return self._ready

    def _open_run(self, wanted: Mapping[str, str], name: str) -> RunLog:
        """The unfinished run with these tags, running again; a new one if there is none."""
        client, experiment_id = self._client()
        check_place(client, experiment_id, self.artifact_root)
        run = self._unfinished(wanted)
        if run is None:
            run = client.create_run(experiment_id, tags=dict(wanted), run_name=name)
        else:
            client.update_run(run.info.run_id, status="RUNNING", name=name)
        return RunLog(client, str(run.info.run_id))

    def _unfinished(self, tags: Mapping[str, str]) -> Any | None:
        client, experiment_id = self._client()
        has_tags = " and ".join(f"tags.{name} = '{value}'" for name, value in tags.items())
        runs = client.search_runs([experiment_id], f"{has_tags} and attributes.status != 'FINISHED'")
        return runs[0] if runs else None

    def _close_repeat(self, identity: str, known: RegisteredVersion) -> None:
        """A training that gave a checkpoint that is registered already: its run says so and ends."""
        run = self._unfinished({TRAINING_TAG: identity}) if identity else None
        if run is not None:
            log = RunLog(self._client()[0], str(run.info.run_id))
            log.tags({SHA256_TAG: known.sha256, "repeats_run": known.run_id})
            log.end(is_done=True)

    def _write(
        self,
        log: RunLog,
        checkpoint: Checkpoint,
        curves: Sequence[CurvePoint],
        files: Mapping[str, bytes],
        tags: Mapping[str, str],
    ) -> RegisteredVersion:
        card = files.get(CARD_FILE, b"").decode()
        params = _params(checkpoint)
        log.tags({**_source(tags), **tags, **({NOTE_TAG: _shown(card, _NOTE_CHARACTERS)} if card else {})})
        log.params(params)
        log.dataset(checkpoint.manifest_sha256, checkpoint.report.get("data"))
        for point in curves:
            log.point(point)
        log.files({"report.json": _pretty(checkpoint.report), **files})
        model_id = self._model(log, checkpoint, files, params, tags)
        self._skill(log, model_id, checkpoint, curves[-1].num_steps if curves else 0)
        version = self._register(model_id, log.run_id, tags, card)
        return RegisteredVersion(sha256=checkpoint.sha256, model_id=model_id, run_id=log.run_id, version=version)

    def _model(
        self,
        log: RunLog,
        checkpoint: Checkpoint,
        files: Mapping[str, bytes],
        params: Mapping[str, str],
        tags: Mapping[str, str],
    ) -> str:
        """The run's LoggedModel, ready; one that a stopped call left is completed."""
        from mlflow.entities import LoggedModelOutput

        client, experiment_id = self._client()
        found = client.search_logged_models([experiment_id], f"tags.{SHA256_TAG} = '{checkpoint.sha256}'")
        model = next((item for item in found if item.source_run_id == log.run_id), None)
        if model is None:
            model = client.create_logged_model(
                experiment_id=experiment_id,
                name=self.registered_model,
                source_run_id=log.run_id,
                tags=dict(tags),
                params=dict(params),
                model_type="mediafm",
            )
        model_id = str(model.model_id)
        card = {name: content for name, content in files.items() if name == CARD_FILE}
        with tempfile.TemporaryDirectory(prefix="mediafm-") as folder:
            for name, content in model_files(checkpoint, model_id, log.run_id, card).items():
                (Path(folder) / name).write_bytes(content)
            client.log_model_artifacts(model_id, folder)
        client.finalize_logged_model(model_id, "READY")
        outputs = client.get_run(log.run_id).outputs
        if model_id not in {output.model_id for output in (outputs.model_outputs if outputs else ())}:
            client.log_outputs(log.run_id, models=[LoggedModelOutput(model_id=model_id, step=0)])
        return model_id

    def _skill(self, log: RunLog, model_id: str, checkpoint: Checkpoint, step: int) -> None:
        client, _ = self._client()
        there = {metric.key for metric in client.get_logged_model(model_id).metrics or ()}
        new = {name: value for name, value in skill_metrics(checkpoint.report).items() if name not in there}
        # The run's own time: a number that was written to the run and not yet to the model stays one number.
        when = int(client.get_run(log.run_id).info.start_time)
        if new:
            client.log_batch(log.run_id, metrics=metrics_of(new, step, when, model_id))

    def _register(self, model_id: str, run_id: str, tags: Mapping[str, str], card: str) -> int:
        client, _ = self._client()
        with global_tracking_uri(self.tracking_uri):
            version = client.create_model_version(
                self.registered_model,
                f"models:/{model_id}",
                run_id=run_id,
                tags=dict(tags),
                model_id=model_id,
                description=_shown(card, _DESCRIPTION_CHARACTERS) or None,
            )
        return int(version.version)


def _registered(sha256: str, version: Any) -> RegisteredVersion:
    return RegisteredVersion(
        sha256=sha256, model_id=model_id_of(version), run_id=str(version.run_id), version=int(version.version)
    )


def _params(checkpoint: Checkpoint) -> dict[str, str]:
    """The training config and what the run ran on, by dotted name."""
    environment = {"environment": checkpoint.report.get("environment") or {}}
    export_layers = {"export_layers": str(list(checkpoint.export_layers))}
    return {**flat_params(dict(checkpoint.training)), **flat_params(environment), **export_layers}


def _shown(card: str, num_characters: int) -> str:
    """The card as MLflow's pages show it, cut at a line; they set a table's cells edge to edge, so these get room."""
    lines = [line.replace(" |", "\u00a0\u00a0 |") if line.startswith("| ") else line for line in card.split("\n")]
    whole = "\n".join(line.replace("---\u00a0\u00a0", "---") for line in lines)
    if len(whole) <= num_characters:
        return whole
    ending = f"\n\n(The whole card is `{CARD_FILE}` of the model and of its run.)"
    head = whole[: num_characters - len(ending)]
    return head[: head.rindex("\n")] + ending


def _source(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Where MLflow shows what ran, and of which revision."""
    revision = (tags or {}).get("git_sha")
    return {"mlflow.source.name": "mediafm", **({"mlflow.source.git.commit": revision} if revision else {})}


def _pretty(value: Mapping[str, Json]) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True).encode()
