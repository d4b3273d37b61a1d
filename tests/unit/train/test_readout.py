import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mediafm.data.split import Split
from mediafm.model.mediafm import build
from mediafm.train.evaluation import items_of
from mediafm.train.layer_meters import evenly_masked
from mediafm.train.readout import readout_skill
from mediafm.train.skill import SkillMeter, fit_predictors

LAYERS = {"block 0": (0,), "exported": (1, 2)}


class Oracle:
    """A "model" that is handed nothing of a masked shot, and yet knows it: its output is the target, turned.

    It finds a window by its visible rows.
    """

    def __init__(self, manifest, corpus, width):
        self.config = SimpleNamespace(metadata_dim=corpus.metadata_dim, hidden_dim=width, max_shots=512)
        self._truth = {}
        for split in Split:
            for item in items_of(manifest, split, "random"):
                rows = corpus.title(item.window.title_id).fused[item.window.start : item.window.end]
                rows = rows.astype(np.float32)
                self._truth[self._key(torch.from_numpy(np.where(item.is_masked[:, None], 0, rows)))] = rows
        turn = np.linalg.qr(np.random.default_rng(0).normal(size=(corpus.fused_dim, width)).T)[0]
        self._turn = torch.from_numpy(turn.T.astype(np.float32))

    @staticmethod
    def _key(visible):
        return visible.numpy().astype(np.float32).tobytes()

    def eval(self):
        return self

    def parameters(self):
        return iter([self._turn])

    def shot_layers(self, batch):
        found = [torch.from_numpy(self._truth[self._key(part)]) for part in batch.fused_NE.split(batch.num_shots)]
        known = torch.cat(found) @ self._turn
        return [torch.ones_like(known), known, known]


@pytest.fixture(scope="module")
def reports(manifest, corpus):
    oracle = Oracle(manifest, corpus, corpus.fused_dim)
    return readout_skill(oracle, manifest, corpus, Split.TEST, "random", LAYERS, num_bootstrap=100)


def test_outputs_that_hold_the_target_have_skill_one(reports, manifest):
    report = reports["exported"]
    assert report.skill == pytest.approx(1.0, abs=0.01)
    assert report.is_above_zero
    assert report.num_shots == manifest.num_shots(Split.TEST)
    json.dumps(report.as_json(), allow_nan=False)


def test_outputs_that_hold_nothing_say_the_mean(reports, manifest, corpus):
    report = reports["block 0"]
    meter = SkillMeter(manifest, corpus, fit_predictors(manifest, corpus, "random"), Split.TEST, "random")
    rows = [
        np.asarray(corpus.title(planned.title.title_id).fused[part.start : part.end], np.float64)
        for planned, part in manifest.parts(Split.TRAIN)
    ]
    mean = np.concatenate(rows).mean(axis=0).astype(np.float32)
    told = [np.broadcast_to(mean, (int(item.is_masked.sum()), len(mean))) for item in meter.items]
    by_hand = meter.report(meter.losses(told), 100, 0)
    assert report.skill == pytest.approx(by_hand.skill, abs=1e-4)
    assert report.skill < 0


def test_a_network_is_read_on_the_named_split_and_masks(manifest, corpus, config):
    model = build(config.model, 0)
    first, again = (readout_skill(model, manifest, corpus, Split.VALIDATION, "span", LAYERS) for _ in range(2))
    assert first == again
    assert set(first) == set(LAYERS)
    assert first["exported"].mask_set == "span"
    assert first["exported"].num_shots == manifest.num_shots(Split.VALIDATION)


def test_a_trained_run_reports_every_block_and_the_exported_mean(result, config):
    readout = result.report["readout"]
    names = {f"block {layer}" for layer in range(config.model.num_layers + 1)} | {"exported"}
    for mask_set in ("random", "span"):
        assert set(readout[mask_set]) == names
    # Its own head was trained to say what the read-out says; neither is far from the other.
    own, read = result.report["skill"]["random"]["skill"], readout["random"]["block 2"]["skill"]
    assert read == pytest.approx(own, abs=0.3)


def test_passes_are_capped_evenly(manifest):
    items = items_of(manifest, Split.TRAIN, "random")
    masked = sum(int(item.is_masked.sum()) for item in items)
    few = evenly_masked(items, masked // 3)
    assert 0 < sum(int(item.is_masked.sum()) for item in few) <= masked // 2
    assert len({item.window.title_id for item in few}) > len(few) // 3
    assert evenly_masked(items, masked) == items
