from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mediafm.config import TrainingSettings
from mediafm.data.corpus import Corpus, open_corpus
from mediafm.data.manifest import TrainingManifest, build_manifest
from mediafm.data.manifest_files import to_files
from mediafm.data.synthetic import SyntheticCatalog, SyntheticSettings, draw_catalog
from mediafm.store.folders import MANIFESTS, folder_key, put_folder
from mediafm.store.store import Store
from mediafm.train.config import TrainConfig, resolve
from mediafm.train.job import TrainingJob
from mediafm.train.loop import TrainResult, train


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def catalog() -> SyntheticCatalog:
    return draw_catalog(SyntheticSettings(num_titles=20, min_shots=10, max_shots=60, width=8))


@pytest.fixture(scope="session")
def manifest(catalog: SyntheticCatalog) -> TrainingManifest:
    return build_manifest(catalog.titles, catalog.space.as_json(), TrainingSettings())


@pytest.fixture(scope="session")
def corpus(catalog: SyntheticCatalog, manifest: TrainingManifest, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(manifest, catalog.load, Path(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def config(manifest: TrainingManifest, corpus: Corpus) -> TrainConfig:
    config = resolve(TrainingSettings(), manifest, corpus)
    model = replace(config.model, hidden_dim=32, num_heads=2, feedforward_dim=64)
    return replace(
        config,
        model=model,
        shots_per_step=200,
        warmup_steps=2,
        evaluate_every_steps=4,
        max_steps=24,
        num_bootstrap=200,
    )


@pytest.fixture(scope="session")
def result(manifest: TrainingManifest, corpus: Corpus, config: TrainConfig) -> TrainResult:
    return train(manifest, corpus, config)


def job_in(folder: Path, catalog: SyntheticCatalog, manifest: TrainingManifest, config: TrainConfig) -> TrainingJob:
    """A job on a root in `folder` that holds the manifest and its corpus; the job itself is not written."""
    root = folder / "root"
    put_folder(Store(root), folder_key(MANIFESTS, manifest.sha256), to_files(manifest))
    open_corpus(manifest, catalog.load, root / "cache")
    return TrainingJob(
        root=str(root),
        manifest_sha256=manifest.sha256,
        config=config,
        device="cpu",
        states=str(folder / "states"),
        output=str(folder / "job"),
    )
