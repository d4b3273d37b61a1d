"""A run sets its threads and puts the process's own number back."""

from __future__ import annotations

import pytest
import torch

from mediafm.model import presets
from mediafm.train.threads import cpu_threads, threads_for


def test_small_models_get_one_thread_and_large_ones_what_there_is() -> None:
    assert threads_for(presets.tiny(64, 8), "cpu") == 1
    assert threads_for(presets.base(64, 8), "cpu") == torch.get_num_threads()
    assert threads_for(presets.base(64, 8), "cuda:0") == 1


def test_the_number_is_put_back_even_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="a failing run"):
        _failing_run(before + 1)
    assert torch.get_num_threads() == before


def _failing_run(num_threads: int) -> None:
    with cpu_threads(num_threads):
        assert torch.get_num_threads() == num_threads
        raise RuntimeError("a failing run")
