"""Writing objects: whole, once, and never over another's.

An object appears whole or not at all: S3 shows nothing of an upload before it is complete. `If-None-Match: *` makes the
bucket refuse a second writer. Each call marks its object, so that a writer whose first attempt arrived but whose answer
was lost knows its own work again.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mediafm.errors import NotFoundError, TransientError
from mediafm.s3.client import CHANGED, code_of, open_client, stating
from mediafm.s3.place import Place
from mediafm.s3.reading import wait_seconds
from mediafm.s3.settings import S3Settings

MARK = "mediafm-put"
MAX_PARTS = 10_000
"""What S3 allows."""
STALE_UPLOAD_SECONDS = 24 * 3600.0
"""Older unfinished uploads are aborted by the sweep: nobody uploads one object for a day (our choice)."""
_BUSY = frozenset({"409", "ConditionalRequestConflict", "OperationAborted"})
_CHECKSUMS = ("ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256")
_log = logging.getLogger(__name__)


def put_if_absent(settings: S3Settings, place: Place, source: Path | bytes) -> str | None:
    """Puts a new object there; its ETag. None if another's stands there, which stays.

    Raises as `mediafm.s3.client.stating`; then nothing stands there and nothing half-sent is left.
    """
    size_bytes = len(source) if isinstance(source, bytes) else source.stat().st_size
    mark = uuid.uuid4().hex
    send = _send_parts if size_bytes > settings.multipart_bytes else _send
    for attempt in range(1, settings.max_attempts + 1):
        try:
            with stating("write it", place):
                return send(settings, place, source, mark)
        except _BusyError:
            if (found := _standing(settings, place)) is not None:
                return _etag_if_ours(found, mark)
            time.sleep(wait_seconds(attempt))
    raise TransientError(
        "other writers were at it at every attempt",
        rule=f"one of {settings.max_attempts} attempts meets no other writer",
        where=str(place),
        remedy="Run again.",
    )


def delete(settings: S3Settings, place: Place) -> None:
    """Removes what stands there, if anything does. Raises as `mediafm.s3.client.stating`."""
    with stating("delete it", place):
        open_client(settings).delete_object(Bucket=place.bucket, Key=place.key)


def abort_stale_uploads(settings: S3Settings, folder: Place, older_than_seconds: float = STALE_UPLOAD_SECONDS) -> int:
    """Ends unfinished uploads below `folder` that killed writers left: they are invisible, but billed. How many."""
    client, now, num_aborted = open_client(settings), datetime.now(UTC), 0
    with stating("list unfinished uploads", folder):
        pages = client.get_paginator("list_multipart_uploads").paginate(
            Bucket=folder.bucket, Prefix=f"{folder.key}/" if folder.key else ""
        )
        for page in pages:
            for upload in page.get("Uploads", ()):
                if (now - upload["Initiated"]).total_seconds() >= older_than_seconds:
                    _abort(client, Place(folder.bucket, upload["Key"]), upload["UploadId"])
                    num_aborted += 1
    return num_aborted


class _BusyError(Exception):
    """Somebody else's object stands there, or is being written or removed."""


def _send(settings: S3Settings, place: Place, source: Path | bytes, mark: str) -> str:
    client = open_client(settings)
    options = {"Bucket": place.bucket, "Key": place.key, "IfNoneMatch": "*", "Metadata": {MARK: mark}}
    with _busy_told():
        if isinstance(source, bytes):
            return _etag(client.put_object(Body=source, **options))
        with source.open("rb") as file:
            return _etag(client.put_object(Body=file, **options))


def _send_parts(settings: S3Settings, place: Place, source: Path | bytes, mark: str) -> str:
    client, target = open_client(settings), {"Bucket": place.bucket, "Key": place.key}
    upload_id = client.create_multipart_upload(**target, Metadata={MARK: mark})["UploadId"]
    try:
        parts = _sent_parts(settings, {**target, "UploadId": upload_id}, source)
        with _busy_told():
            return _etag(
                client.complete_multipart_upload(
                    **target, UploadId=upload_id, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
                )
            )
    except BaseException as error:
        if (code_of(error) if isinstance(error, Exception) else "") == "NoSuchUpload":
            raise _BusyError from error  # an attempt whose answer was lost completed it: look what stands there
        _abort(client, place, upload_id)
        raise


def _sent_parts(settings: S3Settings, upload: dict[str, str], source: Path | bytes) -> list[dict[str, Any]]:
    """Sends all parts, a few at a time; what `complete_multipart_upload` wants to know of them."""
    client = open_client(settings)
    size_bytes = len(source) if isinstance(source, bytes) else source.stat().st_size
    part_bytes = max(settings.multipart_bytes, -(-size_bytes // MAX_PARTS))

    def send(number: int) -> dict[str, Any]:
        body = _slice(source, (number - 1) * part_bytes, part_bytes)
        answer = client.upload_part(**upload, PartNumber=number, Body=body)
        checksums = {name: answer[name] for name in _CHECKSUMS if name in answer}
        return {"PartNumber": number, "ETag": answer["ETag"], **checksums}

    with ThreadPoolExecutor(settings.connections, thread_name_prefix="mediafm-s3") as pool:
        sent = [pool.submit(send, number + 1) for number in range(-(-size_bytes // part_bytes))]
        try:
            return [future.result() for future in sent]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _slice(source: Path | bytes, start: int, length: int) -> bytes:
    if isinstance(source, bytes):
        return source[start : start + length]
    with source.open("rb") as file:
        file.seek(start)
        return file.read(length)


@contextmanager
def _busy_told() -> Iterator[None]:
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if code_of(error) in CHANGED | _BUSY:
            raise _BusyError from error
        raise


def _standing(settings: S3Settings, place: Place) -> dict[str, Any] | None:
    try:
        with stating("look at it", place):
            found: dict[str, Any] = open_client(settings).head_object(Bucket=place.bucket, Key=place.key)
    except NotFoundError:
        return None
    return found


def _etag_if_ours(found: dict[str, Any], mark: str) -> str | None:
    return _etag(found) if found.get("Metadata", {}).get(MARK) == mark else None


def _etag(answer: dict[str, Any]) -> str:
    return str(answer["ETag"]).strip('"')


def _abort(client: Any, place: Place, upload_id: str) -> None:
    """Best effort: what cannot be aborted now stays invisible, and the sweep ends it later."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client.abort_multipart_upload(Bucket=place.bucket, Key=place.key, UploadId=upload_id)
    except (BotoCoreError, ClientError) as error:
        if code_of(error) != "NoSuchUpload":
            _log.warning("%s: an unfinished upload is left for the sweep (%s)", place, type(error).__name__)
