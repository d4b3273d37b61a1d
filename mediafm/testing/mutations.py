"""Damage to a file's bytes, as disks, copies, recorders and strangers do it: drawn from a seed, the same each time.

`mutate` gives one damaged version of a file of media or of timed text; `MEDIA_KINDS` and `TEXT_KINDS` name the kinds of
damage. Which version is drawn depends on seed, name, kind and index alone, so that what broke something is made again
from those four. All choices of odds and sizes are ours.
"""

from __future__ import annotations

import random

from mediafm.errors import ConfigError
from mediafm.testing.mutations_media import MEDIA_MUTATIONS
from mediafm.testing.mutations_text import TEXT_MUTATIONS

MEDIA_KINDS: tuple[str, ...] = tuple(MEDIA_MUTATIONS)
TEXT_KINDS: tuple[str, ...] = tuple(TEXT_MUTATIONS)


def mutate(data: bytes, kind: str, *, seed: int, name: str, index: int, other: bytes = b"") -> bytes:
    """One damaged version of `data`.

    Args:
        data: a whole file.
        kind: one of `MEDIA_KINDS` or `TEXT_KINDS`.
        name: of the file; another name draws other damage.
        index: of the version.
        other: a second file, for the kinds that splice two.

    Raises:
        ConfigError: no such kind.
    """
    mutation = {**MEDIA_MUTATIONS, **TEXT_MUTATIONS}.get(kind)
    if mutation is None:
        raise ConfigError(f"the kind {kind!r}", rule=f"damage is one of {', '.join(MEDIA_KINDS + TEXT_KINDS)}")
    return mutation(data, other, random.Random(f"{seed}/{name}/{kind}/{index}"))
