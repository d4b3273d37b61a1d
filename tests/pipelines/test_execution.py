"""Runs in this process: an interrupt ends everything, not only the run that Dagster was in."""

from __future__ import annotations

import os
import signal

import dagster as dg
import pytest

from mediafm_pipelines.execution import run_assets


def definitions_of(begun: list[str], *, number: signal.Signals) -> dg.Definitions:
    """`first`, which is interrupted, `second` behind it and `third` beside it."""

    @dg.asset
    def first() -> None:
        begun.append("first")
        os.kill(os.getpid(), number)

    @dg.asset(deps=[first])
    def second() -> None:
        begun.append("second")

    @dg.asset
    def third() -> None:
        begun.append("third")

    return dg.Definitions(assets=[first, second, third])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_all_that_was_to_come(number: signal.Signals) -> None:
    begun: list[str] = []
    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.raises(KeyboardInterrupt, match="was interrupted"):
            run_assets(definitions_of(begun, number=number), instance, ["first", "second", "third"], None, {})
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.FAILURE]
    assert begun == ["first"]
