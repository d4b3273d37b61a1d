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
        listed = scan_catalog(catalog, config.limits, workspace.buckets) if catalog else scan_known(workspace)
        found = estimate_root(workspace, listed.titles)
    free_encoders()
    total = found.total
    if as_json:
        echo_json(
            {
                "encoder": found.encoder,
                "is_bought": total is not None,
                "total": asdict(total) if total else None,
                "titles": [{"title_id": title_id, **asdict(one)} for title_id, one in found.titles],
                "set_aside": found.set_aside,
            }
        )
        return
    for sentence in found.set_aside:
        click.echo(f"left out: {sentence}")
    if total is None:
        click.echo(f"{found.encoder} runs here: nothing would be paid")
        return
    echo_table(
        ("title", "texts", "tokens", "dollars"),
        ((title_id, one.num_texts, one.num_tokens, _dollars(one.cost_usd)) for title_id, one in found.titles),
    )
    click.echo(
        f"{total.num_texts} texts, {total.num_unique} different, {total.num_cached} known already; "
        f"{total.num_tokens} tokens to buy ({total.counting}): {_dollars(total.cost_usd)}"
    )


def _dollars(cost_usd: float | None) -> str:
    return "no price is set" if cost_usd is None else f"${cost_usd:.6f}"
