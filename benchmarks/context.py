"""What a checkpoint's vectors say where context carries the answer: `python -m benchmarks context`, or one table.

`python -m benchmarks.context --titles 300 [--objective NAME] [--settings JSON] [--first-weights random] [--free]`
trains on a catalogue of scenes (`mediafm.data.scenes`) and prints the judged table: baselines, every block, the head's
output, what is exported, [fused ++ exported], and the same architecture untrained. Probes are fitted and judged on
titles that no catalogue holds. `rows` compares what the default exports with the best row that needs no training, at
30, 300 and 3,000 titles.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch.nn import functional

from benchmarks.context_baselines import VectorFunction, Vectors, baselines, joined
from benchmarks.context_baselines import fused as fused_vectors
from benchmarks.context_judge import CONTEXT_TASKS, Judge, JudgeSettings, best_smoothing, fresh
from benchmarks.context_table import JudgedRow, JudgedTable, difference
from benchmarks.row import Row
from mediafm.config import TrainingSettings
from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import build_manifest
from mediafm.data.scenes import SceneCatalog, SceneTitle
from mediafm.data.scenes_settings import SceneSettings
from mediafm.model.export import combine_layers, layer_vectors
from mediafm.model.mediafm import MediaFM
from mediafm.train.batches import title_tensors
from mediafm.train.config import TrainConfig, resolve
from mediafm.train.loop import TrainResult, train
from mediafm.train.untrained import untrained_models

SIZES = (30, 300, 3000)
FRESH = (400, 200)
"""Titles that fit the probes, and titles that judge."""
MAX_SECONDS = 240.0
"""Of one training; a run that ends by it says so."""
NOT_BASELINES = ("oracle", "fused ++ mean of 5 nearest")
"""Rows that are shown and not competed with: one knows the answer, the other is no published baseline but a hint of
what attention without training does."""
GOAL = 1.0


def rows(catalog: Path | None = None) -> list[Row]:
    """What the default exports against the best row without training. `catalog` is not looked at."""
    found = []
    for num_titles in SIZES:
        table, result = study(num_titles, {}, {})
        best = best_baseline(table)
        exported = table.row("exported")
        for task in CONTEXT_TASKS:
            apart = difference(exported, best, task)
            found.append(
                Row(
                    name=f"context: {task}, {num_titles} titles, exported (difference {apart.low:+.3f} to "
                    f"{apart.high:+.3f}; {result.report['run']['stop_reason']})",  # type: ignore[index, call-overload]
                    value=exported.scores[task].measured.value,
                    unit="average precision",
                    rival=best.name,
                    rival_value=best.scores[task].measured.value,
                    goal=GOAL,
                    better="higher",
                )
            )
    return found


def study(num_titles: int, training: Mapping[str, Any], changes: Mapping[str, Any]) -> tuple[JudgedTable, TrainResult]:
    """One training and its judged table.

    Args:
        training: fields of `TrainingSettings` that differ ("objective", "objective_settings", "seed", "preset").
        changes: fields of `TrainConfig` that differ.
    """
    catalog = SceneCatalog(SceneSettings(num_titles=num_titles))
    judge = Judge(catalog, fresh(catalog, *FRESH), JudgeSettings())
    with tempfile.TemporaryDirectory(prefix="mediafm-bench-") as folder:
        manifest = build_manifest(catalog.titles, catalog.space.as_json(), TrainingSettings())
        corpus = open_corpus(manifest, catalog.load, Path(folder))
        settings = TrainingSettings(**{"max_seconds": MAX_SECONDS, **training})
        config: TrainConfig = replace(resolve(settings, manifest, corpus), **changes)
        result = train(manifest, corpus, config)
        untrained = untrained_models(config, manifest, corpus)
    chosen = result.checkpoint.export_layers
    judged = [judge.row(name, function) for name, function in baselines().items()]
    judged += model_rows(judge, result.checkpoint.load_model(), chosen)
    for made, model in untrained.items():
        reading = ModelReading(model)
        judged.append(judge.row(f"untrained ({made})", partial(reading.exported, chosen=chosen)))
    return judge.table_of(judged), result


def model_rows(judge: Judge, model: MediaFM, chosen: Sequence[int]) -> list[JudgedRow]:
    """Every block, the head's output, what is exported, and that beside the fused vectors."""
    reading = ModelReading(model)

    def block(number: int) -> VectorFunction:
        return lambda title: reading.exported(title, (number,))

    functions: dict[str, VectorFunction] = {
        f"block {number}": block(number) for number in range(model.config.num_layers + 1)
    }
    functions["head output"] = reading.head_output
    functions["exported"] = lambda title: reading.exported(title, chosen)
    functions["fused ++ exported"] = lambda title: joined(fused_vectors(title), reading.exported(title, chosen))
    return [judge.row(name, function) for name, function in functions.items()]


class ModelReading:
    """What a model makes of titles: each is read once, however many rows ask for it.

    All blocks of all titles are held: titles x shots x (blocks + 1) x width x 4 bytes, 0.26 GB for 600 titles of 40
    shots and six blocks of 384.
    """

    def __init__(self, model: MediaFM) -> None:
        self._model = model
        self._layers: dict[str, list[torch.Tensor]] = {}

    def layers(self, title: SceneTitle) -> list[torch.Tensor]:
        """The vectors behind each block, float32 [N, D] each, the first before any."""
        if title.title.title_id not in self._layers:
            self._layers[title.title.title_id] = layer_vectors(self._model, *title_tensors(title.sequence))
        return self._layers[title.title.title_id]

    def exported(self, title: SceneTitle, chosen: Sequence[int]) -> Vectors:
        """The contextual vectors of a title, float32 [N, D]."""
        return np.asarray(combine_layers(self.layers(title), chosen).numpy(), np.float32)

    @torch.no_grad()
    def head_output(self, title: SceneTitle) -> Vectors:
        """What the head predicts where nothing is masked, unit rows [N, E]."""
        decoded = self._model.decode(self.layers(title)[-1])
        return np.asarray(functional.normalize(decoded, dim=-1).numpy(), np.float32)


def best_baseline(table: JudgedTable) -> JudgedRow:
    """The row with the best mean over the tasks of context that needs neither training nor the answer.

    Of the smoothed rows only the one that is best on the titles that fit.
    """
    smoothing = best_smoothing(table).name
    left_out = {"exported", "fused ++ exported", "head output", "untrained (data)", *NOT_BASELINES}
    rivals = [
        row
        for row in table.rows
        if row.name not in left_out
        and not row.name.startswith("block")
        and (row.name == smoothing or not row.name.startswith("fused ++ mean of +-"))
    ]
    return max(rivals, key=lambda row: sum(row.scores[task].measured.value for task in CONTEXT_TASKS))


@click.command()
@click.option("--titles", "num_titles", type=click.IntRange(min=5), default=300, show_default=True)
@click.option("--objective", default="auto", show_default=True)
@click.option("--settings", default="{}", help="Fields of the objective that differ, as JSON.")
@click.option("--preset", default="auto", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--first-weights", type=click.Choice(["data", "random"]), default="data", show_default=True)
@click.option("--free", "is_free", is_flag=True, help="Train the first block as well.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object.")
def main(
    num_titles: int,
    objective: str,
    settings: str,
    preset: str,
    seed: int,
    first_weights: str,
    is_free: bool,
    is_json: bool,
) -> None:
    """Train on scenes and judge what comes out."""
    training = {"objective": objective, "objective_settings": json.loads(settings), "preset": preset, "seed": seed}
    changes = {"first_weights": first_weights, "is_first_block_held": not is_free}
    table, result = study(num_titles, training, changes)
    report: Any = result.report
    if is_json:
        click.echo(json.dumps({**table.as_json(), "run": report["run"], "skill": report["skill"]["random"]}))
        return
    click.echo(table.as_text())
    run, best = report["run"], best_baseline(table)
    apart = {task: difference(table.row("exported"), best, task) for task in CONTEXT_TASKS}
    told = "; ".join(f"{task} {item.value:+.3f} ({item.low:+.3f} to {item.high:+.3f})" for task, item in apart.items())
    click.echo(
        f"{run['num_steps']} steps, best {run['best_step']}, {run['stop_reason']}; skill "
        f"{report['skill']['random']['skill']:+.3f}; exports blocks {list(result.checkpoint.export_layers)}"
    )
    click.echo(f"exported minus {best.name}: {told}")


if __name__ == "__main__":
    main()
