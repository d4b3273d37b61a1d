"""What "auto" computes in, and that the choice is recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mediafm.train.loop import train
from mediafm.train.precision import MIN_CPU_DIM, auto_precision, computing_in, is_native, resolve_precision
from mediafm.train.trainer import Trainer

CPU = torch.device("cpu")


def test_auto_takes_bfloat16_where_it_wins():
    assert auto_precision("cuda", 128, is_native=True) == "bfloat16"
    assert auto_precision("cuda", 768, is_native=False) == "float32"
    assert auto_precision("cpu", MIN_CPU_DIM, is_native=True) == "bfloat16"
    assert auto_precision("cpu", MIN_CPU_DIM // 2, is_native=True) == "float32"
    assert auto_precision("cpu", MIN_CPU_DIM, is_native=False) == "float32"
    assert auto_precision("mps", 768, is_native=False) == "float32"


def test_a_setting_is_obeyed():
    assert resolve_precision("bfloat16", CPU, 32) == "bfloat16"
    assert resolve_precision("float32", CPU, 1024) == "float32"
    assert resolve_precision("auto", CPU, 1024) == ("bfloat16" if is_native(CPU) else "float32")
    assert not is_native(torch.device("meta"))


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_matrices_multiply_in_the_precision(precision, dtype):
    with computing_in(precision, CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_bfloat16_steps_as_float32_does_to_its_rounding(manifest, corpus, config):
    """Eight bits of mantissa: 2^-8 a product, which averages out over the terms of a sum; the loss is float32."""
    losses = {}
    for precision in ("float32", "bfloat16"):
        told = replace(config, precision=precision)
        trainer = Trainer(manifest, corpus, told, np.zeros(corpus.fused_dim, np.float32), "cpu")
        results = [trainer.take_step(0.1) for _ in range(4)]
        losses[precision] = [result.loss for result in results]
        assert all(parameter.dtype == torch.float32 for parameter in trainer.model.parameters())
        trainer.close()
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.01)
    assert losses["bfloat16"] != losses["float32"]


def test_the_report_says_what_was_computed_in(manifest, corpus, config):
    told = replace(config, precision="bfloat16", max_steps=2)
    environment = train(manifest, corpus, told).report["environment"]
    assert environment["precision"] == "bfloat16"
    assert environment["num_threads"] == 1
    assert environment["is_compiled"] is False
