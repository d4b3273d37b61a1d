"""Predict a teacher's contextual view of masked shots: the AV-data2vec objective carried to shots.

Source: Lian et al. 2023, "AV-data2vec" (after Baevski et al. 2022, "data2vec"): the student reads a masked sequence, an
exponential moving average of it reads the whole; the student regresses, at masked positions, the average of the
teacher's top K blocks, each instance-normalised over time; a scheduler draws for either whether it reads all modalities
or fewer; the teacher's inertia tau is annealed. Ours: "time" is the title's shots, without [CLS] and [GLOBAL]; three
modalities give all, two or one, so nine combinations of student and teacher; blocks' outputs are the targets; a title
of fewer than `MIN_TITLE_SHOTS` shots has no statistics and gives no loss; the model's head takes no part and is
fitted in closed form whenever skill is measured.

Collapse is watched before the normalisation, which would hide it: the teacher's standard deviation over a title.

B sequences, N shots, n shots of a title, M masked shots, D model width.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from mediafm.model.batch import PackedShots
from mediafm.model.blocks import Linear
from mediafm.model.mediafm import MediaFM
from mediafm.objective.batch import MaskedBatch, StepCounts
from mediafm.objective.config import ContextualConfig, ObjectiveConfig
from mediafm.objective.objective import Objective, Terms

MIN_TITLE_SHOTS = 4
_EPS = 1e-5
_MEMORY = 0.9
"""Share of the watched standard deviation that a step keeps."""


class Contextual(Objective):
    """The `contextual` family. Its teacher and its regression head are state of the run, not of the checkpoint."""

    trains_head = False
    teacher_std: Tensor

    def __init__(self, config: ObjectiveConfig, model: MediaFM, seed: int) -> None:
        super().__init__()
        self.config: ContextualConfig = config.contextual
        width = model.config.hidden_dim
        self.norm = nn.LayerNorm(width, bias=False)
        self.regress = Linear(width, width)
        with torch.no_grad():
            self.regress.weight.normal_(0.0, width**-0.5, generator=torch.Generator().manual_seed(seed))
            self.regress.bias.zero_()
        self.teacher = copy.deepcopy(model).requires_grad_(False).eval()
        self.register_buffer("teacher_std", torch.tensor(float("nan")))

    def terms(self, model: MediaFM, batch: MaskedBatch, counts: StepCounts) -> Terms:
        rows_M = batch.is_masked_N.nonzero().squeeze(1)
        last_ND = model.shot_layers(batch.shots)[-1]
        last_MD = last_ND.index_select(0, rows_M)
        predicted_MD = self.regress(self.norm(last_MD))
        targets_ND = self._targets(batch.teacher if batch.teacher is not None else batch.shots)
        with torch.autocast(predicted_MD.device.type, enabled=False):
            errors_M = (predicted_MD.float() - targets_ND.index_select(0, rows_M)).square().mean(1)
            is_told_M = _in_long_titles(batch.shots, rows_M)
            return {"contextual": (1.0, (errors_M * is_told_M).sum() / counts.num_masked)}

    @torch.no_grad()
    def after_step(self, model: MediaFM, step: int) -> None:
        annealed = min(1.0, step / self.config.tau_steps)
        tau = self.config.tau_start + (self.config.tau_end - self.config.tau_start) * annealed
        for own, other in zip(self.teacher.parameters(), model.parameters(), strict=True):
            own.lerp_(other, 1.0 - tau)

    def complaint(self) -> str:
        std = float(self.teacher_std)
        if std < self.config.min_teacher_std:
            return (
                f"the teacher's outputs vary by {std:.3g} over a title, less than "
                f"min_teacher_std = {self.config.min_teacher_std}: it has collapsed"
            )
        return ""

    def measures(self) -> dict[str, float]:
        std = float(self.teacher_std)
        return {"teacher_std": std} if std == std else {}

    @torch.no_grad()
    def _targets(self, shots: PackedShots) -> Tensor:
        """The average of the teacher's top blocks, each instance-normalised over its title, float32 [N, D]."""
        top = self.teacher.shot_layers(shots)[1:][-self.config.target_blocks :]
        stds, normed = [], []
        for x_ND in top:
            titles = torch.split(x_ND.float(), list(shots.num_shots))
            long = [title for title in titles if len(title) >= MIN_TITLE_SHOTS]
            stds += [title.std(0).mean() for title in long]
            normed.append(torch.cat([instance_norm(title) for title in titles]))
        if stds:
            std = torch.stack(stds).mean()
            was = self.teacher_std
            self.teacher_std.copy_(torch.where(torch.isnan(was), std, _MEMORY * was + (1 - _MEMORY) * std))
        return torch.stack(normed).mean(0)


def instance_norm(title_nD: Tensor) -> Tensor:
    """Each coordinate with mean 0 and variance 1 over the title's shots, [n, D]; zeros for a single shot."""
    return functional.instance_norm(title_nD.T[None], eps=_EPS)[0].T if len(title_nD) > 1 else title_nD * 0.0


def _in_long_titles(shots: PackedShots, rows_M: Tensor) -> Tensor:
    """bool [M]: whether a row's title has shots enough."""
    lengths_B = torch.tensor(shots.num_shots)
    is_long_N = torch.repeat_interleave(lengths_B >= MIN_TITLE_SHOTS, lengths_B)
    return is_long_N.to(rows_M.device).index_select(0, rows_M)
