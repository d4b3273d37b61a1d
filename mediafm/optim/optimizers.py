"""Muon for hidden matrices and AdamW for the rest, stepped as one.

Muon: Jordan et al. 2024; `adjust_lr_fn="match_rms_adamw"` (Liu et al. 2025, "Muon is Scalable for LLM Training",
section 2.2) scales its update to the size of AdamW's, so that one learning rate and one weight decay serve both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from mediafm.optim.groups import DEFAULT_RULES, GroupRule, assign
from mediafm.optim.shared_muon import Exchange, SharedMuon
from mediafm.types import Json


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """Learning rates and their kin.

    muon_lr, adamw_lr: at the schedule's top.
    weight_decay: decoupled, of every decayed group.
    muon_momentum, adamw_betas: of the moving averages.
    clip_norm: gradients' global norm is cut to this.
    hidden_optimizer: "muon", or "adamw" to give the hidden matrices to AdamW as well (for comparisons).
    """

    muon_lr: float = 1e-3
    adamw_lr: float = 5e-4
    weight_decay: float = 0.05
    muon_momentum: float = 0.95
    adamw_betas: tuple[float, float] = (0.9, 0.95)
    clip_norm: float = 1.0
    hidden_optimizer: str = "muon"

    def as_json(self) -> dict[str, Json]:
        return asdict(self)


class Optimizers:
    """The optimizers of one model; their learning rates follow one scale."""

    def __init__(
        self,
        module: nn.Module,
        config: OptimConfig,
        rules: Sequence[GroupRule] = DEFAULT_RULES,
        exchange: Exchange | None = None,
        heads: nn.Module | None = None,
    ) -> None:
        """Groups of `module` follow `rules`; what takes no gradient is in none.

        Args:
            exchange: the ranks that Muon's matrices are shared out among; None or one of them for this process.
            heads: what an objective trains beside the model; goes to AdamW, its matrices decayed.
        """
        self._config = config
        trained = (
            [parameter for parameter in heads.parameters() if parameter.requires_grad] if heads is not None else []
        )
        self._parameters = [*(item for item in module.parameters() if item.requires_grad), *trained]
        muon, adamw = _groups(module, config, rules)
        for is_decayed in (True, False):
            if chosen := [parameter for parameter in trained if (parameter.ndim > 1) is is_decayed]:
                adamw.append({"params": chosen, "weight_decay": config.weight_decay if is_decayed else 0.0})
        self._members: list[torch.optim.Optimizer] = []
        if muon:
            self._members.append(_muon(muon, config, exchange))
        if adamw:
            self._members.append(torch.optim.AdamW(adamw, lr=config.adamw_lr, betas=config.adamw_betas))
        self._top_rates = [[group["lr"] for group in member.param_groups] for member in self._members]

    @property
    def parameters(self) -> Sequence[nn.Parameter]:
        """All that is trained, in an order that is the same on every rank."""
        return self._parameters

    def set_scale(self, scale: float) -> None:
        """Sets every learning rate to `scale` times its top."""
        for member, rates in zip(self._members, self._top_rates, strict=True):
            for group, rate in zip(member.param_groups, rates, strict=True):
                group["lr"] = rate * scale

    def rates(self) -> dict[str, float]:
        """The present learning rate of "muon" and "adamw"; 0.0 where there is none."""
        found = {"muon": 0.0, "adamw": 0.0}
        for member in self._members:
            found["muon" if isinstance(member, torch.optim.Muon) else "adamw"] = member.param_groups[0]["lr"]
        return found

    def clip(self) -> float:
        """Cuts the gradients' global norm to `clip_norm`; returns what it was."""
        return float(torch.nn.utils.clip_grad_norm_(self._parameters, self._config.clip_norm))

    def step(self) -> None:
        """Moves the parameters and clears the gradients."""
        for member in self._members:
            member.step()
            member.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """The moving averages, not copied: a step changes them."""
        return [member.state_dict() for member in self._members]

    def load_state_dict(self, states: Sequence[dict[str, Any]]) -> None:
        for member, state in zip(self._members, states, strict=True):
            member.load_state_dict(state)


def _muon(groups: list[dict[str, Any]], config: OptimConfig, exchange: Exchange | None) -> torch.optim.Muon:
    lr, momentum, adjust_lr_fn = config.muon_lr, config.muon_momentum, "match_rms_adamw"
    if exchange is None or exchange.count == 1:
        return torch.optim.Muon(groups, lr=lr, momentum=momentum, adjust_lr_fn=adjust_lr_fn)
    return SharedMuon(groups, exchange=exchange, lr=lr, momentum=momentum, adjust_lr_fn=adjust_lr_fn)


def _groups(
    module: nn.Module, config: OptimConfig, rules: Sequence[GroupRule]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    muon: list[dict[str, Any]] = []
    adamw: list[dict[str, Any]] = []
    for rule, parameters in assign(module, rules).items():
        if not parameters:
            continue
        trained = [parameter for parameter in parameters.values() if parameter.requires_grad]
        if not trained:
            continue
        group = {
            "params": trained,
            "weight_decay": config.weight_decay if rule.is_decayed else 0.0,
        }
        is_muon = rule.optimizer == "muon" and config.hidden_optimizer == "muon"
        (muon if is_muon else adamw).append(group)
    return muon, adamw
