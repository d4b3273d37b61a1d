"""Search over a root's current vectors, one title in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mediafm.config import Config
from mediafm.encoders.encoder import ReadsQueries
from mediafm.errors import ConfigError, NotFoundError
from mediafm.search import Hit, StoredVectors, nearest
from mediafm.steps.encoders import borrow_encoder
from mediafm.steps.existing import existing_store
from mediafm.steps.rollout import choice_for
from mediafm.steps.workspace import Workspace
from mediafm.store.current import Choice
from mediafm.store.store import Store
from mediafm.store.vectors import arrow_to_vectors
from mediafm.store.views import connect
from mediafm.types import Json, Modality


def search_shots(config: Config, title_id: str, shot_index: int, top: int, table: str) -> list[dict[str, Json]]:
    """The `top` shots nearest to one shot by cosine, the shot itself left out, with their times (None if not known).

    Raises:
        NotFoundError: the title has no current vectors in `table`, or no such shot.
    """
    store = existing_store(config)
    choice = choice_for(store, table)
    keys = _current(store, table, choice)
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
    return _with_times(store, hits, choice)


def search_by_text(config: Config, text: str, top: int) -> list[dict[str, Json]]:
    """As `search_text`, in the root of `config`. Raises also `NotFoundError` where there is no root."""
    existing_store(config)
    with Workspace.open(config) as workspace:
        return search_text(workspace, text, top)


def search_text(workspace: Workspace, text: str, top: int) -> list[dict[str, Json]]:
    """The `top` shots whose picture is nearest to what `text` describes, by the video encoder's own text tower.

    Raises:
        ConfigError: the profile's video encoder has no text tower, or its pictures are not projected beside it.
        NotFoundError: no title has current video vectors by that encoder.
    """
    encoder = borrow_encoder(workspace, Modality.VIDEO)
    if not isinstance(encoder, ReadsQueries):
        raise ConfigError(
            f"the video encoder {encoder.spec.name}",
            rule="a description is compared with pictures by an encoder that reads both (CLIP, SigLIP)",
            where=f"profile {workspace.profile.name}, video",
            remedy='Choose `hf-video` with such weights and `output = "projected"`, or search by --title and --shot.',
        )
    store, table = workspace.store, "video_embeddings"
    producer = workspace.producer_ids[table]
    choice = choice_for(store, table)
    keys = _current(store, table, choice)
    made_so = {title: (key, made_by) for title, (key, made_by) in keys.items() if made_by == producer}
    if not made_so:
        raise NotFoundError(
            f"no title has {table} by {encoder.spec.name} of profile {workspace.profile.name}",
            rule=f"{len(keys)} titles have them by another",
            remedy="`mediafm run` makes them; `--profile` names the profile that made those.",
        )
    hits = nearest(encoder.encode_query(text), _stream(store, made_so), top, (), producer)
    return _with_times(store, hits, choice)


def _with_times(store: Store, hits: Sequence[Hit], choice: Choice) -> list[dict[str, Json]]:
    times = _times(store, sorted({hit.title_id for hit in hits}), choice)
    return [
        {
            **hit.as_json(),
            "start_seconds": times[(hit.title_id, hit.shot_index)][0],
            "end_seconds": times[(hit.title_id, hit.shot_index)][1],
        }
        for hit in hits
    ]


def _current(store: Store, table: str, choice: Choice) -> dict[str, tuple[str, str]]:
    """Title -> object key and producer of its current value."""
    with connect(store, choice=choice) as connection:
        rows = connection.execute(
            "SELECT title_id, object_key, producer_id FROM current WHERE table_name = $table ORDER BY title_id",
            {"table": table},
        ).fetchall()
    return {title: (key, producer) for title, key, producer in rows}


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


def _times(
    store: Store, title_ids: list[str], choice: Choice
) -> dict[tuple[str, int], tuple[float | None, float | None]]:
    with connect(store, title_ids, choice) as connection:
        rows: list[Any] = connection.execute(
            "SELECT title_id, shot_index, start_seconds, end_seconds FROM shots"
        ).fetchall()
    return {(title_id, shot): (start, end) for title_id, shot, start, end in rows}
