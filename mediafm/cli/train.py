"""`mediafm train`: one training, with or without Dagster; `--plan` tells what it will be."""

from __future__ import annotations

from typing import Any

import click

from mediafm.cli.bars import progress_bar
from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json, echo_table
from mediafm.config import Config


@click.command()
@click.argument("manifest", required=False)
@click.option("--plan", "is_plan", is_flag=True, help="Say what the training will be, by a few timed steps, and end.")
@click.option("--force", "is_forced", is_flag=True, help="Train again although this manifest was trained on; recorded.")
@configured
@json_option
def train(config: Config, manifest: str | None, is_plan: bool, is_forced: bool, as_json: bool) -> None:
    """Train on MANIFEST: a manifest's folder, its sha256 in the root, or the newest unless given.

    A training that was stopped goes on. It is logged and recorded as the asset `mediafm_checkpoint` does; whether the
    checkpoint becomes the champion is decided by `mediafm run`.
    """
    from mediafm.steps.existing import existing_store
    from mediafm.steps.workspace import Workspace

    existing_store(config)
    with progress_bar(quiet=True) as silent, Workspace.open(config, progress=silent, is_forced=is_forced) as workspace:
        if is_plan:
            _plan(workspace, manifest, as_json)
        else:
            _train(workspace, manifest, as_json)


def _train(workspace: Any, name: str | None, as_json: bool) -> None:
    from mediafm.cli.training_bar import TrainingBar
    from mediafm.steps.manifests import find_manifest
    from mediafm.steps.train_and_log import train_and_log

    manifest = find_manifest(workspace, name)
    workspace.ledger.flush()
    with TrainingBar(quiet=as_json) as bar:
        made = train_and_log(workspace, _on_ranks(workspace), manifest=manifest, watch=bar)
    if as_json:
        echo_json(
            {
                "sha256": made.sha256,
                "manifest_sha256": manifest.sha256,
                "was_made": made.was_made,
                "resumed_at_step": made.resumed_at_step,
                "notes": list(made.notes),
                "model_version": made.model_version,
                "mlflow_run_id": made.mlflow_run_id,
                "skill": made.skill_sentence,
                "folder": _folder(workspace, made.sha256),
            }
        )
        return
    if made.resumed_at_step is not None:
        click.echo(f"gone on from step {made.resumed_at_step}")
    for note in made.notes:
        click.echo(f"note: {note}")
    click.echo(made.skill_markdown)
    click.echo("")
    click.echo(f"checkpoint {made.sha256}" + ("" if made.was_made else " (it was there already: --force trains again)"))
    click.echo(f"MLflow: version {made.model_version}, run {made.mlflow_run_id}")
    click.echo(f"card and pictures: {_folder(workspace, made.sha256)}")
    flags = f"--root {workspace.config.root} --profile {workspace.config.profile}"
    click.echo(f"next: mediafm run {flags} decides whether it is the champion, and serves it")


def _on_ranks(workspace: Any) -> Any:
    """Where it is trained: None, in this process, if the configuration asks for one."""
    from mediafm.train.launch import command_of_others, has_ranks, train_on_ranks

    settings = workspace.config.training

    def run(job: Any, progress: Any, on_metrics: Any) -> Any:
        if others := command_of_others(settings, job.file):
            click.echo(f"each other host starts: {others}", err=True)
        return train_on_ranks(settings, job, progress, on_metrics)

    return run if has_ranks(settings) else None


def _folder(workspace: Any, sha256: str | None) -> str:
    from mediafm.store.folders import CHECKPOINTS, folder_key

    return f"{workspace.config.root_name}/{folder_key(CHECKPOINTS, str(sha256))}"


def _plan(workspace: Any, name: str | None, as_json: bool) -> None:
    from mediafm.steps.manifests import find_manifest, plan_of

    manifest = find_manifest(workspace, name, is_kept=False)
    plan, config = plan_of(workspace, manifest)
    if as_json:
        echo_json({"manifest_sha256": manifest.sha256, **plan.as_json(), "config": config.as_json()})
        return
    costs = plan.costs
    click.echo(f"manifest {manifest.sha256[:16]}: {plan.num_train_shots:,} training shots, "
               f"{plan.num_validation_shots:,} for validation")  # fmt: skip
    click.echo(f"preset {plan.reason}")
    click.echo(f"objective {plan.objective}; on {plan.device}")
    echo_table(("part", "parameters"), [*_counted(plan.parameters), ("in all", f"{plan.num_parameters:,}")])
    echo_table(("memory", "MiB"), _mebibytes(costs.bytes_by_part))
    click.echo(f"vectors: {_mib(plan.corpus.num_bytes)} MiB in the cache; that {plan.corpus.sentence}")
    click.echo(
        f"a step: {costs.shots_per_step:,.0f} shots, {plan.tokens_per_step:,.0f} tokens, "
        f"{_duration(costs.seconds_per_step)} (median of {costs.num_steps}, taken now on this machine); "
        f"an evaluation: {_duration(costs.seconds_per_evaluation)}"
    )
    click.echo(f"an epoch: {plan.steps_per_epoch:,} steps; the run: {plan.min_steps:,} to {plan.max_steps:,} steps")
    click.echo(
        f"time: {_duration(plan.min_seconds)} if the first evaluation is the best, {_duration(plan.max_seconds)} at "
        "the most; the report at the end comes on top"
    )
    click.echo(f"stop: {plan.stop_rule}")
    click.echo("auto, by training shots (asked for otherwise by training.preset):")
    echo_table(
        ("from shots", "preset", "layers x width", "parameters here", ""),
        [
            (f"{row.from_shots:,}", row.preset, f"{row.num_layers} x {row.hidden_dim}", f"{row.num_parameters:,}",
             "this catalogue" if row.is_chosen else "")
            for row in plan.presets
        ],
    )  # fmt: skip


def _counted(counts: Any) -> list[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in counts.items()]


def _mebibytes(sizes: Any) -> list[tuple[str, str]]:
    return [*((name, _mib(size)) for name, size in sizes.items()), ("in all", _mib(sum(sizes.values())))]


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / 2**20:,.1f}"


def _duration(seconds: float) -> str:
    """For people: "0.42 s", "3 min", "5.2 h"."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
