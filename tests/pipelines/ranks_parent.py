"""A step that trains on two ranks, in a process that a test may stop: `python -m tests.pipelines.ranks_parent JOB`."""

import sys
from pathlib import Path

import dagster as dg

from mediafm.config import TrainingSettings
from mediafm.train.job import TrainingJob
from mediafm_pipelines.launch import training_on_ranks


def main(job: TrainingJob) -> int:
    @dg.asset
    def trained(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        train = training_on_ranks(context, TrainingSettings(processes=2))
        result = train(job, lambda step, bound: None, lambda point: print(f"heard {point.num_steps}", flush=True))
        return dg.MaterializeResult(metadata={"sha256": result.checkpoint.sha256, "points": len(result.curves)})

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([trained], instance=instance, raise_on_error=False)
        for event in result.get_step_failure_events():
            error = event.step_failure_data.error
            while error.cause is not None:
                error = error.cause
            print(f"failed: {error.message}", flush=True)
        for one in result.asset_materializations_for_node("trained") if result.success else ():
            print({name: value.value for name, value in one.metadata.items()}, flush=True)
    return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(main(TrainingJob.read(Path(sys.argv[1]))))
