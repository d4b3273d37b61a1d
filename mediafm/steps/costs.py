"""What text embeddings cost: what was paid so far by the ledger, and what the texts still to be embedded would cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mediafm.catalog.title import CatalogTitle
from mediafm.config import Config
from mediafm.encoders.pricing import Estimate, Priced
from mediafm.steps.embeddings import EMBEDDING_STEPS
from mediafm.steps.encoders import borrow_encoder
from mediafm.steps.existing import existing_store
from mediafm.steps.present import PresentTitle
from mediafm.steps.runner import run_step
from mediafm.steps.shots import shots_steps
from mediafm.steps.titles import take_in
from mediafm.steps.workspace import Workspace
from mediafm.store.views import connect
from mediafm.types import Json, Modality, TitleState

TEXT_ASSETS = ("text_embeddings", "metadata_embeddings")


@dataclass(frozen=True, kw_only=True)
class RootEstimate:
    """A dry run: nothing is sent.

    encoder: the text encoder's name.
    total: of all titles together, each text once; None for an encoder that runs here: nothing would be paid.
    titles: each title's own, texts that titles share counted in each.
    set_aside: titles that cannot be estimated, with the reason.
    """

    encoder: str
    total: Estimate | None
    titles: tuple[tuple[str, Estimate], ...]
    set_aside: tuple[str, ...]


def spent(config: Config) -> list[dict[str, Json]]:
    """What was paid for each title and asset, by the ledger; titles by cost, the dearest first.

    Raises:
        NotFoundError: there is no root.
    """
    with connect(existing_store(config), tables=()) as connection:
        rows: list[Any] = connection.execute(
            "SELECT title_id, asset, sum(num_tokens), sum(num_bought), sum(num_cached), sum(cost_usd) FROM costs "
            "GROUP BY title_id, asset ORDER BY sum(cost_usd) DESC, title_id, asset"
        ).fetchall()
    names = ("title_id", "asset", "num_tokens", "num_bought", "num_cached", "cost_usd")
    return [dict(zip(names, row, strict=True)) for row in rows]


def estimate(workspace: Workspace, titles: Sequence[CatalogTitle]) -> RootEstimate:
    """What the text of `titles` would cost now. Takes them in, cuts and, if so configured, transcribes them: that costs
    no money and is kept.

    Texts whose vectors are stored or cached cost nothing.
    """
    ids = [title.title_id for title in titles]
    reports = [take_in(workspace, titles)]
    for step in shots_steps(workspace):
        workspace.ledger.flush()
        reports.append(run_step(workspace, step, workspace.titles(ids)))
    workspace.ledger.flush()
    states = [state for state in TitleState if state is not TitleState.OK]
    set_aside = [sentence for report in reports for sentence in report.reasons(states, limit=len(ids))]
    encoder = borrow_encoder(workspace, Modality.TEXT)
    lacking = [title for title in workspace.titles(ids) if _can_be_read(workspace, title)]
    left_out = tuple(dict.fromkeys(set_aside))
    if not isinstance(encoder, Priced):
        return RootEstimate(encoder=encoder.spec.name, total=None, titles=(), set_aside=left_out)
    each = tuple((title.title_id, encoder.estimate(texts_to_embed(workspace, title))) for title in lacking)
    total = encoder.estimate(text for title in lacking for text in texts_to_embed(workspace, title))
    return RootEstimate(encoder=encoder.spec.name, total=total, titles=each, set_aside=left_out)


def texts_to_embed(workspace: Workspace, title: PresentTitle) -> Iterator[str]:
    """The texts of a title that the text encoder has yet to read: of its shots, and of its metadata."""
    for asset in TEXT_ASSETS:
        if title.missing(workspace.store, [asset]):
            step: Any = EMBEDDING_STEPS[asset](workspace)
            yield from (text for _, text in step.items(title))


def _can_be_read(workspace: Workspace, title: PresentTitle) -> bool:
    return title.state is TitleState.OK and not title.missing(workspace.store, ["spans", "cues"])
