"""The terms that objectives are made of: pure functions of tensors, float32 whatever the model computes in.

M rows, E fused width, D model width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mediafm.objective.blocks import Blocks

STD_MARGIN = 1.0
_STD_EPS = 1e-4


def cosine_distances(predicted_ME: Tensor, target_ME: Tensor) -> Tensor:
    """1 - cosine of each row, float32 [M], in [0, 2]; a zero row has distance 1."""
    predicted_ME, target_ME = predicted_ME.float(), target_ME.float()
    return 1.0 - functional.cosine_similarity(predicted_ME, target_ME, dim=-1, eps=1e-8)


def standardised_errors(predicted_ME: Tensor, target_ME: Tensor, blocks: Blocks) -> Tensor:
    """Squared error of each block over that block's variance on training shots, float32 [M, 3].

    Targets standardised per modality (after MAE, He et al. 2022, section 4, where normalised targets do better; theirs
    per patch, ours by the modality's own mean and one variance): who predicts the training mean has error 1 in every
    modality, so that no modality owns the loss by its spread.

    Args:
        target_ME: from `Blocks.targets`.
    """
    error_ME = (predicted_ME.float() - target_ME).square()
    columns = [
        error_ME[:, where].sum(1) / variance for where, variance in zip(blocks.slices, blocks.variances, strict=True)
    ]
    return torch.stack(columns, dim=1)


def mean_over_modalities(errors_M3: Tensor, is_counted_M3: Tensor, counts: tuple[int, int, int]) -> Tensor:
    """A micro-step's share of the mean over modalities of the mean error, a scalar; a modality without any is left out.

    Args:
        counts: rows that count in the whole step, by modality.
    """
    sums_3 = (errors_M3 * is_counted_M3).sum(0)
    shares = [total / count for total, count in zip(sums_3, counts, strict=True) if count > 0]
    return torch.stack(shares).mean() if shares else sums_3.sum() * 0.0


def contrast(predicted_ME: Tensor, true_NE: Tensor, own_M: Tensor, temperature: float) -> Tensor:
    """InfoNCE of each masked shot's prediction against all true shots of the batch, float32 [M].

    Source: van den Oord et al. 2018, "Representation Learning with Contrastive Predictive Coding", equation 4; wav2vec
    2.0 (Baevski et al. 2020) takes distractors of the same utterance. Ours: every other shot of the micro-step, those
    of the same title among them; so, unlike the other terms, it depends on how a step is cut and shared out.

    Args:
        true_NE: fused vectors of all shots.
        own_M: int64; the row among N that is each prediction's answer.
    """
    similarity_MN = functional.normalize(predicted_ME.float(), dim=-1) @ functional.normalize(true_NE.float(), dim=-1).T
    return functional.cross_entropy(similarity_MN / temperature, own_M, reduction="none")


def spread_penalty(vectors_ND: Tensor) -> Tensor:
    """How far exported vectors are from spread: variance hinge plus squared covariance, a float32 scalar.

    Source: VICReg (Bardes et al. 2022, section 4.1, equations 1 to 4): each coordinate's standard deviation over the
    batch at least 1, coordinates uncorrelated. Ours: unit rows scaled by sqrt(D), so that a spread-out vector's
    coordinates have size 1; one weight for both terms (theirs 25 to 1). Statistics of the micro-step's shots: like
    `contrast`, and unlike the other terms, it depends on how a step is cut and shared out.
    """
    count, width = vectors_ND.shape
    if count < 2:
        return vectors_ND.float().sum() * 0.0
    rows = functional.normalize(vectors_ND.float(), dim=-1) * width**0.5
    rows = rows - rows.mean(0)
    std_D = (rows.square().sum(0) / (count - 1) + _STD_EPS).sqrt()
    covariance_DD = rows.T @ rows / (count - 1)
    off_diagonal = covariance_DD - torch.diag(torch.diagonal(covariance_DD))
    penalty: Tensor = functional.relu(STD_MARGIN - std_D).mean() + off_diagonal.square().sum() / width
    return penalty
