"""Jobs that look after the root: `compact_ledger_job`, `verify_store_job`, `rebuild_ledger_job`; the first two daily.

Belongs here: the jobs, their schedules and settings, what a run of them shows. Does not belong here: the work
(`mediafm.store`).
"""

import time
from typing import Any

import dagster as dg
from pydantic import Field

from mediafm.automation import AutomationSettings
from mediafm_pipelines.materialize import Metadata
from mediafm_pipelines.resources import WorkspaceResource
from mediafm_pipelines.switched import schedule_status

SECONDS_PER_DAY = 86_400


def maintenance_jobs() -> list[dg.JobDefinition]:
    return [compact_ledger_job, verify_store_job, rebuild_ledger_job]


def upkeep_schedules(settings: AutomationSettings) -> list[dg.ScheduleDefinition]:
    """`daily_compact` and `daily_verify`."""
    verify = {"ops": {"verify_store": {"config": {"parts": settings.upkeep.verify_parts}}}}
    return [
        dg.ScheduleDefinition(
            name=name,
            job=job,
            cron_schedule=settings.upkeep.cron,
            execution_timezone=settings.upkeep.timezone,
            run_config=run_config,
            default_status=schedule_status(settings, "upkeep"),
            description=str(job.description),
        )
        for name, job, run_config in (
            ("daily_compact", compact_ledger_job, {}),
            ("daily_verify", verify_store_job, verify),
        )
    ]


class CompactConfig(dg.Config):
    min_files: int = Field(default=2, ge=1, description="Fewer appended files are left as they are.")


@dg.op(description="Merges the files that runs appended to the ledger into few. Readers and runs go on meanwhile.")
def compact_ledger(context: dg.OpExecutionContext, config: CompactConfig, workspace: WorkspaceResource) -> None:
    from mediafm.errors import ConflictError
    from mediafm.store.compaction import compact
    from mediafm.store.ledger_files import ledger_keys

    with workspace.open(context) as work:
        before = len(ledger_keys(work.store.files))
        try:
            manifest = compact(work.store, config.min_files)
        except ConflictError as error:  # somebody else has just done it
            context.log.info(str(error))
            context.add_output_metadata({"files_before": before, "merged": False})
            return
        after = len(ledger_keys(work.store.files))
    context.log.info(f"{before} files of the ledger are {after} now, generation {manifest.generation}")
    context.add_output_metadata(
        {"files_before": before, "files_after": after, "generation": manifest.generation, "merged": after < before}
    )


class VerifyConfig(dg.Config):
    """Which part of the store is read again."""

    parts: int = Field(default=1, ge=1, description="Into how many parts the store is cut; one run reads one of them.")
    part: int = Field(default=-1, ge=-1, description="From 0 on; -1 takes another one each day.")


@dg.op(description="Reads stored files again and compares them with the ledger: bytes, sizes, headers. Never fails.")
def verify_store(context: dg.OpExecutionContext, config: VerifyConfig, workspace: WorkspaceResource) -> None:
    from mediafm.store.verify_parts import verify_part

    part = config.part if config.part >= 0 else part_of_the_day(time.time(), config.parts)
    with workspace.open(context) as work:
        found = verify_part(work.store, part, config.parts)
    for finding in found.findings:
        context.log.error(finding)
    context.instance.add_run_tags(context.run.run_id, {"mediafm/found": str(found.num_found)})
    metadata: Metadata = {
        "part": f"{found.part} of {found.num_parts}",
        "files": found.num_files,
        "bytes": found.num_bytes,
        "found": found.num_found,
        "result": dg.MetadataValue.json(found.as_json()),
    }
    if found.findings:
        metadata["first"] = dg.MetadataValue.md("\n".join(f"- {finding}" for finding in found.findings))
    context.add_output_metadata(metadata)


def part_of_the_day(now_seconds: float, num_parts: int) -> int:
    """A part for each day in turn: a daily schedule reads everything once in `num_parts` days."""
    return int(now_seconds // SECONDS_PER_DAY) % num_parts


@dg.op(description="Adds a record to the ledger for each stored file that none names: the files are the truth.")
def rebuild_ledger(context: dg.OpExecutionContext, workspace: WorkspaceResource) -> None:
    from mediafm.store.rebuild import rebuild_ledger as rebuild

    with workspace.open(context) as work:
        found = rebuild(work.store, work.run)
    for key in found.damaged[:10]:
        context.log.error(f"{key} is damaged: it has no record")
    for title_id in found.ambiguous_titles[:10]:
        context.log.warning(f"{title_id} has several raw records: the next scan decides which one is present")
    metadata: dict[str, Any] = {
        "records_added": found.num_rows,
        "damaged": len(found.damaged),
        "ambiguous_titles": len(found.ambiguous_titles),
    }
    context.add_output_metadata(metadata)


@dg.job(description="The ledger in few files. `mediafm run` does it at its end; those who work by sensors do it here.")
def compact_ledger_job() -> None:
    compact_ledger()


@dg.job(description="Stored files against the ledger, a part at a time; a run reports, and stops nothing.")
def verify_store_job() -> None:
    verify_store()


@dg.job(description="For a ledger that was lost: its records again, from the files alone.")
def rebuild_ledger_job() -> None:
    rebuild_ledger()
