"""What a run minimises, by name and by field: named objectives are presets over one configuration.

The fields of one family are ignored by the other; each term's source stands in the module that computes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, Literal, TypeVar

from mediafm.errors import ConfigError
from mediafm.objective.masking import MaskConfig
from mediafm.types import Json

Shares = tuple[float, float, float]
Config = TypeVar("Config", bound="ObjectiveConfig | ContextualConfig | MaskConfig")


@dataclass(frozen=True, kw_only=True)
class ContextualConfig:
    """The `contextual` objective (`mediafm.objective.contextual`).

    student_reads, teacher_reads: how often a sequence is read in all three, in two, or in one of its modalities.
    target_blocks: K, of the teacher's last blocks that are averaged; all of them if there are fewer.
    tau_start, tau_end, tau_steps: the teacher keeps this share of itself a step, annealed linearly.
    min_teacher_std: below this mean standard deviation over a title, before normalisation, the run has collapsed.
    """

    student_reads: Shares = (1.0, 1.0, 1.0)
    teacher_reads: Shares = (1.0, 0.0, 0.0)
    target_blocks: int = 8
    tau_start: float = 0.99
    tau_end: float = 0.9995
    tau_steps: int = 1000
    min_teacher_std: float = 0.01

    def __post_init__(self) -> None:
        is_possible = (
            all(min(shares) >= 0 and sum(shares) > 0 for shares in (self.student_reads, self.teacher_reads))
            and self.target_blocks >= 1
            and 0 <= self.tau_start <= self.tau_end < 1
            and self.tau_steps >= 1
        )
        if not is_possible:
            raise ConfigError(
                f"{asdict(self)}",
                rule="reading shares are not negative and not all zero, 0 <= tau_start <= tau_end < 1, "
                "target_blocks and tau_steps are at least 1",
                where="training objective, contextual",
            )


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """One objective; round-trips through JSON exactly.

    name: the preset that it was made from.
    family: "msm" predicts what is hidden; "contextual" predicts a teacher's view of it.
    masks: what is hidden.
    target: of "msm": the "fused" vector by cosine (published), or "standardised" blocks by squared error.
    visible_weight: weight of telling a visible shot's own blocks from its exported vector.
    neighbour_weight, neighbour_reach: weight of telling masked shots so many places away from it, on either side.
    contrast_weight, contrast_temperature: of the masked-shot InfoNCE.
    spread_weight: of the variance and covariance terms on the exported blocks.
    contextual: settings of that family.
    """

    name: str = "msm"
    family: Literal["msm", "contextual"] = "msm"
    masks: MaskConfig = field(default_factory=MaskConfig)
    target: Literal["fused", "standardised"] = "fused"
    visible_weight: float = 0.0
    neighbour_weight: float = 0.0
    neighbour_reach: int = 2
    contrast_weight: float = 0.0
    contrast_temperature: float = 0.1
    spread_weight: float = 0.0
    contextual: ContextualConfig = field(default_factory=ContextualConfig)

    def __post_init__(self) -> None:
        weights = (self.visible_weight, self.neighbour_weight, self.contrast_weight, self.spread_weight)
        is_known = self.family in ("msm", "contextual") and self.target in ("fused", "standardised")
        if not is_known or min(weights) < 0 or self.contrast_temperature <= 0 or self.neighbour_reach < 1:
            raise ConfigError(
                f"family {self.family!r}, target {self.target!r}, weights {weights}, "
                f"temperature {self.contrast_temperature}, reach {self.neighbour_reach}",
                rule="a family is msm or contextual, a target fused or standardised, weights are not negative, "
                "a temperature is positive, neighbours are at least one place away",
                where="training objective",
            )

    def as_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> ObjectiveConfig:
        """The inverse of `as_json`, also after the JSON was text.

        Raises:
            ConfigError: a field is unknown or impossible.
        """
        return _with(cls(), parts)


PRESETS: Mapping[str, ObjectiveConfig] = {
    "msm": ObjectiveConfig(),
    "contextual": ObjectiveConfig(name="contextual", family="contextual", masks=MaskConfig(share=0.5, shape="span")),
    "contextual_scheduled": ObjectiveConfig(
        name="contextual_scheduled",
        family="contextual",
        masks=MaskConfig(share=0.5, shape="span"),
        contextual=ContextualConfig(student_reads=(0.5, 0.25, 0.25), teacher_reads=(0.5, 0.25, 0.25)),
    ),
}
"""Objectives by name: "msm" as published, "contextual" with a teacher that reads everything, and one whose teacher's
reading is drawn as well."""

DEFAULT = "msm"


def resolve(name: str, changes: Mapping[str, Any] | None = None) -> ObjectiveConfig:
    """The preset `name` ("auto" is `DEFAULT`) with single fields changed, nested ones by nested mappings.

    Raises:
        ConfigError: no such preset, no such field, or a value that is not of the field's kind.
    """
    wanted = DEFAULT if name == "auto" else name
    if wanted not in PRESETS:
        near = get_close_matches(wanted, PRESETS, n=1)
        raise ConfigError(
            f"objective {name!r}",
            rule=f"an objective is auto or one of {', '.join(PRESETS)}",
            where="training.objective",
            remedy=f"Did you mean {near[0]!r}?" if near else "",
        )
    return _with(PRESETS[wanted], changes or {})


def _with(config: Config, changes: Mapping[str, Any]) -> Config:
    """`config` with the fields of `changes`; a nested configuration takes a nested mapping."""
    where = f"training objective, {type(config).__name__}"
    known = {item.name: getattr(config, item.name) for item in fields(config)}
    if unknown := sorted(set(changes) - set(known)):
        near = get_close_matches(unknown[0], known, n=1)
        raise ConfigError(
            f"{unknown}",
            rule=f"the fields are {', '.join(sorted(known))}",
            where=where,
            remedy=f"Did you mean {near[0]!r}?" if near else "",
        )
    found = {name: _fitting(known[name], value, f"{where}.{name}") for name, value in changes.items()}
    return replace(config, **found)


def _fitting(before: Any, value: Any, where: str) -> Any:
    """`value` as what stands in for `before`: of its kind, tuples as long as it, nested fields by name."""
    if isinstance(before, MaskConfig | ContextualConfig) and isinstance(value, Mapping):
        return _with(before, value)
    if isinstance(before, tuple) and isinstance(value, list | tuple) and len(value) == len(before):
        return tuple(_fitting(one, item, where) for one, item in zip(before, value, strict=True))
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(before, float) and is_number:
        return float(value)
    if isinstance(before, int | str) and type(value) is type(before):
        return value
    kind = "a table of fields" if isinstance(before, MaskConfig | ContextualConfig) else f"of the kind of {before!r}"
    raise ConfigError(f"{value!r}", rule=f"this field is {kind}", where=where)
