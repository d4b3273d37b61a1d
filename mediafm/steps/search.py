"""Search over a root's current vectors, one title in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mediafm.config import Config
from mediafm.errors import NotFoundError
from mediafm.search import StoredVectors, nearest
from mediafm.steps.existing import existing_store
from mediafm.store.store import Store
from mediafm.store.vectors import arrow_to_vectors
from mediafm.store.views import connect
from mediafm.types import Json


def search_shots(config: Config, title_id: str, shot_index: int, top: int, table: str) -> list[dict[str, Json]]:
    """The `top` shots nearest to one shot by cosine, the shot itself left out, with their times.

    Raises:
        NotFoundError: the title has no current vectors in `table`, or no such shot.
    """
    store = existing_store(config)
    with connect(store) as connection:
        rows = connection.execute(
            "SELECT title_id, object_key, producer_id FROM current WHERE table_name = $table ORDER BY title_id",
            {"table": table},
        ).fetchall()
    keys = {title: (key, producer) for title, key, producer in rows}
    if title_id not in keys:
        raise NotFoundError(
            f"title {title_id!r} has no {table}",
            rule=f"{len(keys)} titles have them",
            remedy="`mediafm status` lists the titles and what they wait for.",
        )
    own = _stored(store, title_id, *keys[title_id])
    place = np.flatnonzero(own.shot_index == shot_index)
    if not len(place):
        present = f"lie in {own.shot_index.min()} to {own.shot_index.max()}" if len(own.shot_index) else "are none"
        raise NotFoundError(
            f"shot {shot_index} has no vector",
            rule=f"the title's shots with a vector in {table} {present}",
            where=title_id,
            remedy="`mediafm sql` shows which shots have one: the column is_present, or vector IS NOT NULL.",
        )
    query = own.vectors[int(place[0])].astype(np.float32)
    hits = nearest(query, _stream(store, keys), top, {(title_id, shot_index)}, own.producer)
    times = _times(store, sorted({hit.title_id for hit in hits}))
    return [
        {
            **hit.as_json(),
            "start_seconds": times[(hit.title_id, hit.shot_index)][0],
            "end_seconds": times[(hit.title_id, hit.shot_index)][1],
        }
        for hit in hits
    ]


def _stream(store: Store, keys: Mapping[str, tuple[str, str]]) -> Iterator[StoredVectors]:
    for title_id, (key, producer) in keys.items():
        yield _stored(store, title_id, key, producer)


def _stored(store: Store, title_id: str, key: str, producer: str) -> StoredVectors:
    table = store.read(key, ["shot_index", "vector"])
    vectors, is_present = arrow_to_vectors(table.column("vector"))
    shot_index = table.column("shot_index").to_numpy()
    return StoredVectors(
        title_id=title_id, shot_index=shot_index[is_present], vectors=vectors[is_present], producer=producer
    )


def _times(store: Store, title_ids: list[str]) -> dict[tuple[str, int], tuple[float, float]]:
    with connect(store, title_ids) as connection:
        rows: list[Any] = connection.execute(
            "SELECT title_id, shot_index, start_seconds, end_seconds FROM shots"
        ).fetchall()
    return {(title_id, shot): (start, end) for title_id, shot, start, end in rows}
