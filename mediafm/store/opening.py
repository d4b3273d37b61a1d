"""The one door to a configuration's store, wherever its root is."""

from __future__ import annotations

from pathlib import Path

from mediafm.config import Config
from mediafm.s3.buckets import Buckets
from mediafm.s3.place import root_place
from mediafm.s3.settings import S3Settings
from mediafm.store.s3_files import S3Files
from mediafm.store.store import Store

S3_FOLDER = "s3"
"""In the cache: copies of objects, and files that are still to be sent."""


def open_store(config: Config) -> Store:
    """The store of the configured root; nothing is read or made yet.

    Raises:
        ConfigError: the root is in a bucket, and nobody said where its state lives.
    """
    if config.has_local_root:
        return Store(config.root_path, cache=config.cache_path)
    return store_at(config.root_name, config.cache_path, config.s3)


def store_at(root: str, cache: Path, settings: S3Settings) -> Store:
    """The store of a root by its name (`Config.root_name`)."""
    if "://" not in root:
        return Store(Path(root), cache=cache)
    place = root_place(root)
    return Store(str(place), S3Files(place, settings, cache / S3_FOLDER), cache)


def open_buckets(config: Config) -> Buckets:
    """What catalogues and readers of media ask of `s3://`, whatever the root is; nothing is asked or made yet."""
    return Buckets(config.s3, config.cache_path / S3_FOLDER / "media")


def is_begun(store: Store) -> bool:
    """Whether anything was ever written there."""
    return not store.files.is_empty()
