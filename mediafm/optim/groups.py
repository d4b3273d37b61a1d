"""Which parameter goes to which optimizer: by name, exactly once, and an unmatched name is an error.

`torch.optim.Muon` takes any 2-D table in silence, also ones that it should not have (projections to and from the data,
tables of tokens): so the rules name what it gets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from mediafm.errors import TrainingError


@dataclass(frozen=True, slots=True)
class GroupRule:
    """Parameters whose whole name matches `pattern` go to `optimizer`, decayed or not."""

    pattern: str
    optimizer: Literal["muon", "adamw"]
    is_decayed: bool


DEFAULT_RULES: tuple[GroupRule, ...] = (
    GroupRule(r"blocks\.\d+\.attention\.(query|key|value|output)\.weight", "muon", True),
    GroupRule(r"blocks\.\d+\.feedforward\.(gate|value|output)\.weight", "muon", True),
    GroupRule(r"(project_shot|project_metadata|head)\.weight", "adamw", True),
    GroupRule(r"(.+\.)?bias", "adamw", False),
    GroupRule(r"(.+\.)?\w*norm\.weight", "adamw", False),
    GroupRule(r"blocks\.\d+\.attention\.query_scale", "adamw", False),
    GroupRule(r"cls_token|global_token|no_metadata|mask_token|presence|positions", "adamw", False),
)
"""Hidden matrices to Muon (Jordan et al. 2024); everything else to AdamW (Loshchilov and Hutter 2019)."""


def assign(module: nn.Module, rules: Sequence[GroupRule] = DEFAULT_RULES) -> dict[GroupRule, dict[str, nn.Parameter]]:
    """Every parameter of `module` under the first rule that matches its name.

    Raises:
        TrainingError: a name that no rule matches, or a parameter for Muon that is not a matrix; all of them at once.
    """
    found: dict[GroupRule, dict[str, nn.Parameter]] = {rule: {} for rule in rules}
    wrong = []
    for name, parameter in module.named_parameters():
        rule = next((rule for rule in rules if re.fullmatch(rule.pattern, name)), None)
        if rule is None:
            wrong.append(f"{name} {tuple(parameter.shape)} matches no rule")
        elif rule.optimizer == "muon" and parameter.ndim != 2:
            wrong.append(f"{name} {tuple(parameter.shape)} is no matrix")
        else:
            found[rule][name] = parameter
    if wrong:
        raise TrainingError(
            "; ".join(wrong),
            rule="each parameter belongs to one group, and Muon takes matrices only",
            where="optimizer groups",
            remedy="Name the parameter in a rule of mediafm.optim.groups.",
        )
    return found
