"""`mediafm cost`: what was paid for text embeddings. `mediafm estimate`: what they would cost, nothing sent."""

from __future__ import annotations

from dataclasses import asdict

import click

from mediafm.cli.bars import progress_bar
from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json, echo_table
from mediafm.config import Config


@click.command()
@configured
@json_option
def cost(config: Config, as_json: bool) -> None:
    """Tokens and dollars by title, as the ledger has them."""
    from mediafm.steps.costs import spent

    rows = spent(config)
    total = sum(float(str(row["cost_usd"])) for row in rows)
    if as_json:
        echo_json({"total_usd": total, "titles": rows})
        return
    echo_table(
        ("title", "asset", "tokens", "texts bought", "texts cached", "dollars"),
        ([*list(row.values())[:-1], f"{row['cost_usd']:.6f}"] for row in rows),
    )
    click.echo(f"${total:.6f} in all" if rows else "nothing was bought: the text encoder runs here")


@click.command()
@click.argument("catalog", required=False)
@configured
@json_option
def estimate(config: Config, catalog: str | None, as_json: bool) -> None:
    """What CATALOG's text would cost: titles are taken in and cut (that is kept), and nothing is sent."""
    from mediafm.catalog.scan import scan_catalog
    from mediafm.steps.catalogs import scan_known
    from mediafm.steps.costs import estimate as estimate_root
    from mediafm.steps.encoders import free_encoders
    from mediafm.steps.workspace import Workspace

    with progress_bar(quiet=as_json) as bar, Workspace.open(config, progress=bar) as workspace:
        listed = scan_catalog(catalog, config.limits) if catalog else scan_known(workspace)
        found = estimate_root(workspace, listed.titles)
    free_encoders()
    if as_json:
        echo_json(asdict(found))
        return
    if found.is_bought:
        echo_table(
            ("title", "texts", "tokens", "dollars"),
            ((one.title_id, one.num_texts, one.num_tokens, _dollars(one.cost_usd)) for one in found.titles),
        )
    for sentence in found.set_aside:
        click.echo(f"left out: {sentence}")
    if not found.is_bought:
        click.echo(f"{found.encoder} runs here: nothing would be paid")
        return
    click.echo(
        f"{found.num_texts} texts, {found.num_unique} different, {found.num_cached} known already; "
        f"{found.num_tokens} tokens to buy ({found.counting}): {_dollars(found.cost_usd)}"
    )


def _dollars(cost_usd: float | None) -> str:
    return "no price is set" if cost_usd is None else f"${cost_usd:.6f}"
