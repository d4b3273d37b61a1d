"""What MLflow says of a checkpoint, read for comparison: nothing is made, nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mediafm.registry.connection import client_of, refusals
from mediafm.registry.names import SHA256_TAG, FoundModel, fetch_model, model_id_of
from mediafm.registry.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedVersion:
    """A registered version in MLflow's own words.

    tags: of the version. run_tags: of its training run. digests: of the data sets that the run names as input.
    """

    version: int
    model_id: str
    tags: Mapping[str, str]
    run_tags: Mapping[str, str]
    digests: tuple[str, ...]


def describe_versions(registry: Registry, sha256: str) -> list[DescribedVersion]:
    """Every version that is tagged as this checkpoint. Raises `StoreError` if MLflow refuses."""
    client = client_of(registry.tracking_uri)
    found = []
    with refusals(f"checkpoint {sha256}"):
        named = f"name = '{registry.registered_model}' and tags.{SHA256_TAG} = '{sha256}'"
        for version in client.search_model_versions(named):
            run = client.get_run(version.run_id)
            found.append(
                DescribedVersion(
                    version=int(version.version),
                    model_id=model_id_of(version),
                    tags=dict(version.tags),
                    run_tags=dict(run.data.tags),
                    digests=tuple(each.dataset.digest for each in run.inputs.dataset_inputs),
                )
            )
    return sorted(found, key=lambda one: one.version)


def verify_copy(registry: Registry, sha256: str, version: DescribedVersion) -> None:
    """Reads MLflow's copy of a checkpoint. Raises `IntegrityError` if its weights are not those of the checkpoint."""
    fetch_model(registry.tracking_uri, FoundModel(sha256=sha256, model_id=version.model_id))
