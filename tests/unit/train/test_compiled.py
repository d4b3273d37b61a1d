"""A run that asks for compilation gets it, or goes on without it and says why; names of weights stay as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mediafm.train import compiled
from mediafm.train.compiled import try_compile
from mediafm.train.loop import train
from mediafm.train.trainer import Trainer

pytestmark = [
    # Both are the compiler's own, when it looks at what lies between two blocks.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning:torch"),
]


def no_compiler(graph, inputs):
    raise RuntimeError("no C++ compiler found\nlong story")


def eager(graph, inputs):
    return graph.forward


def make(manifest, corpus, config):
    return Trainer(manifest, corpus, config, np.zeros(corpus.fused_dim, np.float32), "cpu")


@pytest.fixture
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def told(config, monkeypatch):
    """A configuration whose compiler is chosen by the test."""

    def told(backend):
        monkeypatch.setattr("mediafm.train.trainer.try_compile", lambda model: try_compile(model, backend=backend))
        return replace(config, compile=True)

    return told


def test_without_a_compiler_the_run_is_the_plain_one_and_says_why(manifest, corpus, config, told, fresh):
    plain = train(manifest, corpus, replace(config, max_steps=4))
    with pytest.warns(RuntimeWarning, match=r"goes on uncompiled.*BackendCompilerFailed.*no C\+\+ compiler found"):
        found = train(manifest, corpus, replace(told(no_compiler), max_steps=4))
    assert "no C++ compiler found" in found.report["run"]["compile"]
    assert "long story" not in found.report["run"]["compile"]
    assert found.report["environment"]["is_compiled"] is False
    assert found.checkpoint.weights == plain.checkpoint.weights
    assert plain.report["run"]["compile"] == "not asked for"


def test_a_compiled_run_has_the_same_names_and_says_so(manifest, corpus, config, told, fresh):
    trainer = make(manifest, corpus, told(eager))
    plain = make(manifest, corpus, config)
    assert trainer.compile_note == "compiled"
    assert trainer.build_facts()["is_compiled"] is True
    assert list(trainer.model.state_dict()) == list(plain.model.state_dict())
    for _ in range(3):
        assert trainer.take_step(1.0).loss == pytest.approx(plain.take_step(1.0).loss, rel=1e-5)
    trainer.close()
    plain.close()


def test_the_trial_moves_nothing(manifest, corpus, config, fresh):
    model = make(manifest, corpus, config).model
    first = next(iter(model.parameters()))
    first.grad = torch.ones_like(first)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert try_compile(model, backend=eager) == ""
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(first.grad, torch.ones_like(first))
    assert all(parameter.grad is None for parameter in list(model.parameters())[1:])


def test_what_is_not_the_compilers_fault_is_raised(manifest, corpus, config, fresh, monkeypatch):
    def broken(model):
        raise RuntimeError("a broken model")

    monkeypatch.setattr(compiled, "_trial", broken)
    with pytest.raises(RuntimeError, match="a broken model"):
        try_compile(make(manifest, corpus, config).model, backend=eager)


@pytest.mark.slow
def test_compiled_steps_are_the_plain_ones_to_rounding(manifest, corpus, config, fresh, cpp_compiler):
    """Fused loops add in another order: float32's rounding, which a few steps of Muon widen."""
    plain, fast = (make(manifest, corpus, replace(config, compile=compile)) for compile in (False, True))
    assert fast.compile_note == "compiled"
    for _ in range(3):
        assert fast.take_step(0.1).loss == pytest.approx(plain.take_step(0.1).loss, rel=1e-3)
    fast.close()
    plain.close()
