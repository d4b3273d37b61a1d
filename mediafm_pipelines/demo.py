"""`mediafm demo`: the sample catalogue, the bounds that make the demo short, and the report at its end.

Belongs here: what only the demo does. Does not belong here: the run itself (`catalog_run`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from mediafm.config import Config
from mediafm.progress import Progress

NUM_SAMPLE_TITLES = 10
SAMPLE_SEED = 1
"""The first seed whose ten titles the split by hash deals out as 7 to train on, 1 to validate, 2 to test."""
MAX_TRAINING_STEPS = 400
"""Enough for the sample; a demo is not a training run, and its report says provisional."""

NOISE_TASK = "noise"


SETTINGS_FILE = "demo.toml"
DEMO_SETTINGS = """
[training]
max_steps = {max_steps}

[automation]
on = "all"

[automation.new_titles]
interval_seconds = 10

[automation.retrain]
interval_seconds = 30
min_titles = 3
min_hours_between = 0.05

[automation.reembed]
interval_seconds = 15
"""


@dataclass(frozen=True)
class DemoCatalog:
    """What the demo runs on."""

    location: str
    labels: tuple[str, ...]
    sentence: str


def demo_config(config: Config, catalog: str | None) -> Config:
    """The configuration with training bounded, unless it says itself how long to train.

    The sample's labels of pure noise have no voice in the gate; they are there to show what noise looks like.
    """
    if catalog is None and not config.gate.exclude:
        config = config.model_copy(update={"gate": config.gate.model_copy(update={"exclude": (NOISE_TASK,)})})
    if config.training.max_steps is not None:
        return config
    training = config.training.model_copy(update={"max_steps": MAX_TRAINING_STEPS})
    return config.model_copy(update={"training": training})


def demo_catalog(config: Config, catalog: str | None, progress: Progress) -> DemoCatalog:
    """The given catalogue, or the sample: drawn once, found there the next time."""
    if catalog:
        return DemoCatalog(catalog, (), f"The catalogue is {catalog}.")
    from mediafm.media.synthetic.catalog import write_sample

    directory = config.files_path / "sample"
    progress.begin("sample titles", NUM_SAMPLE_TITLES)
    written = write_sample(directory, NUM_SAMPLE_TITLES, SAMPLE_SEED, lambda done, total: progress.advance())
    progress.end()
    sentence = (
        f"A sample catalogue of {len(written.title_ids)} drawn films ({written.duration_seconds:.0f} s) "
        f"{'was written to' if written.is_new else 'is in'} {directory}."
    )
    return DemoCatalog(str(directory), (str(written.labels_directory),), sentence)


def write_demo_settings(config: Config, chosen: DemoCatalog) -> Path:
    """A `mediafm.toml` of the demo, with every sensor on and thresholds that a few films reach; returns its path."""
    values = {
        "root": config.root_name,
        "state": str(config.state_path),
        "catalog": str(Path(chosen.location).expanduser().absolute()),
        "labels": [str(Path(item).absolute()) for item in chosen.labels],
        "profile": config.profile,
    }
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    file = config.files_path / SETTINGS_FILE
    file.write_text("\n".join(lines) + DEMO_SETTINGS.format(max_steps=config.training.max_steps), "utf-8")
    return file


def demo_report(config: Config, summary: dict[str, Any]) -> str:
    """Shots, coverage, skill, probes, the lineage of one title, and what to do next; as text."""
    from mediafm.steps.audit import AuditRequest, audit_root
    from mediafm.steps.summary import title_rows
    from mediafm.steps.workspace import Workspace

    with Workspace.open(config) as work:
        rows = title_rows(work.store)
        worth = _worth_lines(work)
        lines = ["", "Shots and coverage", *_coverage_lines(rows)]
        if summary["checkpoint"]:
            lines += ["", "Training", *_training_lines(work, summary["checkpoint"]["sha256"])]
    lines += worth
    served = [title_id for title_id in summary["titles"]["ok"] if summary["checkpoint"]]
    if served:
        tree, complaints = audit_root(config, AuditRequest(title_id=served[0]))
        lines += ["", f"The lineage of {served[0]}", "", tree.as_text(), *complaints]
    lines += ["", "What next", *_next_lines(config, served)]
    return "\n".join(lines)


def _coverage_lines(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for row in rows:
        coverage = ", ".join(
            f"{modality} {share:.0%}" for modality, share in row["coverage"].items() if share is not None
        )
        shots = "no shots" if row["shots"] is None else f"{row['shots']} shots"
        lines.append(f"  {row['title_id']:<28} {row['state']:<12} {shots:<10} {coverage or row['reason']}")
    return lines


def _training_lines(work: Any, sha256: str) -> list[str]:
    from mediafm.steps.checkpoints import load_checkpoint
    from mediafm.steps.train_and_log import skill_markdown

    return ["", skill_markdown(load_checkpoint(work, sha256).report)]


def _worth_lines(work: Any) -> list[str]:
    """The whole probe table of the served checkpoint: stored by the run already where that one is the champion."""
    from mediafm.probes.report import ProbeReport
    from mediafm.steps.contextual import champion_sha256
    from mediafm.steps.evaluation import evaluate_candidate
    from mediafm.steps.promotion import evaluate_serving
    from mediafm.steps.serving import serving_sha256

    sha256 = serving_sha256(work)
    if sha256 is None:
        return []
    if sha256 == champion_sha256(work):
        evaluation, _ = evaluate_candidate(work, sha256)
    else:  # a roll-out is under way: the champion's table says nothing of what readers get
        served = evaluate_serving(work)
        if served is None:
            return []
        evaluation = served.evaluation
    lines = ["", "What the vectors are worth", ""]
    lines += ["Shots whose nearest neighbour (adjacent ones left out) lies within ten shots:"]
    lines += [f"  {name:<12} {_share(report)}" for name, report in evaluation.neighbours.items()]
    if evaluation.probes is not None:
        columns = get_terminal_size((120, 40)).columns
        lines += ["", "Linear probes", "", ProbeReport.from_json(evaluation.probes).as_text(columns).strip()]
    return lines


def _share(report: Mapping[str, Any]) -> str:
    if report["share"] is None or report["chance"] is None:
        return "no title is long enough"
    ends = "" if report["low"] is None else f" ({report['low']:.3f} to {report['high']:.3f})"
    return f"{report['share']:.3f}{ends}, chance {report['chance']:.3f}"


def _next_lines(config: Config, served: list[str]) -> list[str]:
    root = "" if config.root_name == str(Path(".mediafm").absolute()) else f" --root {config.root_name}"
    title = served[0] if served else "TITLE"
    verbs = {
        "status": "each title, its state and coverage",
        "probe LABELS --chart probes.png": "such a table and its picture on your labels",
        "probe --task clip_tone --save tone": "keep the probe of one task ...",
        "tag --probe tone": "... and tag shots with it",
        f"embed --title {title} --start 5 --end 9": "a clip inside its title as one vector",
        f"search --title {title} --shot 3": "the shots nearest to one shot",
        f"audit --title {title}": "where its embeddings come from",
        "ui": "the graph in Dagster, training in MLflow",
        f"ui --config {config.files_path / SETTINGS_FILE}": "the same with every sensor on: add films, and watch",
        "run FOLDER --labels FILES": "your own titles and labels",
    }
    commands = {f"mediafm {verb}{'' if ' --config ' in verb else root}": said for verb, said in verbs.items()}
    width = max(map(len, commands))
    return [f"  {command:<{width}}  {said}" for command, said in commands.items()]
