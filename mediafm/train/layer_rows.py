"""The lines of the export table, the table, and the criteria by which a line is chosen from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from mediafm.errors import ConfigError
from mediafm.types import Json

MIN_BALANCED_SKILL = 1e-3
"""Skills below are raised to it in "balanced", so that two poor lines can still be told apart by the other skill."""
_DIGITS = 6
"""Values that agree to so many digits tie."""

RowKind = Literal["baseline", "block", "mean", "head", "joined", "untrained"]


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One line of the table.

    name: "block 1", "blocks 1-2", "fused", "fused - title mean", ...
    export_layers: the blocks that it averages; empty where it cannot be exported. Block 0 is the first's input.
    kind: what sort of line it is.
    neighbour_share: share of shots whose nearest neighbour lies in their neighbourhood; mean over groups.
    effective_rank: of a title's vectors (see `layer_measures.effective_rank`); mean over titles.
    spread: 1 - the squared length of the mean of a title's unit vectors; mean over titles.
    own_skill: how well a ridge read-out of a shot's vector recovers the shot's own fused vector: retention.
    hidden_neighbour_skill: how well a ridge read-out of a visible shot's vector tells a masked shot next to it.

    Both skills are 1 - loss / the corpus mean's loss, in cosine distance: one reference for both, and for every line,
    so that they can be compared and combined. What copying reaches stands in the line "fused" (a fitted nearest shot).
    None where there was nothing to fit or to score.
    """

    name: str
    export_layers: tuple[int, ...]
    kind: RowKind = "block"
    neighbour_share: float
    effective_rank: float
    spread: float
    own_skill: float | None = None
    hidden_neighbour_skill: float | None = None


@dataclass(frozen=True, kw_only=True)
class LayerTable:
    """The table and what was chosen from it.

    rows: baselines first, then blocks, means of blocks, the head, then what depends on the choice.
    chance: the neighbour share of a random order; NaN-free; None without a title that is long enough.
    export_layers: the choice.
    chosen_by: the criterion's name, or "default" where it had nothing to go by.
    num_shots, num_titles: validation shots and titles behind neighbours, rank, spread.
    num_fit_shots: training shots behind `own_skill`.
    num_fit_pairs, num_pairs: (visible, masked) neighbours behind `hidden_neighbour_skill`, fitted and scored.
    """

    rows: tuple[LayerRow, ...]
    chance: float | None
    export_layers: tuple[int, ...]
    chosen_by: str
    num_shots: int
    num_titles: int
    num_fit_shots: int = 0
    num_fit_pairs: int = 0
    num_pairs: int = 0

    def as_json(self) -> dict[str, Json]:
        return asdict(self)

    def row(self, export_layers: tuple[int, ...]) -> LayerRow | None:
        return next((row for row in self.rows if row.export_layers == export_layers), None)

    def baseline(self, name: str) -> LayerRow | None:
        return next((row for row in self.rows if row.name == name), None)


Criterion = Callable[[LayerRow], float | None]
"""A line's worth, the greater the better; None where the line does not say."""


def _balanced(row: LayerRow) -> float | None:
    skills = (row.own_skill, row.hidden_neighbour_skill)
    known = [max(skill, MIN_BALANCED_SKILL) for skill in skills if skill is not None]
    return math.sqrt(math.prod(known)) if len(known) == len(skills) else None


CRITERIA: Mapping[str, Criterion] = {
    "neighbour_share": lambda row: row.neighbour_share,
    "hidden_neighbour": lambda row: row.hidden_neighbour_skill,
    "balanced": _balanced,
}
"""neighbour_share: favours smoothing over time. hidden_neighbour: what a vector knows of its surroundings. balanced:
the geometric mean of that and of what it keeps of its own shot."""
CRITERION = "balanced"
"""The one in use."""


def best_of(rows: Sequence[LayerRow], criterion: str) -> LayerRow | None:
    """The row with the greatest worth; of equals the first. None where no row says.

    Raises:
        ConfigError: no such criterion.
    """
    if criterion not in CRITERIA:
        raise ConfigError(
            f"criterion {criterion!r}", rule=f"a criterion is one of {', '.join(CRITERIA)}", where="export table"
        )
    known = [(CRITERIA[criterion](row), row) for row in rows]
    worths = [(round(worth, _DIGITS), row) for worth, row in known if worth is not None]
    return max(worths, key=lambda pair: pair[0])[1] if worths else None


def candidates(num_layers: int) -> dict[str, tuple[int, ...]]:
    """Name -> blocks: each block alone (0 for comparison), and the means of the first two, half and all."""
    found: dict[str, tuple[int, ...]] = {f"block {layer}": (layer,) for layer in range(num_layers + 1)}
    for last in sorted({2, max(2, num_layers // 2), num_layers} - {1}):
        if last <= num_layers:
            found[f"blocks 1-{last}"] = tuple(range(1, last + 1))
    return found


def choosable(rows: Sequence[LayerRow]) -> list[LayerRow]:
    """The rows that may be exported, shallower first; block 0 holds no context and is none of them."""
    found = [row for row in rows if row.export_layers and row.export_layers != (0,)]
    return sorted(found, key=lambda row: (row.export_layers[-1], len(row.export_layers)))
