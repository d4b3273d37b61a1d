"""One training run in MLflow, written so that writing it again changes nothing.

A run that was stopped is gone on with: what MLflow holds already, a parameter, a metric at a step, a file, is left as
it is, so that a curve has one value a step however often its training was killed or logged.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mediafm.lineage.fingerprint import canonical_json
from mediafm.registry.connection import refusals
from mediafm.train.curves import CurvePoint
from mediafm.types import Json

SPACE_TAG = "space_id"
MANIFEST_TAG = "manifest_sha256"
DATASET_NAME = "training_manifest"
NOTE_TAG = "mlflow.note.content"
"""What MLflow shows as a run's description; Markdown."""
_DIGEST_CHARACTERS = 32
"""MLflow keeps at most 36 characters of a data set's digest; tags hold all 64."""
_PARAM_CHARACTERS = 500
_TAG_CHARACTERS = 8000


class RunLog:
    """A run that is being written.

    Args:
        client: an `MlflowClient`.
        run_id: a run that is there, finished or not.
    """

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self.run_id = run_id
        data = client.get_run(run_id).data
        self._params: set[str] = set(data.params)
        self._steps: dict[str, set[int]] = {
            key: {metric.step for metric in client.get_metric_history(run_id, key)} for key in data.metrics
        }

    def params(self, params: Mapping[str, str]) -> None:
        """Adds the parameters that the run lacks; MLflow lets none be changed."""
        from mlflow.entities import Param

        new = {name: value for name, value in params.items() if name not in self._params}
        if new:
            self._client.log_batch(self.run_id, params=[Param(name, value) for name, value in new.items()])
            self._params |= set(new)

    def tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags; a later value replaces an earlier one."""
        for name, value in tags.items():
            self._client.set_tag(self.run_id, name, value[:_TAG_CHARACTERS])

    def dataset(self, manifest_sha256: str, profile: Json) -> None:
        """Names the manifest as the run's input."""
        from mlflow.entities import Dataset, DatasetInput

        dataset = Dataset(
            name=DATASET_NAME,
            digest=manifest_sha256[:_DIGEST_CHARACTERS],
            source_type="mediafm",
            source=json.dumps({MANIFEST_TAG: manifest_sha256}),
            profile=canonical_json(profile),
        )
        self._client.log_inputs(self.run_id, datasets=[DatasetInput(dataset=dataset)])

    def point(self, point: CurvePoint) -> None:
        """One evaluation, at the number of steps that the run has taken. Raises `StoreError`: MLflow refused."""
        step = point.num_steps
        new = {name: value for name, value in point.metrics().items() if step not in self._steps.get(name, ())}
        if new:
            with refusals(f"run {self.run_id}"):
                self._client.log_batch(self.run_id, metrics=metrics_of(new, step, int(time.time() * 1000)))
            for name in new:
                self._steps.setdefault(name, set()).add(step)

    def files(self, files: Mapping[str, bytes]) -> None:
        """Puts files beside the run."""
        with tempfile.TemporaryDirectory(prefix="mediafm-") as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            self._client.log_artifacts(self.run_id, folder)

    def end(self, is_done: bool) -> None:
        """Marks the run as finished, or as failed. Raises `StoreError`: MLflow refused."""
        with refusals(f"run {self.run_id}"):
            self._client.set_terminated(self.run_id, "FINISHED" if is_done else "FAILED")


def metrics_of(numbers: Mapping[str, float], step: int, milliseconds: int, model_id: str | None = None) -> list[Any]:
    """MLflow's metrics; equal arguments give rows that its database keeps once."""
    from mlflow.entities import Metric

    return [Metric(name, float(value), milliseconds, step, model_id=model_id) for name, value in numbers.items()]


def flat_params(value: Json, prefix: str = "") -> dict[str, str]:
    """Nested JSON by dotted name, as short text."""
    if not isinstance(value, Mapping):
        return {prefix: str(value)[:_PARAM_CHARACTERS]}
    found: dict[str, str] = {}
    for key, item in value.items():
        found |= flat_params(item, f"{prefix}.{key}" if prefix else key)
    return found


def skill_metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """The report's numbers by flat name: test skill under each mask set, with the ends of its interval."""
    found: dict[str, float] = {}
    for mask_set, skill in report["skill"].items():
        if not isinstance(skill, Mapping) or "by_modality" not in skill:
            continue
        prefix = "test_skill" if mask_set == "random" else f"test_skill_{mask_set}"
        found |= _with_interval(prefix, skill["skill"], skill["interval"])
        for modality, view in skill["by_modality"].items():
            found |= _with_interval(f"{prefix}_{modality}", view["skill"], view["interval"])
    return found


def _with_interval(name: str, value: float | None, interval: Sequence[float] | None) -> dict[str, float]:
    numbers = {name: value}
    if interval is not None:
        numbers |= {f"{name}_low": interval[0], f"{name}_high": interval[1]}
    return {key: number for key, number in numbers.items() if number is not None}
