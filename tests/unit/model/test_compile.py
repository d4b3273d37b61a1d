from dataclasses import replace

import pytest
import torch

from mediafm.model import attention, presets
from mediafm.model.batch import pack
from mediafm.model.mediafm import build
from tests.unit.model.sequences import E, M, sequence
from tests.unit.model.varlen_twin import packed

SMALL = replace(
    presets.tiny(E, M), hidden_dim=16, num_heads=2, num_layers=3, feedforward_dim=24, max_shots=64, has_zero_init=False
)
BATCHES = tuple(
    pack([sequence(seed, count, num_masked=min(2, count)) for seed, count in enumerate(counts)], M)
    for counts in ((5, 9, 1), (7, 7), (33,), (4, 4, 12, 2, 2, 30), (1, 1, 1), (8, 3))
)


@torch.library.custom_op("mediafm_tests::varlen_attn", mutates_args=())
def opaque_varlen(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, places: torch.Tensor, max_length: int
) -> torch.Tensor:
    # As the real one: an operator that the compiler does not look into.
    assert int(places.diff().max()) == max_length
    return packed(query, key, value, places.diff().tolist()).contiguous()


@opaque_varlen.register_fake
def _(query, key, value, places, max_length):
    return torch.empty_like(query)


@pytest.fixture
def graphs(monkeypatch):
    """A compiler that counts what it is given and runs it as it is."""
    monkeypatch.setattr(
        attention, "varlen_attn", lambda q, k, v, places, _, longest, __: opaque_varlen(q, k, v, places, longest)
    )
    torch._dynamo.reset()
    found = []

    def compiler(graph, inputs):
        found.append(graph)
        return graph.forward

    yield found, compiler
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("form", "backend", "most"),
    [
        ("ours", "varlen", 3),
        ("qk norm", "varlen", 3),
        ("none blind", "varlen", 2),
        ("published", "varlen", 2),
        ("ours", "buckets", 4),
        ("ours", "padded", 4),
        ("none blind", "padded", 3),
    ],
)
def test_one_compilation_serves_all_layers_and_batches(form, backend, most, graphs):
    found, compiler = graphs
    forms = {
        "ours": SMALL,
        "qk norm": replace(SMALL, has_qk_norm=True),
        "none blind": replace(SMALL, num_blind_blocks=0),
        "published": presets.published_shallow(E, M),
    }
    model = build(forms[form], 0)
    model.attention = backend
    names = [name for name, _ in model.named_parameters()]
    with torch.no_grad():
        plain = [model(batch) for batch in BATCHES]
        model.compile_blocks(backend=compiler)
        num_graphs = []
        for batch, expected in zip(BATCHES, plain, strict=True):
            torch.testing.assert_close(model(batch), expected, rtol=1e-5, atol=1e-5)
            num_graphs.append(len(found))
    # One graph; a second where two sizes of the first batch were equal by chance, which the compiler took for a rule;
    # on the grid one each for ragged, even and single; with buckets the pieces before and after them. Then no more.
    # Blind blocks are a kind of their own, always on a grid with a mask: one for several titles and one for a single.
    assert num_graphs[-1] == num_graphs[2] <= most
    # With and without gradients, training and evaluation stay within what the compiler keeps.
    assert 2 * num_graphs[-1] <= torch._dynamo.config.recompile_limit
    assert [name for name, _ in model.named_parameters()] == names


def numbers(model, batch):
    model.zero_grad()
    predicted = model(batch)
    predicted.square().sum().backward()
    return [predicted.detach(), *(item.grad.clone() for item in model.parameters() if item.grad is not None)]


# The compiler warns of its own code; as errors, its warnings would break compilation.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.slow
@pytest.mark.parametrize("is_whole", [False, True], ids=["blocks", "whole model"])
def test_compiled_numbers_and_gradients_are_those_of_the_plain_model(is_whole, cpp_compiler):
    torch._dynamo.reset()
    model = build(replace(SMALL, num_layers=1), 0)
    expected = [numbers(model, batch) for batch in BATCHES[:3]]
    compiled = model
    if is_whole:
        compiled = torch.compile(model, dynamic=True)
    else:
        model.compile_blocks()
    for batch, plain in zip(BATCHES, expected, strict=False):
        # Fused loops add in another order: float32's rounding over tens of terms.
        for one, other in zip(numbers(compiled, batch), plain, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    torch._dynamo.reset()
