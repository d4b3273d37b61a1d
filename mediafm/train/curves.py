"""What a run recorded on its way: one point at each evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from mediafm.types import Json


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One evaluation.

    step: steps behind the weights.
    num_steps: steps that the run has taken, those after the state that the decay went back to included; it only grows.
    epoch: passes begun over the training titles.
    phase: "stable" (warm-up included) or "decay".
    train_loss: mean loss of the steps since the last point.
    train_terms: mean of each of the objective's terms since the last point, and what it wants watched.
    validation_loss: on the stored masks; mean over groups of the mean over masked shots.
    validation_skill: total; None where no modality could be measured.
    skill_by_modality: on validation.
    muon_lr, adamw_lr: rates of the last step.
    gradient_norm: of the last step, before clipping.
    rank_share: effective rank of what would be exported, over the fused vectors'; None where it cannot be said.
    shots_per_second: training throughput since the last point, evaluation left out.
    loader_stall_share: of that time, how much the steps waited for their data.
    seconds: since the loop began.
    """

    step: int
    num_steps: int
    epoch: int
    phase: str
    train_loss: float
    train_terms: Mapping[str, float]
    validation_loss: float
    validation_skill: float | None
    skill_by_modality: Mapping[str, float]
    muon_lr: float
    adamw_lr: float
    gradient_norm: float
    rank_share: float | None
    shots_per_second: float
    loader_stall_share: float
    seconds: float

    def as_json(self) -> dict[str, Json]:
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """The numbers by flat name, as MLflow takes them; what is None is left out."""
        numbers = {
            "train_loss": self.train_loss,
            "validation_loss": self.validation_loss,
            "validation_skill": self.validation_skill,
            "muon_lr": self.muon_lr,
            "adamw_lr": self.adamw_lr,
            "gradient_norm": self.gradient_norm,
            "rank_share": self.rank_share,
            "shots_per_second": self.shots_per_second,
            "loader_stall_share": self.loader_stall_share,
            "epoch": float(self.epoch),
            **{f"train_{name}": value for name, value in self.train_terms.items()},
            **{f"validation_skill_{name}": value for name, value in self.skill_by_modality.items()},
        }
        return {name: value for name, value in numbers.items() if value is not None}
