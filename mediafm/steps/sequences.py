"""A title's stored vectors as the sequence that the model reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mediafm.data.manifest import ManifestTitle
from mediafm.data.sequences import Loader, TitleSequence
from mediafm.store.store import Store
from mediafm.store.vectors import arrow_to_vectors
from mediafm.types import Modality


def read_sequence(
    store: Store, title_id: str, fused_key: str, metadata_key: str | None
) -> tuple[TitleSequence, NDArray[np.int64]]:
    """The sequence of the shots that have a vector, and which shots they are.

    Raises:
        NotFoundError: a value is not in the store.
        IntegrityError: a file is damaged.
    """
    table = store.read(fused_key)
    vectors, has_vector = arrow_to_vectors(table.column("vector"))
    flags = np.stack([table.column(f"has_{modality}").to_numpy() for modality in Modality], axis=1)
    metadata = None
    if metadata_key:
        values, is_present = arrow_to_vectors(store.read(metadata_key).column("vector"))
        metadata = values[0] if is_present[0] else None
    shot_index = table.column("shot_index").to_numpy()[has_vector].astype(np.int64)
    sequence = TitleSequence(title_id, vectors[has_vector].astype(np.float16), flags[has_vector], metadata)
    return sequence, shot_index


def sequence_loader(store: Store) -> Loader:
    """Reads the sequences of a manifest's titles by the keys that it names."""

    def load(title: ManifestTitle) -> TitleSequence:
        return read_sequence(store, title.title_id, title.fused_key, title.metadata_key)[0]

    return load
