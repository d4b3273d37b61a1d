"""What became of each title in a step."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mediafm.types import TitleState

MAX_TRACE_CHARACTERS = 4000
"""Of a fault of ours, as the ledger keeps it: its end, which names the line."""


def format_trace(error: BaseException) -> str:
    """The end of the error's traceback, for the ledger's details."""
    return "".join(traceback.format_exception(error))[-MAX_TRACE_CHARACTERS:]


@dataclass(frozen=True, kw_only=True)
class TitleOutcome:
    """One title in one step.

    state: `ok`, `quarantined`, `failed`, `waiting` (an input is missing), or `vanished`.
    reason: a sentence, empty for `ok`.
    was_made: False if the values were there already.
    rows: rows at hand per table.
    num_tokens, cost_usd: what was bought for it in this step; None of it if nothing was for sale.
    """

    title_id: str
    state: TitleState
    reason: str = ""
    was_made: bool = False
    rows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    num_tokens: int | None = None
    cost_usd: float = 0.0

    @property
    def sentence(self) -> str:
        """The reason, with the title named once."""
        return f"{self.title_id}: {self.reason.removeprefix(f'{self.title_id}: ')}"


@dataclass(frozen=True)
class StepReport:
    """All titles of one step, in the order given."""

    asset: str
    outcomes: tuple[TitleOutcome, ...]

    def titles(self, state: TitleState) -> list[str]:
        """The ids of the titles that ended in `state`."""
        return [outcome.title_id for outcome in self.outcomes if outcome.state is state]

    @property
    def num_made(self) -> int:
        return sum(outcome.was_made for outcome in self.outcomes)

    @property
    def num_tokens(self) -> int | None:
        """Tokens bought for all titles; None if the step buys nothing."""
        bought = [outcome.num_tokens for outcome in self.outcomes if outcome.num_tokens is not None]
        return sum(bought) if bought else None

    @property
    def cost_usd(self) -> float:
        return sum(outcome.cost_usd for outcome in self.outcomes)

    def counts(self) -> dict[str, int]:
        """How many titles ended in each state that occurs."""
        return dict(sorted(Counter(str(outcome.state) for outcome in self.outcomes).items()))

    def reasons(self, states: Sequence[TitleState], limit: int = 10) -> list[str]:
        """The first `limit` sentences of titles in `states`, and how many more there are."""
        sentences = [outcome.sentence for outcome in self.outcomes if outcome.state in states]
        more = len(sentences) - limit
        return sentences[:limit] + ([f"(and {more} more)"] if more > 0 else [])
