"""MediaFM: contextual, tri-modal shot embeddings from your own catalogue.

The library. It never imports Dagster, and importing it imports neither torch nor MLflow: `mediafm.load` is looked up
when it is first asked for (PEP 562).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediafm.loading import load as load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """The public API, imported at first use."""
    if name == "load":
        from mediafm.loading import load

        return load
    raise AttributeError(f"module 'mediafm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
