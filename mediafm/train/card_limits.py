"""What a checkpoint must not be trusted with, read from its own report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mediafm.train.card_tables import is_exported, number

FEW_SHOTS = 10_000
"""Below so many training shots a card calls the data small (our choice: where "auto" leaves the smallest preset)."""
FEW_GROUPS = 10
"""Below so many test groups an interval over groups says little (our choice)."""


def limits(facts: Mapping[str, Any]) -> list[str]:
    """One sentence each; what holds for every checkpoint comes last."""
    report = facts["report"]
    return [
        *_of_data(report["data"]),
        *_of_skill(report["skill"]),
        *_of_export(report),
        *_of_run(report.get("run") or {}),
        (
            "Provisional until the gate has spoken: a first checkpoint is installed whatever its skill, and whether "
            "this one was approved stands in the root's ledger (`mediafm status`), not here."
        ),
        (
            "Not tried on: other encoders or weights of the fusion (another space), other catalogues, kinds of content "
            "or languages than this one's, and labelled tasks, unless probe metrics stand beside the model in MLflow."
        ),
        (
            f"A title longer than {number(facts['model'].get('max_shots'))} shots is read in windows that overlap; "
            "beyond a window no shot sees another. Titles are never read together."
        ),
        "Skill tells how well hidden shots are predicted, not how good a search or a classifier on the vectors is.",
    ]


def _of_data(data: Mapping[str, Any]) -> list[str]:
    train, test = data.get("train") or {}, data.get("test") or {}
    found = []
    if train.get("shots", 0) < FEW_SHOTS:
        found.append(
            f"Small data: {number(train.get('shots', 0))} training shots of {number(train.get('titles', 0))} titles. "
            "A masked-shot model over-fits on so few; compare with the fused vectors before you rely on it."
        )
    if data.get("is_within_title"):
        found.append(
            "Within-title split: the same titles serve training and test, in blocks with a gap. What is measured here "
            "says nothing about titles that were never seen."
        )
    elif test.get("groups", 0) < FEW_GROUPS:
        found.append(f"The test set has {number(test.get('groups', 0))} groups: its intervals are rough.")
    return found


def _of_skill(skill: Mapping[str, Any]) -> list[str]:
    found = skill["random"]
    if found["skill"] is None:
        return ["Skill could not be measured: no masked test shot has any modality."]
    interval = found.get("interval")
    if interval is None:
        return [f"Skill {found['skill']:+.3f} has no interval: fewer than two test groups."]
    if interval[0] <= 0:
        return [
            (
                f"No skill is shown: {found['skill']:+.3f}, 95 % {interval[0]:+.3f} to {interval[1]:+.3f}. It predicts "
                "hidden shots no better than the best trivial predictor."
            )
        ]
    poor = [name for name, view in found["by_modality"].items() if view["interval"] and view["interval"][0] <= 0]
    return [f"No skill is shown for {', '.join(poor)}."] if poor else []


def _of_export(report: Mapping[str, Any]) -> list[str]:
    layers = report["layers"]
    found = []
    if not report.get("is_uncollapsed", True):
        found.append("Collapsed: the exported vectors hardly tell shots apart. Do not use them.")
    measure = layers["chosen_by"] if layers["rows"] and layers["chosen_by"] in layers["rows"][0] else "neighbour_share"
    exported = next((row for row in layers["rows"] if is_exported(row, layers)), None)
    if exported is None or exported.get(measure) is None:
        return [*found, "What is exported could not be compared with the fused vectors: no validation title is long."]
    rivals = [row for row in layers["rows"] if row.get("kind", "baseline") == "baseline"]
    rivals = [row for row in rivals if not row["export_layers"] and row.get(measure) is not None]
    best = max(rivals, key=lambda row: row[measure], default=None)
    if best is not None and best[measure] >= exported[measure]:
        found.append(
            f"By {measure.replace('_', ' ')} the exported vectors ({exported[measure]:.3f}) are not better than "
            f"{best['name']} ({best[measure]:.3f}), which needs no training."
        )
    return found


def _of_run(run: Mapping[str, Any]) -> list[str]:
    reason = run.get("stop_reason")
    if reason == "max_seconds":
        return ["The clock ended the run: it was still learning, and another machine would end elsewhere."]
    if reason == "max_steps":
        return ["The bound on steps ended the run, not patience: it may have gone on learning."]
    return []
