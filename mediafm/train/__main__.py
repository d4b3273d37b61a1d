"""Trains a job: `python -m mediafm.train JOB`, or on several GPUs or hosts `torchrun ... -m mediafm.train JOB`.

JOB is a file of `mediafm.train.job.TrainingJob`. The first rank prints each evaluation, and tells of it and of the
steps in `told.jsonl` beside the job.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from mediafm.errors import MediaFMError
from mediafm.train.lifeline import end_with_parent


def main() -> int:
    """The exit status: 0, 1 after an error that is told, 2 for a wrong call."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m mediafm.train JOB\n")
        return 2
    end_with_parent()  # before torch is imported, which takes seconds
    from mediafm.train.job import TOLD_FILE, TrainingJob, run_job

    def tell(told: Mapping[str, object]) -> None:
        with (Path(job.output) / TOLD_FILE).open("a") as file:
            file.write(f"{json.dumps(told)}\n")
        if "point" in told:
            print(json.dumps(told["point"]), flush=True)

    try:
        job = TrainingJob.read(Path(sys.argv[1]))
        run_job(job, tell)
    except MediaFMError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
