"""Telling of a failed run: to a webhook, to a command; the facts as one JSON object.

Belongs here: what is told, and how it leaves this process. Does not belong here: when (`sensor_failures`).
"""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from mediafm.automation import FailureSettings
from mediafm.errors import ConfigError, MediaFMError, TransientError

MAX_TOLD_CHARACTERS = 2000
"""Of each error's message, and of what a hook answers (our choice)."""


def tell(settings: FailureSettings, facts: Mapping[str, Any]) -> list[str]:
    """Tells every configured hook; returns what was done, a clause each.

    Raises:
        TransientError: a hook could not be told, or did not end well; the others were told all the same.
    """
    done, wrong = [], []
    hooks: list[tuple[bool, str, Callable[[FailureSettings, bytes], None]]] = [
        (settings.webhook is not None, "the webhook", _post),
        (bool(settings.command), "the command", _call),
    ]
    message = json.dumps(facts, ensure_ascii=False, default=str).encode()
    for is_set, name, send in hooks:
        if not is_set:
            continue
        try:
            send(settings, message)
        except MediaFMError as error:
            wrong.append(f"{name}: {error.seen}")
        else:
            done.append(f"{name} was told")
    if wrong:
        raise TransientError(
            "; ".join(wrong),
            rule="whoever is to hear of failures can be told",
            where="automation.failures",
            remedy="Mend the webhook or the command: this failure will not be told again.",
        )
    return done


def webhook_url(settings: FailureSettings) -> str:
    """Where to post. Raises `ConfigError`: the variable that holds it is not set, or holds no URL."""
    url = settings.webhook or ""
    if url.startswith("$"):
        name, url = url[1:], os.environ.get(url[1:], "")
        if not url.startswith(("http://", "https://")):
            raise ConfigError(
                f"the variable {name} holds no URL",
                rule='a webhook "$NAME" names a variable that holds one that begins with http:// or https://',
                where="automation.failures.webhook",
                remedy=f"Set {name} where the daemon's code location runs.",
            )
    return url


def _post(settings: FailureSettings, message: bytes) -> None:
    """The URL itself is never told: it may hold a secret."""
    request = urllib.request.Request(
        webhook_url(settings), message, {"Content-Type": "application/json", "User-Agent": "mediafm"}, method="POST"
    )
    try:
        with _OPENER.open(request, timeout=settings.timeout_seconds):
            pass
    except urllib.error.HTTPError as error:
        raise TransientError(f"it answered {error.code} {error.reason}", rule="a webhook answers 2xx") from error
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        why = getattr(error, "reason", error)
        raise TransientError(f"it could not be reached ({why})", rule="a webhook answers in time") from error


def _call(settings: FailureSettings, message: bytes) -> None:
    try:
        ended = subprocess.run(
            settings.command, input=message, capture_output=True, timeout=settings.timeout_seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        seen = f"{settings.command[0]} took longer than {settings.timeout_seconds:g} s and was ended"
        raise TransientError(seen, rule="a hook ends in time") from error
    except OSError as error:
        raise ConfigError(f"{settings.command[0]} cannot be started ({error.strerror})", rule="it is there") from error
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip()[-MAX_TOLD_CHARACTERS:]
        raise TransientError(f"{settings.command[0]} ended with {ended.returncode}: {said}", rule="a hook ends with 0")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its facts, and elsewhere than configured."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)
