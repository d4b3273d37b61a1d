"""One rank of a training that Dagster launched: `torchrun ... -m mediafm_pipelines.train_ranks JOB`.

Belongs here: what the first rank tells Dagster. Does not belong here: the training (`python -m mediafm.train` is the
same without Dagster).
"""

import os
import sys
from pathlib import Path
from typing import Any

from mediafm.errors import MediaFMError
from mediafm.train.lifeline import end_with_parent


def main() -> int:
    end_with_parent()  # before torch is imported, which takes seconds
    from mediafm.train.job import TrainingJob, run_job

    try:
        job = TrainingJob.read(Path(sys.argv[1]))
        if os.environ.get("RANK", "0") == "0":
            _report(job)
        else:
            run_job(job)
    except MediaFMError as error:
        sys.stderr.write(f"rank {os.environ.get('RANK', '0')}: {error}\n")
        return 1
    return 0


def _report(job: Any) -> None:
    from dagster_pipes import open_dagster_pipes

    from mediafm.train.job import run_job

    with open_dagster_pipes() as pipes:
        run_job(job, pipes.report_custom_message)
        pipes.log.info(f"the first of {os.environ.get('WORLD_SIZE', '1')} ranks left its checkpoint in {job.output}")


if __name__ == "__main__":
    sys.exit(main())
