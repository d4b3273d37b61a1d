"""Reading objects: what they are, their bytes by ranges, lists of them. A cut answer is taken up where it broke off."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mediafm.errors import TransientError
from mediafm.s3.client import complaint, open_client, stating
from mediafm.s3.place import Place
from mediafm.s3.settings import S3Settings

_CHUNK_BYTES = 1024**2
_LONGEST_WAIT_SECONDS = 20.0
_NANOS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What a bucket says of an object. etag: without quotes; another one means other bytes."""

    size_bytes: int
    etag: str
    modified_ns: int


def look(settings: S3Settings, place: Place) -> ObjectInfo:
    """What stands there. Raises `NotFoundError` and as `mediafm.s3.client.stating`."""
    with stating("look at it", place):
        return info_of(open_client(settings).head_object(Bucket=place.bucket, Key=place.key))


def info_of(answer: Any) -> ObjectInfo:
    """Of the answer to a HEAD or a GET of a whole object, or an entry of a list."""
    size = answer["ContentLength"] if "ContentLength" in answer else answer["Size"]
    modified_ns = round(answer["LastModified"].timestamp() * _NANOS)
    return ObjectInfo(size_bytes=int(size), etag=str(answer["ETag"]).strip('"'), modified_ns=modified_ns)


def read_range(settings: S3Settings, place: Place, start: int, end: int, etag: str = "") -> bytes:
    """The bytes [start, end) of an object, which must still be the one with `etag`. Raises as `stream`."""
    return b"".join(stream(settings, place, start, end, etag))


def read_whole(settings: S3Settings, place: Place, max_bytes: int | None = None) -> bytes:
    """All bytes, or the first `max_bytes`. Raises as `stream`, and `NotFoundError`."""
    info = look(settings, place)
    end = info.size_bytes if max_bytes is None else min(max_bytes, info.size_bytes)
    return read_range(settings, place, 0, end, info.etag)


def stream(settings: S3Settings, place: Place, start: int, end: int, etag: str = "") -> Iterator[bytes]:
    """The bytes [start, end) in order. What breaks off is asked for again from there; each byte comes once.

    Raises:
        NotFoundError: the object is gone.
        IntegrityError: it is another one now.
        StoreError, TransientError: as `mediafm.s3.client.stating`.
    """
    from botocore.exceptions import BotoCoreError

    position, num_failures = start, 0
    while position < end:
        with stating("read it", place):
            answer = open_client(settings).get_object(
                Bucket=place.bucket,
                Key=place.key,
                Range=f"bytes={position}-{end - 1}",
                **({"IfMatch": etag} if etag else {}),
            )
        try:
            for chunk in answer["Body"].iter_chunks(_CHUNK_BYTES):
                position, num_failures = position + len(chunk), 0
                yield chunk
            if position < end:
                raise TransientError("the answer broke off", rule="an answer is whole", where=str(place))
        except (BotoCoreError, TransientError, OSError) as error:
            num_failures += 1
            if num_failures >= settings.max_attempts:
                raise complaint("read it", place, error) from error
            time.sleep(wait_seconds(num_failures))
        finally:
            answer["Body"].close()


def list_objects(
    settings: S3Settings, folder: Place, max_objects: int | None = None
) -> Iterator[tuple[str, ObjectInfo]]:
    """The objects below `folder`, by key: (key in the bucket, what it is); pages of 1,000. Raises as `stating`."""
    prefix = f"{folder.key}/" if folder.key else ""
    options: dict[str, Any] = {"Bucket": folder.bucket, "Prefix": prefix}
    if max_objects is not None:
        options["PaginationConfig"] = {"MaxItems": max_objects, "PageSize": min(max_objects, 1000)}
    with stating("list it", folder):
        for page in open_client(settings).get_paginator("list_objects_v2").paginate(**options):
            for entry in page.get("Contents", ()):
                yield entry["Key"], info_of(entry)


def wait_seconds(num_failures: int) -> float:
    """How long to wait before the next attempt: growing, and different each time so that many do not come at once."""
    longest: float = min(_LONGEST_WAIT_SECONDS, 0.1 * 2**num_failures)
    return longest * random.SystemRandom().uniform(0.5, 1.0)
