"""When a run ends, told before it begins and while it goes on."""

from __future__ import annotations

from collections.abc import Sequence

from mediafm.train.config import TrainConfig
from mediafm.train.curves import CurvePoint


def stop_rule(config: TrainConfig) -> str:
    """The rule in a sentence."""
    clock = f", or {config.max_seconds:,.0f} s are over" if config.max_seconds is not None else ""
    return (
        f"The validation loss is taken every {config.evaluate_every_steps} steps; after {config.patience_evaluations} "
        f"evaluations without a better one the run goes back to its best state, lets the learning rates fall to zero "
        f"over {100 * config.decay_share:.0f} % of the steps behind that state, and exports the better of the two; "
        f"at the latest it ends when {config.max_steps:,} steps are taken{clock}."
    )


def least_steps(config: TrainConfig) -> int:
    """Steps of a run whose first evaluation is its best."""
    return min(config.max_steps, _steps_from(config, best_step=config.evaluate_every_steps))


def expected_steps(config: TrainConfig, points: Sequence[CurvePoint]) -> int:
    """Steps that the run will have taken at its end if nothing improves from now on.

    Args:
        points: of its evaluations so far, in order.
    """
    stable = [point for point in points if point.phase == "stable"]
    if not stable:
        return least_steps(config)
    best = min(stable, key=lambda point: point.validation_loss)
    if points[-1].phase == "decay":
        return max(points[-1].num_steps, stable[-1].num_steps + _decay_steps(config, best.step))
    return min(config.max_steps, max(points[-1].num_steps, _steps_from(config, best.step)))


def _steps_from(config: TrainConfig, best_step: int) -> int:
    return best_step + config.patience_evaluations * config.evaluate_every_steps + _decay_steps(config, best_step)


def _decay_steps(config: TrainConfig, best_step: int) -> int:
    return round(config.decay_share * best_step)
