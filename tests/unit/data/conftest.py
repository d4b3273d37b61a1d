from pathlib import Path

import pytest

from mediafm.config import TrainingSettings
from mediafm.data.corpus import Corpus, open_corpus
from mediafm.data.manifest import TrainingManifest, build_manifest
from mediafm.data.synthetic import SyntheticCatalog, SyntheticSettings, draw_catalog


@pytest.fixture(scope="session")
def catalog() -> SyntheticCatalog:
    return draw_catalog(SyntheticSettings(num_titles=14, min_shots=4, max_shots=20, width=6))


@pytest.fixture(scope="session")
def manifest(catalog: SyntheticCatalog) -> TrainingManifest:
    return build_manifest(catalog.titles, catalog.space.as_json(), TrainingSettings())


@pytest.fixture(scope="session")
def corpus(catalog: SyntheticCatalog, manifest: TrainingManifest, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(manifest, catalog.load, Path(tmp_path_factory.mktemp("cache")))
