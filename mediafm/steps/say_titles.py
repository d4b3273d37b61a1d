"""Titles in a sentence: how many, and the first of them."""

from __future__ import annotations

from collections.abc import Sequence


def named(title_ids: Sequence[str], limit: int = 10) -> str:
    """How many titles, and the first of them by name: "2 titles (a, b)"."""
    more = f" and {len(title_ids) - limit} more" if len(title_ids) > limit else ""
    noun = "title" if len(title_ids) == 1 else "titles"
    return f"{len(title_ids)} {noun} ({', '.join(title_ids[:limit])}{more})" if title_ids else f"0 {noun}"
