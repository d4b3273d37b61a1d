"""MediaFM: contextual, tri-modal shot embeddings from your own catalogue.

The library. It never imports Dagster, and importing it imports neither torch nor MLflow: `mediafm.load`,
`mediafm.embed` and `mediafm.embed_clips` are looked up when they are first asked for (PEP 562).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediafm.loading import load as load
    from mediafm.steps.clip_embeddings import embed as embed
    from mediafm.steps.clip_embeddings import embed_clips as embed_clips

__all__ = ["embed", "embed_clips", "load"]


def __getattr__(name: str) -> Any:
    """The public API, imported at first use."""
    if name == "load":
        from mediafm.loading import load

        return load
    if name in ("embed", "embed_clips"):
        from mediafm.steps.clip_embeddings import embed, embed_clips

        return embed if name == "embed" else embed_clips
    raise AttributeError(f"module 'mediafm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
