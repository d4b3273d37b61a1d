"""`mediafm`: the library's verbs, and those that need Dagster.

Belongs here: parsing and printing. Does not belong here: what a verb does.
"""

import sys
from collections.abc import Sequence
from typing import Any

import click

from mediafm.cli.bars import progress_bar
from mediafm.cli.exit_codes import EXIT_FAILED
from mediafm.cli.main import VERBS, Verbs
from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json
from mediafm.config import Config
from mediafm_pipelines.cli_forget import forget
from mediafm_pipelines.cli_serving import rollback, serve


def _ask_dagster(config: Config, sample: Any) -> Sequence[str]:
    from mediafm_pipelines.agreement import ask_dagster

    return ask_dagster(config, sample)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "obj": {"Dagster": _ask_dagster}})
@click.version_option(package_name="mediafm", prog_name="mediafm")
def cli() -> None:
    """MediaFM: contextual, tri-modal shot embeddings from your own catalogue."""


for _verb in (*VERBS, forget, rollback, serve):
    cli.add_command(_verb)


@cli.command()
@click.argument("catalog", required=False)
@click.option("--labels", multiple=True, help="A label file or folder for the probes; may be given several times.")
@click.option("--force", "is_forced", is_flag=True, help="Make everything again; recorded.")
@configured
@json_option
def run(config: Config, catalog: str | None, labels: Sequence[str], is_forced: bool, as_json: bool) -> None:
    """Take CATALOG (a folder or a manifest) through the whole graph; only what is missing is done.

    Without it: all that the root knows, titles of imported vectors among it.
    """
    if catalog is None and config.catalog is None:
        from mediafm.steps.existing import existing_store

        existing_store(config)
    summary = _execute(config, catalog, labels, as_json, is_forced=is_forced)
    _finish(summary, as_json)


@cli.command()
@click.option("--title", "title_ids", multiple=True, help="Only these titles; all that are set aside unless given.")
@configured
@json_option
def retry(config: Config, title_ids: Sequence[str], as_json: bool) -> None:
    """Try titles again that were quarantined or failed."""
    from mediafm.steps.existing import existing_store

    existing_store(config)
    summary = _execute(config, None, (), as_json, retries_quarantined=True, only=title_ids or None)
    _finish(summary, as_json)


@cli.command()
@click.argument("catalog", required=False)
@configured
@json_option
def demo(config: Config, catalog: str | None, as_json: bool) -> None:
    """The whole graph on a small sample catalogue (or on CATALOG), with a report at the end."""
    from mediafm_pipelines.demo import demo_catalog, demo_config, demo_report, write_demo_settings

    config = demo_config(config, catalog)
    with progress_bar(quiet=as_json) as bar:
        chosen = demo_catalog(config, catalog, bar)
    if not as_json:
        click.echo(chosen.sentence)
    summary = _execute(config, chosen.location, chosen.labels, as_json)
    write_demo_settings(config, chosen)
    if not as_json:
        click.echo(demo_report(config, summary))
    _finish(summary, as_json)


@cli.command()
@click.option("--checkpoint", required=True, help="A checkpoint's sha256, or at least its first eight digits.")
@click.option("--reason", required=True, help="Why; kept in the ledger, in MLflow and in the run.")
@configured
@json_option
def promote(config: Config, checkpoint: str, reason: str, as_json: bool) -> None:
    """Make a checkpoint the champion, whatever the gate said of it; on record, as a Dagster run.

    Readers get its vectors once `mediafm run` has made them.
    """
    from mediafm_pipelines.decisions import run_promotion
    from mediafm_pipelines.definitions import build_defs

    _say_foreign_home(config)
    decision, run_id = run_promotion(config, build_defs(config), checkpoint, reason)
    if as_json:
        echo_json({**decision.as_json(), "dagster_run": run_id})
        return
    click.echo(f"{decision.verdict}: {decision.reason}")
    click.echo(f"champion: {decision.checkpoint_sha256} (Dagster run {run_id})")
    if decision.has_moved:
        click.echo("next: `mediafm run` makes its vectors, in the UI reembed_job and serve_job; readers keep theirs")


@cli.command()
@click.option("--port", default=3000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; loopback by default.")
@click.option("--mlflow-port", default=5000, show_default=True, help="MLflow's UI; 0 leaves it out.")
@configured
def ui(config: Config, port: int, host: str, mlflow_port: int) -> None:
    """The Dagster UI (webserver and daemon) and MLflow's, on this root; Ctrl-C ends them."""
    from mediafm_pipelines.ui import serve_ui

    sys.exit(serve_ui(config, host, port, mlflow_port))


def _execute(
    config: Config,
    catalog: str | None,
    labels: Sequence[str],
    as_json: bool,
    *,
    is_forced: bool = False,
    retries_quarantined: bool = False,
    only: Sequence[str] | None = None,
) -> dict[str, Any]:
    from mediafm_pipelines.catalog_run import CatalogRun
    from mediafm_pipelines.summary import run_summary

    _say_foreign_home(config)
    with progress_bar(quiet=as_json) as bar:
        started = CatalogRun(config, bar, is_forced=is_forced, retries_quarantined=retries_quarantined)
        started.execute(catalog, labels, only)
    return run_summary(started)


def _say_foreign_home(config: Config) -> None:
    from mediafm_pipelines.instance import foreign_home

    foreign = foreign_home(config)
    if foreign:
        click.echo(f"DAGSTER_HOME is {foreign}; this run stands in {config.state_path / 'dagster'} instead.", err=True)


def _finish(summary: dict[str, Any], as_json: bool) -> None:
    from mediafm_pipelines.summary import summary_text

    if as_json:
        echo_json(summary)
    else:
        click.echo(summary_text(summary))
    if summary["titles"]["failed"] or summary["faults"]:
        sys.exit(EXIT_FAILED)


def main() -> None:
    """The entry point of `mediafm`."""
    cli()
