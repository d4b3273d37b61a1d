"""Going over titles: what is recorded of what a step made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mediafm.config import Config
from mediafm.lineage.chain import TitleChain
from mediafm.lineage.fingerprint import Identity
from mediafm.steps.present import PresentTitle
from mediafm.steps.runner import run_step
from mediafm.steps.step import Made, TitleStep
from mediafm.steps.workspace import Workspace
from mediafm.store.schemas import SCHEMAS
from mediafm.store.views import records
from mediafm.testing.stored_titles import facets_of
from mediafm.types import TitleState


class CutsBoth(TitleStep):
    """Like the real cut: makes spans and frames in one go, whichever of them is missing."""

    asset = "shots"
    tables = ("spans", "frames")

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def make(self, title: PresentTitle, missing: Sequence[Identity]) -> list[Made]:
        return [made_empty(self._workspace, title, table) for table in self.tables]


def made_empty(workspace: Workspace, title: PresentTitle, table: str) -> Made:
    identity = title.chain.identity(table)
    return Made(identity, workspace.store.write(identity, SCHEMAS[table].empty_table()))


def present(workspace: Workspace) -> PresentTitle:
    identity = Identity(
        table="titles", title_id="a", producer=workspace.producers["titles"], inputs={"media": "0" * 64}
    )
    stored = workspace.store.write(identity, SCHEMAS["titles"].empty_table())
    return PresentTitle(
        title_id="a",
        state=TitleState.OK,
        reason="",
        generation=1,
        media_sha256="0" * 64,
        facets=facets_of("a"),
        source={},
        group_id="a",
        fingerprint=identity.fingerprint,
        object_key=stored.key,
        sha256=stored.sha256,
        chain=TitleChain("a", facets_of("a"), workspace.producers),
    )


@pytest.mark.parametrize("standing", [(), ("frames",), ("spans",), ("spans", "frames")])
def test_a_value_that_a_killed_run_left_is_recorded_once(standing: tuple[str, ...], tmp_path: Path) -> None:
    with Workspace.open(config=Config(root=str(tmp_path / "root"))) as workspace:
        title = present(workspace)
        for table in standing:
            made_empty(workspace, title, table)
        report = run_step(workspace, CutsBoth(workspace), [title])
    (outcome,) = report.outcomes
    assert outcome.state is TitleState.OK
    assert outcome.was_made == (len(standing) < 2)
    rows = records(workspace.store, ["spans", "frames"])
    assert [row.table for row in rows] == ["frames", "spans"]
