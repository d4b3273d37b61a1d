"""What an objective is: terms whose weighted sum a step minimises, and what it keeps beside the model.

An objective gives a micro-step's *share*: sums over its rows divided by the counts of the whole step, so that cutting a
step into micro-steps, or dealing it to ranks, moves nothing but rounding; only `terms.contrast` and `spread_penalty`,
which compare a micro-step's shots with one another, depend on the cut. The model's head predicts fused vectors under
every objective: where the objective itself does not train it, it is fitted in closed form before it is looked at
(`mediafm.train.fitted_head`), so that skill is measured the same way.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from mediafm.model.mediafm import MediaFM
from mediafm.objective.batch import MaskedBatch, StepCounts

Terms = Mapping[str, tuple[float, Tensor]]
"""Term name -> (weight, this micro-step's share of the term)."""


class Objective(nn.Module):
    """What a run minimises. Its own parameters, if any, are trained beside the model's and thrown away at the end."""

    trains_head: bool = True
    """Whether the loss trains the model's head; if not, it is fitted when it is needed."""

    @abstractmethod
    def terms(self, model: MediaFM, batch: MaskedBatch, counts: StepCounts) -> Terms:
        """The weighted terms of a micro-step, float32 scalars; called under autocast where the run has it."""

    def after_step(self, model: MediaFM, step: int) -> None:
        """Called once the optimizer has moved the model; `step` counts from 1."""
        return

    def complaint(self) -> str:
        """Why the run must stop, "" as long as it need not: looked at with each evaluation."""
        return ""

    def measures(self) -> dict[str, float]:
        """What it wants to be watched for, by name."""
        return {}
