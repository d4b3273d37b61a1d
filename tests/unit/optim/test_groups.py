import pytest
import torch
from torch import nn

from mediafm.errors import TrainingError
from mediafm.model import presets
from mediafm.model.mediafm import MediaFM
from mediafm.optim.groups import GroupRule, assign


@pytest.mark.parametrize("preset", ["tiny", "published_tiny"])
def test_every_parameter_of_the_model_is_in_exactly_one_group(preset):
    model = MediaFM(presets.PRESETS[preset](24, 8))
    found = assign(model)
    names = [name for group in found.values() for name in group]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert len(names) == len(set(names))


def test_muon_gets_the_hidden_matrices_and_nothing_else():
    model = MediaFM(presets.tiny(24, 8))
    muon = {name for rule, group in assign(model).items() if rule.optimizer == "muon" for name in group}
    hidden = {name for name, item in model.blocks.named_parameters(prefix="blocks") if item.ndim == 2}
    assert muon == hidden
    assert len(muon) == 2 * 7
    assert not any("head" in name or "project" in name or "token" in name for name in muon)


def test_norms_biases_and_tokens_are_not_decayed():
    model = MediaFM(presets.published_tiny(24, 8))
    for rule, group in assign(model).items():
        for name, parameter in group.items():
            is_matrix = parameter.ndim == 2 and name not in {"presence", "positions"}
            assert rule.is_decayed is is_matrix, name


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.surprise = nn.Parameter(torch.zeros(3, 3))
        self.another = nn.Parameter(torch.zeros(2))


def test_unmatched_names_are_an_error_that_names_them_all():
    with pytest.raises(TrainingError, match=r"surprise \(3, 3\) matches no rule; another \(2,\) matches no rule"):
        assign(Odd())


def test_a_vector_for_muon_is_an_error():
    rules = (GroupRule("surprise", "muon", True), GroupRule("another", "muon", True))
    with pytest.raises(TrainingError, match=r"another \(2,\) is no matrix"):
        assign(Odd(), rules)


def test_a_rule_matches_whole_names_only():
    with pytest.raises(TrainingError, match="matches no rule"):
        assign(Odd(), (GroupRule("surp", "adamw", True), GroupRule("another", "adamw", True)))
