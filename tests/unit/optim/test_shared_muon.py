"""Muon on several ranks is Muon on one, bit by bit. The ranks are threads that meet at a barrier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from threading import Barrier, Thread
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mediafm.errors import TrainingError
from mediafm.model import presets
from mediafm.model.mediafm import MediaFM, build
from mediafm.optim.optimizers import OptimConfig, Optimizers
from mediafm.optim.shared_muon import SharedMuon, cost

SHAPES = ((8, 8), (16, 8), (8, 16), (8, 24), (4, 8))
SETTINGS = {"lr": 0.02, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}


class ThreadExchange:
    """A rank that is a thread: `told` is one list of all of them."""

    def __init__(self, rank: int, barrier: Barrier, told: list[Tensor]) -> None:
        self.rank, self.count = rank, len(told)
        self._barrier, self._told = barrier, told

    def gather(self, own: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        assert len(own) == sizes[self.rank]
        self._told[self.rank] = own.clone()
        self._barrier.wait(10)
        found = [part.clone() for part in self._told]
        self._barrier.wait(10)
        return found


def on_ranks(count: int, work: Callable[[ThreadExchange], Any]) -> list[Any]:
    """What `work` gives on each of `count` ranks."""
    barrier, told, found = Barrier(count), [torch.empty(0)] * count, [None] * count

    def run(rank: int) -> None:
        found[rank] = work(ThreadExchange(rank, barrier, told))

    threads = [Thread(target=run, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert None not in found, "a rank raised"
    return found


def matrices() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def set_gradients(parameters: Sequence[nn.Parameter], step: int, absent: Sequence[int] = ()) -> None:
    generator = torch.Generator().manual_seed(100 + step)
    for index, parameter in enumerate(parameters):
        gradient = torch.randn(parameter.shape, generator=generator)
        parameter.grad = None if index in absent else gradient


def steps(optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], numbers: Sequence[int]) -> None:
    for number in numbers:
        set_gradients(parameters, number, absent=(1,) if number == 0 else ())
        optimizer.step()


def one_rank(numbers: Sequence[int]) -> tuple[list[nn.Parameter], torch.optim.Muon]:
    parameters = matrices()
    optimizer = torch.optim.Muon(parameters, **SETTINGS)
    steps(optimizer, parameters, numbers)
    return parameters, optimizer


def assert_equal(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


def assert_same_state(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert found["param_groups"] == wanted["param_groups"]
    assert set(found["state"]) == set(wanted["state"])
    for index, state in wanted["state"].items():
        assert_equal([found["state"][index]["momentum_buffer"]], [state["momentum_buffer"]])


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_ranks_step_as_one_bit_by_bit(count: int) -> None:
    wanted, muon = one_rank(range(5))

    def work(exchange: ThreadExchange) -> tuple[list[nn.Parameter], dict[str, Any]]:
        parameters = matrices()
        optimizer = SharedMuon(parameters, exchange=exchange, **SETTINGS)
        steps(optimizer, parameters, range(5))
        return parameters, optimizer.state_dict()

    for parameters, state in on_ranks(count, work):
        assert_equal(parameters, wanted)
        assert_same_state(state, muon.state_dict())


def test_a_rank_keeps_the_momentum_of_its_own_matrices_only() -> None:
    def work(exchange: ThreadExchange) -> int:
        parameters = matrices()
        optimizer = SharedMuon(parameters, exchange=exchange, **SETTINGS)
        steps(optimizer, parameters, range(2))
        optimizer.load_state_dict(deepcopy(optimizer.state_dict()))
        steps(optimizer, parameters, [2])
        return len(optimizer.state)

    assert sum(on_ranks(3, work)) == len(SHAPES)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 3)])
def test_a_state_goes_on_with_another_number_of_ranks(before: int, after: int) -> None:
    wanted, _ = one_rank(range(5))

    def first(exchange: ThreadExchange) -> tuple[list[nn.Parameter], dict[str, Any]]:
        parameters = matrices()
        optimizer = SharedMuon(parameters, exchange=exchange, **SETTINGS)
        steps(optimizer, parameters, range(3))
        return parameters, optimizer.state_dict()

    stopped, state = on_ranks(before, first)[0]

    def second(exchange: ThreadExchange) -> list[nn.Parameter]:
        parameters = [nn.Parameter(matrix.detach().clone()) for matrix in stopped]
        optimizer = SharedMuon(parameters, exchange=exchange, **SETTINGS)
        optimizer.load_state_dict(deepcopy(state))
        steps(optimizer, parameters, range(3, 5))
        return parameters

    for parameters in on_ranks(after, second):
        assert_equal(parameters, wanted)


def test_states_go_to_and_from_torch_muon() -> None:
    wanted, muon = one_rank(range(3))

    def work(exchange: ThreadExchange) -> tuple[list[nn.Parameter], dict[str, Any]]:
        parameters = [nn.Parameter(matrix.detach().clone()) for matrix in wanted]
        optimizer = SharedMuon(parameters, exchange=exchange, **SETTINGS)
        optimizer.load_state_dict(deepcopy(muon.state_dict()))
        steps(optimizer, parameters, [3])
        return parameters, optimizer.state_dict()

    found = on_ranks(2, work)
    steps(muon, wanted, [3])
    for parameters, state in found:
        assert_equal(parameters, wanted)
        assert_same_state(state, muon.state_dict())
        torch.optim.Muon(matrices(), **SETTINGS).load_state_dict(state)


def test_all_optimizers_of_a_model_step_as_one() -> None:
    def stepped(exchange: ThreadExchange | None) -> tuple[MediaFM, dict[str, float]]:
        model = build(presets.tiny(24, 8), 0)
        optimizers = Optimizers(model, OptimConfig(), exchange=exchange)
        for number in range(3):
            set_gradients(list(model.parameters()), number)
            optimizers.step()
        return model, optimizers.rates()

    wanted, rates = stepped(None)
    for model, found in on_ranks(2, stepped):
        assert_equal(list(model.parameters()), list(wanted.parameters()))
        assert found == rates


def test_gradients_stay_where_they_were() -> None:
    def work(exchange: ThreadExchange) -> bool:
        parameters = matrices()
        set_gradients(parameters, 0)
        SharedMuon(parameters, exchange=exchange, **SETTINGS).step()
        return all(parameter.grad is not None for parameter in parameters)

    assert all(on_ranks(2, work))


def test_a_closure_is_refused() -> None:
    def work(exchange: ThreadExchange) -> bool:
        with pytest.raises(TrainingError, match="a closure; ranks step with gradients"):
            SharedMuon(matrices(), exchange=exchange, **SETTINGS).step(lambda: 0.0)
        return True

    assert on_ranks(1, work) == [True]


def test_the_dearer_matrix_is_the_larger_and_its_turn_costs_the_same() -> None:
    assert cost(64, 256) == cost(256, 64) > cost(64, 64)
