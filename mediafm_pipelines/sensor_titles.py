"""`new_titles_sensor`: titles that came, changed or went, in any catalogue that the root knows.

Belongs here: which runs are asked for, in which ranges, and how many. Does not belong here: what counts as new
(`mediafm.steps.arrivals`), or the work (`ingest_job`).

The cursor is that of `Watch.as_json`: titles that were seen once, titles that were missed once, and titles that were
asked for and are not on record yet; each at most a few ticks' worth, whatever the size of the catalogue. `began` sets
run keys apart from those of a cursor that was reset.
"""

import time
from typing import Any

import dagster as dg

from mediafm.config import Config
from mediafm.lineage.fingerprint import fingerprint, short
from mediafm_pipelines import tags
from mediafm_pipelines.in_flight import titles_in_flight, unfinished_runs
from mediafm_pipelines.jobs import INGEST_JOB
from mediafm_pipelines.partitions import TitleRange, contiguous_ranges, titles_partitions
from mediafm_pipelines.resources import WorkspaceResource
from mediafm_pipelines.switched import read_cursor, sensor_status, written_cursor

NAME = "new_titles_sensor"


def new_titles_sensor(config: Config) -> dg.SensorDefinition:
    settings = config.automation.new_titles

    @dg.sensor(
        name=NAME,
        job_name=INGEST_JOB,
        minimum_interval_seconds=settings.interval_seconds,
        default_status=sensor_status(config.automation, "new_titles"),
        description="Looks at the catalogues by names, sizes and times: registers new titles and asks for ingest runs "
        "over them, also over changed ones; marks those that are gone. A file is taken up once two ticks saw it alike.",
    )
    def look_at_catalogues(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SensorResult:
        from mediafm.steps.arrivals import Watch, asked_for, look, mark_vanished

        runs = unfinished_runs(context.instance)
        registered = context.instance.get_dynamic_partitions("titles")
        in_flight = titles_in_flight(runs, registered)
        watch = Watch.from_json(read_cursor(context.cursor), int(time.time()))
        with workspace.open_outside_runs(NAME) as work:
            found = look(work, watch, settings, in_flight)
            vanished = mark_vanished(work, found.vanished)
        for problem in found.problems[:10]:
            context.log.warning(str(problem))
        if found.withheld:
            context.log.warning(found.withheld)
        num_over_titles = sum(bool(titles_in_flight([run], registered)) for run in runs)
        ranges = _ranges(config, registered, found.ready, settings.max_runs_in_flight - num_over_titles)
        asked = [title_id for each in ranges for title_id in each.title_ids]
        known = set(registered)
        new = [title_id for title_id in asked if title_id not in known]
        after = asked_for(found.watch, asked)
        return dg.SensorResult(
            run_requests=[_request(each, after) for each in ranges],
            skip_reason=None if ranges else _why_nothing(found, num_over_titles),
            dynamic_partitions_requests=[titles_partitions.build_add_request(new)] if new else [],
            cursor=written_cursor(after.as_json()),
            asset_events=[
                dg.AssetObservation(
                    "raw_titles", partition=one.title_id, metadata={"state": str(one.state), "reason": one.reason}
                )
                for one in vanished
            ],
        )

    return look_at_catalogues


def _ranges(config: Config, registered: list[str], ready: tuple[str, ...], num_free: int) -> list[TitleRange]:
    """Runs over what is ready; as many as a tick may ask for. New titles follow the registered ones in order."""
    order = [*registered, *(title_id for title_id in ready if title_id not in set(registered))]
    found = contiguous_ranges(order, ready, config.orchestration.titles_per_run)
    return found[: max(0, min(num_free, config.automation.new_titles.max_runs_per_tick))]


def _request(titles: TitleRange, watch: Any) -> dg.RunRequest:
    """One run over a range. Its key says which titles, in which state of their files, for the how manieth time."""
    state = short(fingerprint([watch.began, *(list(watch.tried[title_id]) for title_id in titles.title_ids)]))
    first, last = titles.title_ids[0], titles.title_ids[-1]
    return dg.RunRequest(run_key=f"{first}..{last}:{state}", tags={**titles.tags, tags.REQUESTED_BY: NAME})


def _why_nothing(found: Any, num_over_titles: int) -> str:
    """One sentence for the tick."""
    said = []
    if found.ready:
        said.append(f"{len(found.ready)} titles wait: {num_over_titles} runs over titles are queued or under way")
    if found.num_settling:
        said.append(f"{found.num_settling} titles to be seen once more before they are taken up")
    if found.vanished:
        said.append(f"{len(found.vanished)} marked as vanished")
    elif found.watch.absent:
        said.append(f"{len(found.watch.absent)} titles are gone, to be missed once more before they are marked")
    if found.given_up:
        said.append(f"{len(found.given_up)} titles were asked for in vain: look at their runs, then `mediafm run`")
    return "; ".join([*said, found.withheld] if found.withheld else said) or "nothing new"
