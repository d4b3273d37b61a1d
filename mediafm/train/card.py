"""The model card: what a checkpoint was made of, what it can do and what it cannot, as Markdown from JSON.

The sections follow Mitchell et al. 2019, "Model Cards for Model Reporting", as far as training can fill them. Fields
that a report gains later show by themselves: tables take their columns from the rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mediafm.data.composition import Composition
from mediafm.lineage.fingerprint import canonical_json
from mediafm.train.card_limits import limits
from mediafm.train.card_tables import bullets, layer_table, number, ordered, readout_tables, skill_tables, table
from mediafm.train.checkpoint import Checkpoint
from mediafm.types import Json

CARD_FILE = "model_card.md"
_SHOWN_ELSEWHERE = frozenset(
    {
        "run", "preset", "num_parameters", "data", "manifest_sha256", "skill", "readout", "layers", "is_uncollapsed",
        "environment",
    }
)  # fmt: skip
"""Fields of a report that have a section; whatever else it holds is listed under "Further findings"."""


def card_facts(
    checkpoint: Checkpoint, composition: Composition, licences: Mapping[str, str], code_revision: str = ""
) -> dict[str, Any]:
    """Everything that the card says, as JSON.

    Args:
        checkpoint: with its report.
        composition: of its manifest.
        licences: modality -> SPDX identifier of the encoder's weights and code.
        code_revision: git's; "" where the code is no checkout.
    """
    return {
        "sha256": checkpoint.sha256,
        "manifest_sha256": checkpoint.manifest_sha256,
        "space_id": checkpoint.space_id,
        "code_revision": code_revision,
        "model": checkpoint.model.as_json(),
        "export_layers": list(checkpoint.export_layers),
        "space": dict(checkpoint.space),
        "licences": dict(licences),
        "composition": composition.as_json(),
        "training": dict(checkpoint.training),
        "report": dict(checkpoint.report),
    }


def model_card(facts: Mapping[str, Any]) -> str:
    """The card of `card_facts`, Markdown; equal facts give equal text.

    Settings come after limits: what MLflow cuts off a version's description is the end.
    """
    # A report at rest comes back sorted by name: sorted here, equal facts are equal text wherever they come from.
    facts = json.loads(canonical_json(facts))
    sections = {
        "": _opening(facts),
        "Data": _data(facts),
        "Skill": skill_tables(facts["report"]["skill"]),
        "What is exported": _exported(facts),
        "Limits": [f"- {sentence}" for sentence in limits(facts)],
        "Common read-out": readout_tables(facts["report"].get("readout") or {}),
        "Encoders": _encoders(facts),
        "Model and training": _training(facts),
        "Further findings": bullets(
            {name: value for name, value in facts["report"].items() if name not in _SHOWN_ELSEWHERE}
        ),
        "Lineage": _lineage(facts),
    }
    lines = []
    for title, body in sections.items():
        if body:
            lines += [f"## {title}", "", *body, ""] if title else [*body, ""]
    return "\n".join(lines)


def _opening(facts: Mapping[str, Any]) -> list[str]:
    model = facts["model"]
    return [
        f"# MediaFM {facts['sha256'][:12]}",
        "",
        (
            f"Contextual vectors of shots, {model['hidden_dim']} numbers each: a transformer over the shots of a title "
            f"({model['num_layers']} layers x {model['hidden_dim']}, {number(facts['report'].get('num_parameters'))} "
            f"parameters) reads what frozen encoders say of picture, sound and text. Trained on this catalogue alone."
        ),
        "",
        (
            "Load it with `mediafm.load(...)` by its sha256, its folder or its name in MLflow. It reads fused vectors "
            "of the space below and no others; nothing in it is executed when it is loaded."
        ),
    ]


def _data(facts: Mapping[str, Any]) -> list[str]:
    made, counts = facts["composition"], facts["report"]["data"]
    hours = made["hours"]
    known = "" if made["num_titles_with_hours"] == made["num_titles"] else f" (of {made['num_titles_with_hours']})"
    length = "of unknown length" if hours is None else f"{hours:.1f} hours{known}"
    splits = [name for name, value in ordered(counts).items() if isinstance(value, Mapping)]
    rows = [
        [name, *(number(counts[name].get(key)) for key in ("titles", "groups", "shots")), *_shares(made, name)]
        for name in splits
    ]
    how = (
        "by contiguous blocks inside titles, as there were too few groups"
        if counts["is_within_title"]
        else "by group (a series, else a title), by hash, once and for ever"
    )
    return [
        (
            f"{number(made['num_titles'])} titles in {number(made['num_groups'])} groups, {number(made['num_shots'])} "
            f"shots, {length}; {number(made['num_titles_with_metadata'])} titles have metadata; "
            f"{number(counts.get('num_empty_titles', 0))} titles without a vector were left out. Split {how}."
        ),
        "",
        *table(["split", "titles", "groups", "shots", *(f"with {name}" for name in made["modalities"])], rows),
    ]


def _shares(made: Mapping[str, Any], split: str) -> list[str]:
    found = made["coverage"].get(split, {})
    return [f"{100 * found[name]:.0f} %" if found.get(name) is not None else "" for name in made["modalities"]]


def _encoders(facts: Mapping[str, Any]) -> list[str]:
    space, rows = facts["space"], []
    for modality, spec in ordered(space["encoders"]).items():
        licence = facts["licences"].get(modality, "unknown")
        revision = str(spec.get("revision") or "no weights")
        rows.append(
            [modality, f"`{spec['name']}`", number(spec["width"]), revision, licence, f"{space['weights'][modality]:g}"]
        )
    return [
        *table(["modality", "encoder", "width", "revision", "licence", "weight"], rows),
        "",
        f"Metadata is read by `{space['metadata_encoder']['name']}` from {', '.join(space['metadata_fields'])}.",
    ]


def _training(facts: Mapping[str, Any]) -> list[str]:
    training, report = facts["training"], facts["report"]
    objective = training.get("objective") or {"name": "msm", "mask_share": training.get("mask_share")}
    run, environment = report.get("run") or {}, report.get("environment") or {}
    settings = {name: value for name, value in training.items() if name not in ("model", "objective", "optim")}
    return [
        f"Preset `{report.get('preset')}`, objective `{objective.get('name', 'msm')}`.",
        "",
        *_folded("Architecture", facts["model"]),
        *_folded("Objective", objective),
        *_folded("Optimizers", training.get("optim") or {}),
        *_folded("Run", settings),
        *bullets({"how it went": run, "environment": environment}),
    ]


def _folded(title: str, value: Mapping[str, Json]) -> list[str]:
    """One line: MLflow and plain viewers show it alike."""
    said = ", ".join(f"{name} {_short(item)}" for name, item in value.items() if item is not None)
    return [f"- {title}: {said}"] if said else []


def _short(value: Json) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{name} {_short(item)}" for name, item in value.items() if item is not None) + ")"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "/".join(_short(item) for item in value)
    return number(value)


def _exported(facts: Mapping[str, Any]) -> list[str]:
    layers = facts["report"]["layers"]
    blocks = facts["export_layers"]
    said = f"block {blocks[0]}" if len(blocks) == 1 else f"the mean of blocks {blocks[0]} to {blocks[-1]}"
    chosen = f"chosen on validation by `{layers['chosen_by']}`" if layers["rows"] else "the default: nothing could tell"
    return [f"The contextual vector is {said}, L2-normalised; {chosen}.", "", *layer_table(layers)]


def _lineage(facts: Mapping[str, Any]) -> list[str]:
    names = {
        "checkpoint (sha256 of model.safetensors)": facts["sha256"],
        "training manifest": facts["manifest_sha256"],
        "space": facts["space_id"],
        "code revision": facts["code_revision"],
    }
    return [f"- {name}: `{value}`" for name, value in names.items() if value]
