"""Tables of a model card, from a report's JSON; columns come from the rows, so that a new one shows by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mediafm.types import Json, Modality

_NO_COLUMN = frozenset({"name", "export_layers"})
_ORDER = (
    *Modality, "train", "validation", "test", "random", "span",
    "kind", "neighbour_share", "effective_rank", "spread", "own_skill", "hidden_neighbour_skill",
)  # fmt: skip
"""Names that are shown in this order; any other follows, in its own."""
_LONG = 400
"""A finding that would take more characters is left to the report."""


def ordered(value: Mapping[str, Any]) -> dict[str, Any]:
    """The same, in the order that people expect: a report that was at rest comes back sorted by name."""
    places = {name: place for place, name in enumerate(_ORDER)}
    return dict(sorted(value.items(), key=lambda item: places.get(item[0], len(places))))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def number(value: Json) -> str:
    """A number for people: thousands apart, at most four digits that matter behind the point; "" for None."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def measure(value: Json) -> str:
    """A measured number with three digits that matter, alike in a column ("0.960", "29.0")."""
    return f"{value:#.3g}".rstrip(".") if isinstance(value, float) else number(value)


def bullets(value: Mapping[str, Any]) -> list[str]:
    """Nested JSON as a list, a line a field; mappings of plain values on one line."""
    lines = []
    for name, item in value.items():
        if isinstance(item, Mapping):
            said = ", ".join(f"{key} {_one_line(inner)}" for key, inner in item.items() if inner is not None)
            said = said if len(said) <= _LONG else f"{', '.join(item)} (in `report.json`)"
            lines += [f"- {name}: {said}"] if said else []
        elif item is not None:
            lines.append(f"- {name}: {_one_line(item)}")
    return lines


def skill_tables(skill: Mapping[str, Any]) -> list[str]:
    """A table for each mask set of a report, total first, and what else stands there."""
    within = " (blocks inside titles)" if skill.get("is_within_title") else ""
    lines = [
        (
            f"1 - the loss / the loss of the best trivial predictor, on the {skill.get('split', 'test')} shots{within} "
            "under stored masks: 0 is no better than copying what stands around. Intervals are 95 %, over groups."
        )
    ]
    for name, found in ordered(skill).items():
        if isinstance(found, Mapping) and "by_modality" in found:
            lines += ["", (f"**Masks: {name}**, {number(found.get('num_shots'))} masked shots of "
                      f"{number(found.get('num_groups'))} groups"), "", *_skill_table(found)]  # fmt: skip
        elif isinstance(found, Mapping):
            lines += ["", f"**{name.capitalize()}**", "", *_by_predictor(found)]
    return lines


def _by_predictor(found: Mapping[str, Any]) -> list[str]:
    """Measures that each hold a number a predictor, as one table; the rest as a list below."""
    measures = {name: value for name, value in found.items() if isinstance(value, Mapping)}
    if not measures:
        return bullets(found)
    predictors = dict.fromkeys(key for value in measures.values() for key in value)
    rows = [[key, *(measure(value.get(key)) for value in measures.values())] for key in predictors]
    rest = bullets({name: value for name, value in found.items() if name not in measures})
    return [*table(["predictor", *(name.replace("_", " ") for name in measures)], rows), "", *rest]


def _skill_table(found: Mapping[str, Any]) -> list[str]:
    views = {"total": found, **ordered(found["by_modality"]), "fused (for information)": found.get("fused")}
    rows = [
        [
            name,
            _signed(view["skill"]),
            ends(view.get("interval")),
            _loss(view.get("loss")),
            str(view.get("reference") or ""),
            _loss(view.get("reference_loss")),
            number(view.get("num_shots")),
        ]
        for name, view in views.items()
        if view is not None
    ]
    return table(["modality", "skill", "95 %", "loss", "best trivial", "its loss", "shots"], rows)


def readout_tables(readout: Mapping[str, Any]) -> list[str]:
    """Skill of the common read-out by what is read, a table for each mask set; nothing where a report has none."""
    lines: list[str] = []
    for mask_set, found in ordered(readout).items():
        views = {name: view for name, view in found.items() if "by_modality" in view} if _is_mapping(found) else {}
        if not views:
            continue
        modalities = list(ordered(dict.fromkeys(name for view in views.values() for name in view["by_modality"])))
        rows = [
            [
                name,
                _signed(view["skill"]),
                ends(view.get("interval")),
                *(
                    _signed(view["by_modality"][each]["skill"]) if each in view["by_modality"] else ""
                    for each in modalities
                ),
            ]
            for name, view in views.items()
        ]
        lines += ["", f"**Masks: {mask_set}**", "", *table(["read from", "skill", "95 %", *modalities], rows)]
    if not lines:
        return []
    said = (
        "A ridge read-out of what stands at masked positions, fitted on training titles: one skill for every objective "
        "and layer, against the same trivial predictors."
    )
    return [said, *lines]


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def ends(interval: Sequence[float] | None) -> str:
    """An interval, signed; "" where there is none."""
    return "" if interval is None else f"{interval[0]:+.3f} to {interval[1]:+.3f}"


def columns_of(layers: Mapping[str, Any]) -> list[str]:
    """The measures of a layer table, in the order of its rows' fields."""
    found: dict[str, None] = {}
    for row in layers["rows"]:
        found |= dict.fromkeys(name for name, value in row.items() if name not in _NO_COLUMN and value is not None)
    return list(ordered(found))


def is_exported(row: Mapping[str, Any], layers: Mapping[str, Any]) -> bool:
    """Whether a row is the one that was chosen; joined and untrained lines of the same blocks are not."""
    is_block = row.get("kind", "block") in ("block", "mean")
    return is_block and list(row["export_layers"]) == list(layers["export_layers"])


def layer_table(layers: Mapping[str, Any]) -> list[str]:
    """The layer table, the exported row in bold; nothing where validation held no title that is long enough."""
    if not layers["rows"]:
        return ["No validation title was long enough for a table."]
    columns = columns_of(layers)
    rows = []
    for row in layers["rows"]:
        name = f"**{row['name']} (exported)**" if is_exported(row, layers) else str(row["name"])
        rows.append([name, *(measure(row.get(column)) for column in columns)])
    behind = f"{number(layers.get('num_shots'))} validation shots of {number(layers.get('num_titles'))} titles"
    chance = layers.get("chance")
    return [
        *table(["vectors", *(column.replace("_", " ") for column in columns)], rows),
        "",
        behind + (f"; the neighbour share of a random order is {chance:.3f}." if chance is not None else "."),
    ]


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "not measured" if value is None else f"{value:+.3f}"


def _one_line(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{key} {_one_line(inner)}" for key, inner in value.items() if inner is not None) + ")"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "/".join(_one_line(item) for item in value)
    return number(value)
