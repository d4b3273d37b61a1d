"""What each rank does in the tests of several ranks: `python -m tests.unit.train.rank_scenarios NAME FOLDER`.

The folder holds a root and its job. What a rank finds it leaves in `<name>-<rank>.json` or in a result's folder.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.errors import StoreError, TrainingError
from mediafm.objective.config import resolve as resolve_objective
from mediafm.train.config import TrainConfig
from mediafm.train.job import TrainingJob, open_job, write_result
from mediafm.train.loop import TrainResult, train
from mediafm.train.ranks import Ranks, joined
from mediafm.train.run_state import RunFolder


class StoppedError(Exception):
    """What a kill looks like from inside."""


class BadCorpus(Corpus):
    """One that is "torn" or holds "nan" on the second rank, once it is said to."""

    fault = ""

    def title(self, title_id: str) -> Any:
        found = super().title(title_id)
        if os.environ["RANK"] == "0" or not BadCorpus.fault:
            return found
        if BadCorpus.fault == "torn":
            raise StoreError("half a file", rule="the corpus is whole", where=f"title {title_id}")
        return replace(found, fused=np.full_like(found.fused, np.nan))


def told(work: Callable[[], object]) -> str:
    """The class and the words of the error that `work` raises."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return f"{type(error).__name__} {error}"
    return "no error"


def basics(ranks: Ranks, job: TrainingJob, folder: Path) -> dict[str, object]:
    """The single things that ranks tell each other."""
    parameters = [nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(1))]
    parameters[0].grad = torch.full((2, 3), float(ranks.rank + 1))
    if ranks.rank == 1:
        parameters[1].grad = torch.arange(4.0)
    ranks.sum_gradients(parameters)
    own = torch.full((3 * ranks.rank,), float(ranks.rank))
    module = nn.BatchNorm1d(2)
    module.running_mean.fill_(float(ranks.rank))
    ranks.copy_buffers(module)
    return {
        "gradients": [None if one.grad is None else one.grad.flatten().tolist() for one in parameters],
        "own": ranks.own(["a", "b", "c"], [1, 5, 3]),
        "of_first": ranks.of_first(float(ranks.rank) + 0.5),
        "gathered": [part.tolist() for part in ranks.gather(own, [0, 3])],
        "summed": ranks.summed(lambda: {"all": 0.1, f"only {ranks.rank}": 1.0}),
        "buffer": module.running_mean.tolist(),
        "together": ranks.together(lambda: ranks.rank),
        "same": told(lambda: ranks.check_same("weights", "abc")),
        "differ": told(lambda: ranks.check_same("weights", f"digest {ranks.rank}")),
        "foreign": told(lambda: ranks.together(lambda: fail_on_second(ranks))),
    }


def fail_on_second(ranks: Ranks) -> None:
    if ranks.rank == 1:
        raise StoreError("no space left", rule="a disk has room", where="title x", remedy="Make room.")


def straight(ranks: Ranks, job: TrainingJob, folder: Path) -> dict[str, object]:
    """A run that is never stopped."""
    return left(run(ranks, job, None), folder / f"straight-{ranks.rank}")


def resumed(ranks: Ranks, job: TrainingJob, folder: Path) -> dict[str, object]:
    """A run that is stopped on all ranks and begun again."""
    states = RunFolder(folder / "states")

    def stop(step: int, bound: int) -> None:
        if step == 11:
            raise StoppedError("at step 11")

    stopped = told(lambda: run(ranks, job, states, stop))
    found = run(ranks, job, states)
    return {"stopped": stopped, "at": found.resumed_at_step, **left(found, folder / f"resumed-{ranks.rank}")}


def from_one(ranks: Ranks, job: TrainingJob, folder: Path) -> dict[str, object]:
    """A run that one rank began."""
    return left(run(ranks, job, RunFolder(folder / "states-of-one")), folder / f"from_one-{ranks.rank}")


def torn(ranks: Ranks, job: TrainingJob, folder: Path) -> dict[str, object]:
    """The second rank cannot read a title in the middle of the run."""
    return {"error": bad(ranks, job, "torn")}


def nan(ranks: Ranks, job: TrainingJob, folder: Path) -> dict[str, object]:
    """The second rank reads what is no number."""
    return {"error": bad(ranks, job, "nan")}


def bad(ranks: Ranks, job: TrainingJob, fault: str) -> str:
    manifest, corpus = open_job(job)
    broken = BadCorpus(**{name: getattr(corpus, name) for name in Corpus.__dataclass_fields__})

    def spoil(step: int, bound: int) -> None:
        BadCorpus.fault = fault if step == 3 else ""

    found = told(lambda: train(manifest, broken, job.config, ranks=ranks, progress=spoil))
    BadCorpus.fault = ""
    return found


def contextual(ranks: Ranks, job: TrainingJob, folder: Path) -> dict[str, object]:
    """Another objective, with a teacher that follows the model, and an average of the weights."""
    return left(run(ranks, replace(job, config=with_teacher(job.config)), None), folder / f"contextual-{ranks.rank}")


def with_teacher(config: TrainConfig) -> TrainConfig:
    return replace(config, objective=resolve_objective("contextual_scheduled", {}), weight_ema=0.9, max_steps=12)


def unequal(ranks: Ranks, job: TrainingJob, folder: Path) -> dict[str, object]:
    """The ranks were given different seeds."""
    config = replace(job.config, seed=ranks.rank)
    return {"error": told(lambda: run(ranks, replace(job, config=config), None))}


def silent(ranks: Ranks, job: TrainingJob, folder: Path) -> dict[str, object]:
    """The second rank dies without a word."""

    def die(step: int, bound: int) -> None:
        if step == 3 and ranks.rank == 1:
            os._exit(9)

    run(ranks, job, None, die)
    raise TrainingError("the end", rule="a dead rank ends the others")


def run(ranks: Ranks, job: TrainingJob, states: RunFolder | None, progress: Any = None) -> TrainResult:
    manifest: TrainingManifest
    manifest, corpus = open_job(job)
    return train(manifest, corpus, job.config, ranks=ranks, folder=states, progress=progress)


def left(result: TrainResult, folder: Path) -> dict[str, object]:
    folder.mkdir(parents=True)
    write_result(result, folder)
    return {"notes": list(result.notes)}


def main(names: str, folder: Path) -> None:
    job = TrainingJob.read(folder / "job" / "job.json")
    with joined("cpu", timeout_seconds=500) as ranks:
        for name in names.split(","):
            found = globals()[name](ranks, job, folder)
            (folder / f"{name}-{ranks.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
