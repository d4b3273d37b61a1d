"""Jobs: parts of the graph that are run together.

Belongs here: which assets go together, and their run tags. Does not belong here: when they run (sensors, schedules).
"""

from typing import Any

import dagster as dg

from mediafm.config import Profile
from mediafm.shots.registry import NETWORKS
from mediafm.types import Modality
from mediafm_pipelines import tags
from mediafm_pipelines.assets.embeddings import needs_gpu
from mediafm_pipelines.decisions import promote_job
from mediafm_pipelines.graph import Graph
from mediafm_pipelines.maintenance import maintenance_jobs
from mediafm_pipelines.partitions import register_titles as register
from mediafm_pipelines.resources import WorkspaceResource
from mediafm_pipelines.rollback import rollback_job

INGEST = (
    "raw_titles",
    "metadata_embeddings",
    "shots",
    "video_embeddings",
    "audio_embeddings",
    "text_embeddings",
    "fused_embeddings",
)
"""Everything that a title needs before a model reads it, in the order of the graph, without a transcriber."""
RETRAIN = ("labels", "training_manifest", "mediafm_checkpoint", "checkpoint_probes", "champion")
REEMBED = ("contextual_embeddings",)
SERVE = ("served_manifest", "probe_metrics")


INGEST_JOB, RETRAIN_JOB, REEMBED_JOB, SERVE_JOB = "ingest_job", "retrain_job", "reembed_job", "serve_job"
ONE_TRAINING = {tags.EXCLUSIVE: "training"}


def ingest_assets(profile: Profile) -> tuple[str, ...]:
    """As `INGEST`, with the transcripts before the shots where the profile has a transcriber."""
    place = INGEST.index("shots")
    return (*INGEST[:place], "transcripts", *INGEST[place:]) if profile.transcriber else INGEST


def ingests_on_networks(profile: Profile) -> bool:
    """Whether any step of an ingest runs a network: where none does, its runs ask for no GPU."""
    encoders = [profile.encoder(modality).name for modality in Modality]
    return profile.detector.name in NETWORKS or any(map(needs_gpu, encoders)) or profile.transcriber is not None


def build_jobs(graph: Graph) -> list[Any]:
    num_gpus = graph.config.orchestration.gpus_per_step
    ingest = _gpu_run_tags(num_gpus if ingests_on_networks(graph.profile) else 0)
    retrain = _gpu_run_tags(num_gpus * graph.config.training.processes)
    return [
        dg.define_asset_job(INGEST_JOB, dg.AssetSelection.assets(*ingest_assets(graph.profile)), tags=ingest),
        dg.define_asset_job(RETRAIN_JOB, dg.AssetSelection.assets(*RETRAIN), tags={**retrain, **ONE_TRAINING}),
        dg.define_asset_job(REEMBED_JOB, dg.AssetSelection.assets(*REEMBED), tags=_gpu_run_tags(num_gpus)),
        dg.define_asset_job(SERVE_JOB, dg.AssetSelection.assets(*SERVE)),
        promote_job,
        rollback_job,
        register_titles_job,
        *maintenance_jobs(),
    ]


def _gpu_run_tags(num_gpus: int) -> dict[str, Any]:
    """GPU requests for launchers that start one pod a run: they read run tags, not op tags."""
    return dict(tags.gpu_request(num_gpus))


@dg.op(description="Scans the root's catalogues and makes a partition of each title that is new.")
def register_listed_titles(context: dg.OpExecutionContext, workspace: WorkspaceResource) -> None:
    from mediafm.steps.catalogs import scan_known

    with workspace.open(context) as work:
        catalog = scan_known(work)
    for problem in catalog.problems:
        context.log.warning(str(problem))
    new = register(context.instance, [title.title_id for title in catalog.titles])
    context.log.info(f"{len(catalog.titles)} titles listed, {len(new)} of them new")
    context.add_output_metadata({"listed": len(catalog.titles), "new": len(new), "problems": len(catalog.problems)})


@dg.job(name="register_titles", description="For those who keep sensors off: makes new titles known to Dagster.")
def register_titles_job() -> None:
    register_listed_titles()
