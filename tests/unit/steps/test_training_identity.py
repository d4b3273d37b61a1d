"""Another objective is another checkpoint and another run: nothing is reused, and no state gone on from, across it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mediafm.config import Config, TrainingSettings
from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import build_manifest
from mediafm.data.synthetic import SyntheticSettings, draw_catalog
from mediafm.lineage.fingerprint import fingerprint
from mediafm.steps.training import _run_folder, _training_producer
from mediafm.steps.workspace import Workspace
from mediafm.train.config import resolve

SETTINGS = [
    {},
    {"objective": "contextual"},
    {"objective": "contextual_scheduled"},
    {"objective_settings": {"spread_weight": 0.1}},
    {"objective_settings": {"masks": {"share": 0.3}}},
    {"objective": "contextual", "objective_settings": {"contextual": {"tau_start": 0.9}}},
]


def test_a_producer_differs_by_the_objective_and_by_each_of_its_settings(config: Config) -> None:
    found = set()
    for settings in SETTINGS:
        changed = config.model_copy(update={"training": TrainingSettings.model_validate(settings)})
        with Workspace.open(changed, run_id="run-1") as workspace:
            found.add(fingerprint(_training_producer(workspace)))
    assert len(found) == len(SETTINGS)


def test_a_runs_states_rest_apart_by_objective(workspace: Workspace, tmp_path: Path) -> None:
    catalog = draw_catalog(SyntheticSettings(num_titles=6, width=4))
    manifest = build_manifest(catalog.titles, catalog.space.as_json(), TrainingSettings())
    corpus = open_corpus(manifest, catalog.load, tmp_path / "corpus")
    configs = [resolve(TrainingSettings.model_validate(settings), manifest, corpus) for settings in SETTINGS]
    configs += [replace(configs[0], weight_ema=0.9), replace(configs[0], explosion_factor=5.0)]
    folders = {_run_folder(workspace, manifest, config, "cpu").path for config in configs}
    assert len(folders) == len(configs)
    saving = replace(configs[0], save_every_steps=7)
    assert _run_folder(workspace, manifest, saving, "cpu").path in folders
