"""How long an endpoint is asked again, and when not at all any more.

What one request learns holds for the process: a refused key is not sent for every title, an asked pause is kept by all
threads, and after an outage that outlasted all attempts each further request tries once, until one works.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from mediafm.encoders.openai_answer import Answer, Setback
from mediafm.errors import EncoderError, MediaFMError, TransientError


@dataclass
class Health:
    """What this process knows of an endpoint.

    refusal: met by every request; nothing is asked any more.
    has_worked: some request was answered.
    is_out: the last request was given up after all its attempts.
    not_before: of `time.monotonic()`: the pause that the endpoint asked for.
    """

    refusal: Setback | None = None
    has_worked: bool = False
    is_out: bool = False
    not_before: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, found: Answer | Setback, longest_wait_seconds: float) -> None:
        """Learns from one attempt. What is wrong with the first request is taken to be wrong with all."""
        with self.lock:
            if isinstance(found, Answer):
                self.has_worked, self.is_out = True, False
            elif found.wait_seconds is not None:
                wait = min(found.wait_seconds, longest_wait_seconds)
                self.not_before = max(self.not_before, time.monotonic() + wait)
            elif not found.is_transient and (found.is_of_endpoint or not self.has_worked):
                self.refusal = found


_health: dict[str, Health] = {}
_health_lock = threading.Lock()


def health_of(identity: str) -> Health:
    """What this process knows of the endpoint `identity`."""
    with _health_lock:
        return _health.setdefault(identity, Health())


def forget_health() -> None:
    """Forgets what was learnt of all endpoints: for a notebook whose key was renewed on the other side."""
    with _health_lock:
        _health.clear()


@dataclass(frozen=True, kw_only=True)
class Patience:
    """The rules of asking again.

    place: who is asked, for messages.
    max_attempts: in all, of one request.
    first_wait_seconds: after the first attempt; doubled after each further one, of which a random half is taken off.
    max_wait_seconds: of one wait, whatever the endpoint asks for.
    random: draws the jitter.
    """

    place: str
    health: Health
    max_attempts: int
    first_wait_seconds: float
    max_wait_seconds: float
    random: Random

    def answer(self, ask: Callable[[], Answer | Setback], stop: threading.Event) -> Answer | Refusal:
        """The answer, after as many attempts as it takes and is allowed; a refusal if there is none.

        Args:
            stop: set when nobody waits for the answer any more: ends a pause at once.
        """
        attempts = 0
        while True:
            if self.health.refusal is not None:
                return Refusal(self._permanent(self.health.refusal, is_remembered=attempts == 0))
            if stop.wait(max(0.0, self.health.not_before - time.monotonic())):
                return Refusal(_stopped(self.place))
            found = ask()
            attempts += 1
            self.health.note(found, self.max_wait_seconds)
            if isinstance(found, Answer):
                return found
            if not found.is_transient:
                return Refusal(self._permanent(found), found.num_tokens)
            if attempts >= (1 if self.health.is_out else self.max_attempts):
                self.health.is_out = True
                return Refusal(self._given_up(found, attempts))
            if stop.wait(self._wait_seconds(attempts)):
                return Refusal(_stopped(self.place))

    def _wait_seconds(self, attempts: int) -> float:
        longest = min(self.max_wait_seconds, self.first_wait_seconds * 2.0 ** (attempts - 1))
        return longest * self.random.uniform(0.5, 1.0)

    def _permanent(self, setback: Setback, is_remembered: bool = False) -> EncoderError:
        seen = f"{setback.seen} (not asked again in this process)" if is_remembered else setback.seen
        return EncoderError(seen, rule=setback.rule, where=self.place, remedy=setback.remedy)

    def _given_up(self, setback: Setback, attempts: int) -> TransientError:
        return TransientError(
            f"{setback.seen}, after {attempts} attempt{'s' if attempts > 1 else ''}",
            rule=setback.rule,
            where=self.place,
            remedy=setback.remedy or "Run again later: what is bought is kept.",
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is given up, to be raised where it was asked for; num_tokens were billed all the same."""

    error: MediaFMError
    num_tokens: int = 0


def _stopped(place: str) -> TransientError:
    return TransientError("stopped", rule="a request ends with the stream that asked for it", where=place)
