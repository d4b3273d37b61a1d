"""What all assets share: partitions, batches, pools, GPU requests, code versions, owners.

Belongs here: everything about an asset that is decided for the whole graph. Does not belong here: asset bodies.
"""

from dataclasses import dataclass
from typing import Any

import dagster as dg

from mediafm.config import Config, Profile
from mediafm.lineage.tables import TABLES
from mediafm_pipelines import tags
from mediafm_pipelines.partitions import titles_partitions

OWNERS = ["team:mediafm"]


@dataclass(frozen=True)
class Graph:
    """Settings of the graph under one configuration."""

    config: Config
    profile: Profile

    def title_asset(self, group: str, *, kinds: set[str], needs_gpu: bool = False) -> dict[str, Any]:
        """Arguments of `dg.asset` for an asset with one partition a title."""
        return {
            **self.asset(group, kinds=kinds, needs_gpu=needs_gpu),
            "partitions_def": titles_partitions,
            "backfill_policy": dg.BackfillPolicy.multi_run(self.config.orchestration.titles_per_run),
        }

    def asset(self, group: str, *, kinds: set[str], needs_gpu: bool = False, num_processes: int = 1) -> dict[str, Any]:
        """Arguments of `dg.asset` for an asset without partitions, whose step has so many processes on GPUs."""
        arguments: dict[str, Any] = {"group_name": group, "kinds": kinds, "owners": OWNERS}
        if needs_gpu:
            arguments["op_tags"] = tags.gpu_request(self.config.orchestration.gpus_per_step * num_processes)
            arguments["pool"] = self.profile.pool
        return arguments

    @staticmethod
    def code_version(asset: str) -> str:
        """The step versions of all tables that the asset writes."""
        return ".".join(str(spec.step_version) for spec in TABLES.values() if spec.asset == asset)
