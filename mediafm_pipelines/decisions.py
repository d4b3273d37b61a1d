"""Decisions about the champion as Dagster shows them, and `promote_job`: a person's promotion as a run on record.

Belongs here: a decision as metadata, the job, and running it in this process. Does not belong here: the rule.
"""

import dagster as dg
from pydantic import Field

from mediafm.config import Config
from mediafm.steps.decision import Decision
from mediafm_pipelines import tags
from mediafm_pipelines.execution import QUIET_LOGGERS
from mediafm_pipelines.instance import open_instance
from mediafm_pipelines.materialize import Metadata
from mediafm_pipelines.orphans import fail_orphans
from mediafm_pipelines.resources import WorkspaceResource

CHAMPION_ASSET, PROMOTE_JOB, PROMOTE_OP = "champion", "promote_job", "promote_checkpoint"


def decision_metadata(decision: Decision) -> Metadata:
    """What a materialisation of `champion` says: in short, as a table, and whole as JSON."""
    return {
        "verdict": decision.verdict,
        "reason": decision.reason,
        "checkpoint": decision.checkpoint_sha256 or "none yet",
        "candidate": decision.candidate_sha256 or "none",
        "champion_before": decision.champion_before or "none",
        "is_provisional": decision.is_provisional,
        "test_set_times_used": decision.times_used,
        "decision": dg.MetadataValue.md(decision.as_markdown()),
        "numbers": dg.MetadataValue.json(decision.as_json()),
    }


class PromoteConfig(dg.Config):
    """What a person says who overrides the gate."""

    checkpoint: str = Field(description="The checkpoint's sha256, or at least its first eight digits.")
    reason: str = Field(description="Why it is to be the champion; kept in the ledger and in MLflow.")


@dg.op(
    name=PROMOTE_OP,
    description="Makes a checkpoint the champion, whatever the gate said of it; refused if its vectors collapsed. "
    "Run reembed_job and serve_job afterwards, or `mediafm run`.",
)
def promote_checkpoint(context: dg.OpExecutionContext, config: PromoteConfig, workspace: WorkspaceResource) -> None:
    from mediafm.steps.override import promote

    with workspace.open(context) as work:
        decision = promote(work, config.checkpoint, config.reason)
    sha256 = str(decision.checkpoint_sha256)
    context.instance.add_run_tags(context.run.run_id, {tags.CHECKPOINT: sha256[:16]})
    context.log.info(f"{decision.verdict}: {decision.reason}")
    context.log_event(
        dg.AssetMaterialization(
            CHAMPION_ASSET, metadata=decision_metadata(decision), tags={"dagster/data_version": sha256}
        )
    )


@dg.job(name=PROMOTE_JOB, description="A person's promotion of a checkpoint past the gate, with the reason, on record.")
def promote_job() -> None:
    promote_checkpoint()


def run_promotion(config: Config, definitions: dg.Definitions, checkpoint: str, reason: str) -> tuple[Decision, str]:
    """Runs `promote_job` in this process, on the root's own instance. Returns the decision and the run's id.

    Raises:
        ConfigError, NotFoundError: the reason is blank, or there is no such root or checkpoint; no run is begun.
        TrainingError: the checkpoint must not be champion; the run stands there as failed.
    """
    from mediafm.steps.existing import existing_store
    from mediafm.steps.override import promotable

    sha256 = promotable(existing_store(config), checkpoint, reason)
    with open_instance(config) as instance:
        fail_orphans(instance)
        result = definitions.resolve_job_def(PROMOTE_JOB).execute_in_process(
            instance=instance,
            tags=tags.process_tags(),
            run_config={"ops": {PROMOTE_OP: {"config": {"checkpoint": sha256, "reason": reason}}}, **QUIET_LOGGERS},
        )
    (event,) = result.get_asset_materialization_events()
    return Decision.from_json(event.materialization.metadata["numbers"].value), str(result.run_id)
