"""The tables of the store and what each value is made from: the graph that fingerprints, `current` and audits follow.

An input's value is either a *facet* of the title itself (a content hash taken when its file was probed) or the
fingerprint of another table's value for the same title.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

FACETS = ("video", "audio", "text", "metadata")
"""Content hashes of a title: the picture's packets, the sound's packets, all timed text, the chosen metadata."""


ROOT_TABLES = ("manifests", "checkpoints", "decisions", "served", "evaluations", "heads")
"""What the ledger calls things that belong to no single title; their rows have the title id ""."""
REMOVED = "removed"
"""The ledger's table of values that `mediafm gc` removed: each by its title, producer, fingerprint and generation."""


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """One table of the store.

    name: the folder under `store/`.
    asset: the Dagster asset and ledger folder that writes it.
    facets: the facets of the title that it reads.
    parents: the tables that it reads; the input's name is the parent's name.
    optional_parents: tables that it reads wherever something is configured to make them, and else does without.
    step_version: raised by hand whenever the same inputs and settings give another value; also the `code_version`.
    """

    name: str
    asset: str
    facets: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    optional_parents: tuple[str, ...] = ()
    step_version: int = 1

    @property
    def possible_parents(self) -> tuple[str, ...]:
        """Every table that it may read."""
        return (*self.parents, *self.optional_parents)

    def parents_under(self, producers: Container[str]) -> tuple[str, ...]:
        """The tables that it reads where `producers` are the tables that something makes."""
        return (*self.parents, *(name for name in self.optional_parents if name in producers))


TABLES: Mapping[str, TableSpec] = {
    spec.name: spec
    for spec in (
        TableSpec(name="titles", asset="raw_titles"),
        TableSpec(name="metadata_embeddings", asset="metadata_embeddings", facets=("metadata",)),
        TableSpec(name="spans", asset="shots", facets=("video",)),
        TableSpec(name="frames", asset="shots", facets=("video",), parents=("spans",)),
        TableSpec(name="words", asset="transcripts", facets=("audio", "text")),
        TableSpec(
            name="cues",
            asset="shots",
            facets=("text",),
            parents=("spans",),
            optional_parents=("words",),
            step_version=2,
        ),
        TableSpec(name="video_embeddings", asset="video_embeddings", parents=("frames",)),
        TableSpec(name="audio_embeddings", asset="audio_embeddings", facets=("audio",), parents=("spans",)),
        TableSpec(name="text_embeddings", asset="text_embeddings", parents=("cues",)),
        TableSpec(
            name="fused_embeddings",
            asset="fused_embeddings",
            parents=("spans", "video_embeddings", "audio_embeddings", "text_embeddings"),
        ),
        TableSpec(
            name="contextual_embeddings",
            asset="contextual_embeddings",
            parents=("fused_embeddings", "metadata_embeddings"),
        ),
        TableSpec(name="title_embeddings", asset="contextual_embeddings", parents=("contextual_embeddings",)),
    )
}
