"""What the training benchmarks compute from their measurements."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import training
from benchmarks.memory import POLL_SECONDS, watched_memory
from benchmarks.optimizers import EVALUATE_EVERY, NUM_STEPS, Curve, compare
from benchmarks.training import make_workload, step_flops
from benchmarks.training_size import NUM_SHOTS, draw, make_manifest
from mediafm.train.trainer import Trainer


@pytest.fixture(scope="module")
def workload(tmp_path_factory):
    patched = pytest.MonkeyPatch()
    patched.setattr(training, "WIDTH", 32)
    patched.setattr(training, "NUM_TITLES", 12)
    yield make_workload(tmp_path_factory.mktemp("corpus")).of("tiny", 1)
    patched.undo()


def test_the_operations_of_a_step_are_those_that_torch_counts(workload):
    """Within 3 %: metadata and presence are small. By the plain kernel: torch does not count the CPU's quick one."""
    trainer = Trainer(
        workload.manifest, workload.corpus, workload.config, np.zeros(workload.corpus.fused_dim, np.float32), "cpu"
    )
    step = trainer.prepared(workload.steps[0])
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        for batch in step.batches:
            terms = trainer.objective.terms(trainer.model, batch.on(torch.device("cpu")), step.counts)
            terms["masked"][1].backward()
    expected = step_flops(workload.config, [item.window.num_shots for item in workload.steps[0]])
    assert counter.get_total_flops() == pytest.approx(expected, rel=0.03)
    trainer.close()


def test_a_workload_of_another_preset_keeps_its_titles(workload):
    other = workload.of("small")
    assert (other.config.preset, other.config.model.hidden_dim) == ("small", 256)
    assert other.steps == workload.steps
    assert other.manifest is workload.manifest


def test_steps_to_a_loss_are_interpolated():
    curve = Curve(losses=(1.0, 0.8, 0.9, 0.4))
    assert curve.steps_to(0.9) == pytest.approx(0.5 * EVALUATE_EVERY)
    assert curve.steps_to(0.6) == pytest.approx(2.6 * EVALUATE_EVERY)
    assert curve.steps_to(0.3) == float("inf")
    assert curve.lowest == 0.4
    assert [curve.lowest_within(share) for share in (0.34, 0.67, 1.0)] == [0.8, 0.8, 0.4]


def test_optimizers_are_compared_seed_by_seed():
    slow = [Curve(losses=(1.0, 0.5)), Curve(losses=(1.0, 0.8, 0.6))]
    quick = [Curve(losses=(1.0, 0.25)), Curve(losses=(1.0, 0.9, 0.7))]
    chosen = {"muon": (1e-3, 0.1), "adamw": (3e-4, 0.5)}
    *_, steps, lowest = compare(quick, slow, chosen)
    # The first seed in two thirds of AdamW's 10 steps; the second never, which counts as one step more than all.
    assert steps.ratio == pytest.approx(((2 / 3) + (NUM_STEPS + 1) / (2 * EVALUATE_EVERY)) / 2)
    assert "muon 0.001/0.1, adamw 0.0003/0.5" in steps.name
    assert lowest.rival_value == pytest.approx(0.55)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_that_is_taken_is_seen():
    with watched_memory() as found:
        taken = np.ones(8_000_000)  # above what malloc ever takes from memory that the process already holds
        time.sleep(20 * POLL_SECONDS)
    assert found.taken_bytes == pytest.approx(taken.nbytes, rel=0.5)


def test_titles_of_the_size_benchmark_are_drawn_from_their_number():
    manifest = make_manifest(12)
    title = manifest.titles[3].title
    one, other = draw(title), draw(replace(title, media_sha256="x"))
    assert np.array_equal(one.fused, other.fused)
    assert one.num_shots == NUM_SHOTS
    assert not np.array_equal(one.fused, draw(manifest.titles[4].title).fused)
