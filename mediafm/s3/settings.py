"""`[s3]` of `mediafm.toml`: how buckets are reached."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mediafm.errors import ConfigError

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]

_ENDPOINT = re.compile(r"https?://[A-Za-z0-9._\[\]:-]+/?")


class S3Settings(BaseModel):
    """Credentials never stand here: they come by the usual chain of AWS's tools (environment, profile, the machine's
    role)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint_url: str | None = None
    """Of MinIO and others; AWS itself unless set."""
    region: str | None = None
    """What the environment or the profile says unless set."""
    addressing: Literal["auto", "path", "virtual"] = "auto"
    """"auto": `ENDPOINT/bucket` where `endpoint_url` is set, and what AWS's tools choose elsewhere."""
    max_attempts: Count = 8
    """Of each request; the waits between them grow. A throttled, failed or cut one is tried again."""
    connect_seconds: Seconds = 10.0
    read_seconds: Seconds = 60.0
    """How long an open connection may stay silent."""
    multipart_bytes: Annotated[int, Field(ge=5 * 1024**2, le=5 * 1024**3)] = 32 * 1024**2
    """Larger objects go up in parts of this size; each connection holds one part in memory."""
    connections: Count = 4
    """Parts that travel at once."""
    cache_bytes: Count = 64 * 1024**3
    """What downloads may take of this machine's disk; the least recently used go first."""
    block_bytes: Count = 4 * 1024**2
    """How much a ranged read of media fetches at once; the next block is fetched meanwhile."""

    @field_validator("endpoint_url")
    @classmethod
    def _endpoint_holds_no_secret(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if _ENDPOINT.fullmatch(value) is None:
            raise ConfigError(  # pydantic's own complaint would show the value, and with it a password
                "an endpoint that is more than an address",
                rule="an endpoint is http(s)://HOST[:PORT], without a name, a password or a path",
                where="s3.endpoint_url",
                remedy="Give credentials by the environment, a profile or the machine's role.",
            )
        return value.rstrip("/")
