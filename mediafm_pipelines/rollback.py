"""`rollback_job`: back to the checkpoint before, as a run on record; and serving on request.

Belongs here: the job, and running it or `served_manifest` in this process. Does not belong here: which checkpoint was
before, or what readers lose (`mediafm.steps.rollback`, `mediafm.steps.serving`).
"""

from typing import Any

import dagster as dg
from pydantic import Field

from mediafm.config import Config
from mediafm_pipelines import tags
from mediafm_pipelines.execution import QUIET_LOGGERS, run_assets
from mediafm_pipelines.instance import open_instance
from mediafm_pipelines.materialize import Metadata
from mediafm_pipelines.orphans import fail_orphans
from mediafm_pipelines.resources import WorkspaceResource

ROLLBACK_JOB, ROLLBACK_OP = "rollback_job", "roll_back"


class RollbackConfig(dg.Config):
    """Where to, and why."""

    to: str = Field(default="", description="At least eight digits of an earlier champion; empty for the one before.")
    reason: str = Field(default="", description="Why; kept in the ledger, in the pointers and in MLflow.")


@dg.op(
    name=ROLLBACK_OP,
    description="Returns the champion and what readers get to the checkpoint before, at once; embeds nothing. "
    "What is still to be filled is listed: reembed_job fills it, or `mediafm run`.",
)
def roll_back(context: dg.OpExecutionContext, config: RollbackConfig, workspace: WorkspaceResource) -> None:
    from mediafm.steps.rollback import rollback
    from mediafm.steps.serving import serve

    with workspace.open(context) as work:
        done = rollback(work, config.to or None, config.reason)
        served = serve(work)
    context.instance.add_run_tags(context.run.run_id, {tags.CHECKPOINT: done.to_sha256[:16]})
    context.log.info(done.sentence)
    metadata: Metadata = {
        "reason": done.reason,
        "checkpoint": done.to_sha256,
        "rolled_back_from": done.from_sha256,
        "lost": len(done.lost),
        "unfilled": len(done.unfilled),
        "rollback": dg.MetadataValue.json(done.as_json()),
    }
    for asset, version in (("champion", done.to_sha256), ("served_manifest", served.sha256)):
        context.log_event(dg.AssetMaterialization(asset, metadata=metadata, tags={"dagster/data_version": version}))


@dg.job(name=ROLLBACK_JOB, description="Champion and readers return to the checkpoint before, in seconds, on record.")
def rollback_job() -> None:
    roll_back()


def run_rollback(config: Config, definitions: dg.Definitions, to: str | None, reason: str) -> dict[str, Any]:
    """Runs `rollback_job` in this process, on the root's own instance. Returns `Rollback.as_json`, and the run's id.

    Raises:
        NotFoundError: there is no such root, or no checkpoint before; no run is begun.
        ConfigError: `to` is the champion that is being rolled out; no run is begun.
        ConflictError: a pointer was moved meanwhile; the run stands there as failed.
    """
    from mediafm.steps.existing import existing_store
    from mediafm.steps.rollback import target_of
    from mediafm.steps.workspace import Workspace

    existing_store(config)
    with Workspace.open(config) as work:
        target = target_of(work, to)
    with open_instance(config) as instance:
        fail_orphans(instance)
        result = definitions.resolve_job_def(ROLLBACK_JOB).execute_in_process(
            instance=instance,
            tags=tags.process_tags(),
            run_config={"ops": {ROLLBACK_OP: {"config": {"to": target, "reason": reason}}}, **QUIET_LOGGERS},
        )
    event = result.get_asset_materialization_events()[0]
    found: Any = event.materialization.metadata["rollback"].value
    return {**found, "dagster_run": str(result.run_id)}


def run_serve(config: Config, definitions: dg.Definitions, allow_missing: bool) -> dict[str, Any]:
    """Materialises `served_manifest` in this process. Returns `ServedManifest.as_json`, the fault if any, the run's id.

    Raises:
        NotFoundError: there is no such root.
    """
    from mediafm.steps.existing import existing_store

    existing_store(config)
    run_tags = {tags.ALLOW_MISSING: str(allow_missing).lower()}
    with open_instance(config) as instance:
        fail_orphans(instance)
        (result,) = run_assets(definitions, instance, ["served_manifest"], None, run_tags)
        event = instance.get_latest_materialization_event(dg.AssetKey("served_manifest"))
    fault = result.failed_assets.get("served_manifest", "")
    has_own = event is not None and event.run_id == result.run_id and event.asset_materialization is not None
    found: Any = event.asset_materialization.metadata["served"].value if has_own else {}
    return {**found, "fault": fault, "dagster_run": result.run_id}
