"""Trains a job: `python -m mediafm.train JOB`, or on several GPUs or hosts `torchrun ... -m mediafm.train JOB`.

JOB is a file of `mediafm.train.job.TrainingJob`. The first rank prints a line at each evaluation.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mediafm.errors import MediaFMError
from mediafm.train.lifeline import end_with_parent


def main() -> int:
    """The exit status: 0, 1 after an error that is told, 2 for a wrong call."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m mediafm.train JOB\n")
        return 2
    end_with_parent()  # before torch is imported, which takes seconds
    from mediafm.train.curves import CurvePoint
    from mediafm.train.job import TrainingJob, run_job

    def say(point: CurvePoint) -> None:
        print(f"step {point.step}: validation loss {point.validation_loss:.4f}", flush=True)

    try:
        run_job(TrainingJob.read(Path(sys.argv[1])), on_metrics=say)
    except MediaFMError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
