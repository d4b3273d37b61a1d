"""The one client of buckets: boto3 with its retries, and the one conversion of its complaints into ours.

Credentials are boto3's business alone: they come by its usual chain and are never read, passed on or shown here.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mediafm.errors import IntegrityError, MediaFMError, NotFoundError, StoreError, TransientError
from mediafm.s3.place import Place
from mediafm.s3.settings import S3Settings

if TYPE_CHECKING:
    from botocore.config import Config

ABSENT = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchVersion"})
CHANGED = frozenset({"412", "PreconditionFailed"})
_REFUSED = frozenset(
    {
        *("401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"),
        *("InvalidToken", "AllAccessDisabled", "AccountProblem", "TokenRefreshRequired"),
    }
)
_SECRET = re.compile(r"//[^/@\s]*@|\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b")
_NOISY = ("boto3", "botocore", "urllib3", "s3transfer")


def open_client(settings: S3Settings) -> Any:
    """A boto3 S3 client, one for each process and settings; threads share it."""
    return _client(settings, os.getpid())


@lru_cache(maxsize=8)
def _client(settings: S3Settings, process: int) -> Any:
    """`process` keeps a forked child from using its parent's connections."""
    import boto3

    for name in _NOISY:  # at DEBUG they write headers down, and with them signatures and tokens
        if logging.getLogger(name).getEffectiveLevel() < logging.INFO:
            logging.getLogger(name).setLevel(logging.INFO)
    return boto3.session.Session().client(
        "s3", endpoint_url=settings.endpoint_url, region_name=settings.region, config=_config(settings)
    )


def _config(settings: S3Settings) -> Config:
    """ "standard": up to `max_attempts` with exponential, jittered waits on throttling, 5xx and broken connections."""
    from botocore.config import Config

    addressing = settings.addressing
    if addressing == "auto" and settings.endpoint_url is not None:
        addressing = "path"
    return Config(
        retries={"mode": "standard", "total_max_attempts": settings.max_attempts},
        connect_timeout=settings.connect_seconds,
        read_timeout=settings.read_seconds,
        max_pool_connections=max(16, 2 * settings.connections),
        s3={"addressing_style": addressing},
        tcp_keepalive=True,
    )


def code_of(error: Exception) -> str:
    """The service's own name for what went wrong; "" if the request never got an answer."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


@contextmanager
def stating(action: str, place: Place) -> Iterator[None]:
    """The one conversion of boto3's complaints into ours.

    Raises:
        NotFoundError: there is no such object.
        IntegrityError: the object is another than the one that was asked for.
        StoreError: no such bucket, no credentials, or not allowed: a second attempt is no use.
        TransientError: anything else, after all attempts.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise complaint(action, place, error) from error


def complaint(action: str, place: Place, error: Exception) -> MediaFMError:
    """What to tell a person about one of boto3's errors."""
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError, ProfileNotFound

    code, where = code_of(error), str(place)
    if code in ABSENT:
        return NotFoundError("there is no such object", rule="what is read must have been written", where=where)
    if code in CHANGED:
        return IntegrityError(
            "the object was replaced", rule="what is read is what was listed", where=where, remedy="Run again."
        )
    if code == "NoSuchBucket":
        return StoreError(
            f"there is no bucket {place.bucket!r}",
            rule="a bucket is made before it is used",
            where=where,
            remedy="Make it, or check its name, `s3.region` and `s3.endpoint_url`.",
        )
    if code in _REFUSED or isinstance(error, NoCredentialsError | PartialCredentialsError | ProfileNotFound):
        return StoreError(
            f"cannot {action} ({_words(error)})",
            rule="credentials come by AWS's usual chain: the environment, a profile, the machine's role",
            where=where,
            remedy="Check them, and that they allow this on the bucket.",
        )
    return TransientError(
        f"cannot {action} ({_words(error)})",
        rule="a bucket answers within `s3.max_attempts` attempts",
        where=where,
        remedy="Look after the network and the service, then run again: what was finished stays.",
    )


def _words(error: Exception) -> str:
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        told = response.get("Error", {})
        text = f"{told.get('Code', '')}: {told.get('Message', '')}".strip(": ")
    else:
        text = f"{type(error).__name__}: {error}"
    return _SECRET.sub("//***@" if "//" in text else "***", text)
