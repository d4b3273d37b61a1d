"""The code location: `defs` is what Dagster loads, and `build_defs` the only assembly.

Belongs here: putting the parts together. Does not belong here: any part.
"""

import json
import os
import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from mediafm.config import Config, load_config, load_profile
from mediafm_pipelines.assets.catalog import catalog_assets
from mediafm_pipelines.assets.embeddings import embedding_assets
from mediafm_pipelines.assets.evaluation import evaluation_assets
from mediafm_pipelines.assets.shots import shots_assets
from mediafm_pipelines.assets.training import training_assets
from mediafm_pipelines.checks import asset_checks
from mediafm_pipelines.graph import Graph
from mediafm_pipelines.jobs import build_jobs
from mediafm_pipelines.resources import WorkspaceResource
from mediafm_pipelines.sensors import build_schedules, build_sensors

FLAGS_VARIABLE = "MEDIAFM_FLAGS"
"""How `mediafm ui` hands its flags to the processes that Dagster starts: a JSON object of top-level fields."""


def build_defs(config: Config | None = None, overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The whole graph under one configuration.

    Args:
        config: the configuration; `mediafm.toml` of the working directory (else the defaults) unless given.
        overrides: resources by name that replace ours.
    """
    settings = config or load_config(overrides=json.loads(os.environ.get(FLAGS_VARIABLE, "{}")))
    graph = Graph(settings, load_profile(settings.profile))
    jobs = build_jobs(graph)
    workspace = WorkspaceResource.of(settings)
    return dg.Definitions(
        assets=_assets(graph),
        asset_checks=asset_checks(graph),
        jobs=jobs,
        sensors=build_sensors(graph, jobs),
        schedules=build_schedules(graph),
        resources={"workspace": workspace, **(overrides or {})},
        executor=dg.in_process_executor,
    )


def _assets(graph: Graph) -> list[dg.AssetsDefinition]:
    with warnings.catch_warnings():
        # `backfill_policy=` is beta in 1.13; the pin in constraints.txt is what protects us from its changing.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return [
            *catalog_assets(graph),
            *shots_assets(graph),
            *embedding_assets(graph),
            *training_assets(graph),
            *evaluation_assets(graph),
        ]


defs = build_defs()
