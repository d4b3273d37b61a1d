"""The CUDA twin of `test_attention`: the real kernels. Skipped without a GPU, as the fixture `cuda` says."""

from dataclasses import replace

import pytest
import torch

from mediafm.model import presets
from mediafm.model.attention import has_varlen_kernel
from mediafm.model.batch import pack
from mediafm.model.mediafm import build
from tests.unit.model import reference
from tests.unit.model.sequences import E, M, sequence

OURS = replace(presets.shallow(E, M), has_zero_init=False)
FORMS = {"ours": OURS, "qk norm": replace(OURS, has_qk_norm=True), "published": presets.published_shallow(E, M)}
COUNTS = (70, 1, 12, 300, 12, 5)


def batch_of(counts=COUNTS):
    return pack([sequence(seed, count, seed != 2, 1 + count // 5) for seed, count in enumerate(counts)], M)


def gradients(model, predicted):
    model.zero_grad()
    predicted.float().square().sum().backward()
    return {name: item.grad.cpu().clone() for name, item in model.named_parameters() if item.grad is not None}


@pytest.mark.parametrize("form", FORMS)
def test_float32_on_the_grid_equals_the_reference(form, cuda):
    # float32 without TF32, values of size 1 to 10 through three blocks.
    model, batch = build(FORMS[form], 0), batch_of()
    wanted = reference.predictions(model, batch)
    wanted_gradients = gradients(model, wanted)
    model.to(cuda)
    assert model.layout(batch.to(cuda)).backend == "padded"
    found = model(batch.to(cuda))
    torch.testing.assert_close(found.cpu(), wanted, rtol=1e-3, atol=1e-4)
    for name, gradient in gradients(model, found).items():
        scale = wanted_gradients[name].abs().max().clamp(min=1e-3)
        assert (gradient - wanted_gradients[name]).abs().max() < 1e-3 * scale, name


@pytest.mark.parametrize("form", FORMS)
def test_varlen_under_bfloat16_equals_the_grid_and_the_reference(form, cuda):
    # bfloat16 keeps eight bits (0.4 %): about 1 % of a vector's length after three blocks, 5 % of a gradient's.
    if not has_varlen_kernel(cuda):
        pytest.fail("this GPU has no varlen kernel: the tests of CUDA need compute capability 8 or above")
    model, batch = build(FORMS[form], 0), batch_of()
    wanted = reference.predictions(model, batch)
    wanted_gradients = gradients(model, wanted)
    model.to(cuda)
    batch = batch.to(cuda)
    for backend in ("varlen", "padded"):
        model.attention = None if backend == "varlen" else backend
        with torch.autocast("cuda", torch.bfloat16):
            assert model.layout(batch).backend == backend
            found = model(batch)
        assert (found.float().cpu() - wanted).norm() < 0.02 * wanted.norm()
        for name, gradient in gradients(model, found).items():
            distance = (gradient - wanted_gradients[name]).norm()
            # A bias of keys is felt through rounding only where no turn follows it.
            assert distance < 0.1 * wanted_gradients[name].norm() + 1e-3, (backend, name)


def test_no_gradient_crosses_titles(cuda):
    model, batch = build(OURS, 0).to(cuda), batch_of((5, 9, 9, 3)).to(cuda)
    batch = replace(batch, is_masked_N=torch.zeros_like(batch.is_masked_N))
    batch.fused_NE.requires_grad_()
    with torch.autocast("cuda", torch.bfloat16):
        tokens = model.shot_tokens(batch)
    tokens[5:14].float().square().sum().backward()
    reached = batch.fused_NE.grad.abs().sum(dim=1).cpu()
    assert (reached[5:14] > 0).all()
    assert torch.equal(torch.cat((reached[:5], reached[14:])), torch.zeros(17))


def test_a_titles_vectors_do_not_depend_on_how_it_was_batched(cuda):
    model, titles = build(OURS, 0).to(cuda), [sequence(seed, count) for seed, count in enumerate(COUNTS)]
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
        alone = [model.shot_tokens(pack([title], M).to(cuda)) for title in titles]
        together = model.shot_tokens(pack(titles, M).to(cuda)).split(COUNTS)
    for one, other in zip(alone, together, strict=True):
        # Other tiles of a matrix product add in another order, and the sums are rounded to eight bits.
        assert (one - other).norm() < 0.02 * one.norm()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_compiled_blocks_give_the_same_predictions(cuda):
    torch._dynamo.reset()
    model = build(OURS, 0).to(cuda)
    batches = [batch_of(counts).to(cuda) for counts in (COUNTS, (33, 7, 2), (9, 9, 9))]
    with torch.autocast("cuda", torch.bfloat16):
        plain = [model(batch).detach() for batch in batches]
        model.compile_blocks()
        for batch, expected in zip(batches, plain, strict=True):
            found = model(batch)
            assert (found - expected).float().norm() < 0.02 * expected.float().norm()
            found.float().square().sum().backward()
    torch._dynamo.reset()
