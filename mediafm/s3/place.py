"""Where something stands in a bucket: `s3://bucket/key`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from mediafm.errors import ConfigError

SCHEME = "s3://"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_PLAIN_PREFIX = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._=-]*(/[A-Za-z0-9_][A-Za-z0-9._=-]*)*)?")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A bucket and a key in it; the key is a prefix, without a closing `/`, where a folder is meant."""

    bucket: str
    key: str = ""

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}" if self.key else f"{SCHEME}{self.bucket}"

    def below(self, name: str) -> Place:
        """`name` in the folder that this is."""
        return Place(self.bucket, f"{self.key}/{name}" if self.key else name)

    @property
    def name(self) -> str:
        """The key's last part."""
        return self.key.rpartition("/")[2]

    @classmethod
    def parse(cls, uri: str) -> Self:
        """The inverse of `str`. Raises `ConfigError`."""
        bucket, _, key = uri.removeprefix(SCHEME).partition("/")
        if not is_s3(uri) or _BUCKET.fullmatch(bucket) is None:
            raise ConfigError(
                f"{uri!r}", rule="a place in a bucket is s3://bucket/key", remedy="Check the bucket's name."
            )
        return cls(bucket, key)


def is_s3(text: str) -> bool:
    """Whether a location names a bucket."""
    return text.startswith(SCHEME)


def root_place(uri: str) -> Place:
    """The root that `uri` names. Raises `ConfigError`: no bucket, or a prefix that is not plain names."""
    place = Place.parse(uri.rstrip("/"))
    if _PLAIN_PREFIX.fullmatch(place.key) is None:
        raise ConfigError(
            f"the root {uri!r}",
            rule="a root is a folder, or s3://bucket/prefix of letters, digits, '.', '_', '=' and '-'",
            where="root",
            remedy="Name another prefix.",
        )
    return place
