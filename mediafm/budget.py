"""The one rule about money: a budget is not passed, whoever counts what is spent."""

from __future__ import annotations

from mediafm.errors import EncoderError


def refuse_beyond(spent_usd: float, cost_usd: float, budget_usd: float | None) -> None:
    """Raises `EncoderError` if `cost_usd` more would pass the budget; None is no bound."""
    if budget_usd is not None and spent_usd + cost_usd > budget_usd:
        raise EncoderError(
            f"${spent_usd:.6f} are spent or set aside and ${cost_usd:.6f} more are needed",
            rule=f"the budget of ${budget_usd:.6f} is not passed",
            where="budget_usd",
            remedy="Raise `budget_usd` in the profile and run again: what is bought is kept.",
        )
