"""`mediafm demo`: the sample catalogue, the bounds that make the demo short, and the report at its end.

Belongs here: what only the demo does. Does not belong here: the run itself (`catalog_run`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediafm.config import Config
from mediafm.progress import Progress

NUM_SAMPLE_TITLES = 10
SAMPLE_SEED = 1
"""The first seed whose ten titles the split by hash deals out as 7 to train on, 1 to validate, 2 to test."""
MAX_TRAINING_STEPS = 400
"""Enough for the sample; a demo is not a training run, and its report says provisional."""


@dataclass(frozen=True)
class DemoCatalog:
    """What the demo runs on."""

    location: str
    labels: tuple[str, ...]
    sentence: str


def demo_config(config: Config, catalog: str | None) -> Config:
    """The configuration with training bounded, unless it says itself how long to train."""
    if config.training.max_steps is not None:
        return config
    training = config.training.model_copy(update={"max_steps": MAX_TRAINING_STEPS})
    return config.model_copy(update={"training": training})


def demo_catalog(config: Config, catalog: str | None, progress: Progress) -> DemoCatalog:
    """The given catalogue, or the sample: drawn once, found there the next time."""
    if catalog:
        return DemoCatalog(catalog, (), f"The catalogue is {catalog}.")
    from mediafm.media.synthetic.catalog import write_sample

    directory = config.root_path / "sample"
    progress.begin("sample titles", NUM_SAMPLE_TITLES)
    written = write_sample(directory, NUM_SAMPLE_TITLES, SAMPLE_SEED, lambda done, total: progress.advance())
    progress.end()
    sentence = (
        f"A sample catalogue of {len(written.title_ids)} drawn films ({written.duration_seconds:.0f} s) "
        f"{'was written to' if written.is_new else 'is in'} {directory}."
    )
    return DemoCatalog(str(directory), (str(written.labels_directory),), sentence)


def demo_report(config: Config, summary: dict[str, Any]) -> str:
    """Shots, coverage, skill, probes, the lineage of one title, and what to do next; as text."""
    from mediafm.steps.audit import AuditRequest, audit_root
    from mediafm.steps.promotion import evaluate_serving
    from mediafm.steps.summary import title_rows
    from mediafm.steps.workspace import Workspace

    with Workspace.open(config) as work:
        rows = title_rows(work.store)
        evaluated = evaluate_serving(work)
        lines = ["", "Shots and coverage", *_coverage_lines(rows)]
        if summary["checkpoint"]:
            lines += ["", "Training", *_training_lines(work, summary["checkpoint"]["sha256"])]
    if evaluated is not None:
        lines += ["", "What the served vectors are worth", "", evaluated.evaluation.markdown.strip()]
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


def _next_lines(config: Config, served: list[str]) -> list[str]:
    root = "" if config.root_path == Path(".mediafm").absolute() else f" --root {config.root_path}"
    title = served[0] if served else "TITLE"
    return [
        f"  mediafm status{root}                          each title, its state and coverage",
        f"  mediafm search --title {title} --shot 3{root}    the shots nearest to one shot",
        f"  mediafm audit --title {title}{root}              where its embeddings come from",
        f"  mediafm ui{root}                              the graph in Dagster, training in MLflow",
        f"  mediafm run FOLDER{root}                      your own titles",
    ]
