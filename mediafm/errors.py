"""Every error that MediaFM raises on purpose.

    MediaFMError
    ├── ConfigError            what the user configured or typed cannot be used
    ├── CatalogError           a catalogue, manifest row, sidecar or label row is wrong
    ├── MediaError             a title's bytes
    │   ├── UnusableMediaError     permanently wrong: the title is quarantined with this sentence
    │   └── InterruptedMediaError  the child process died or passed its deadline: retried, then quarantined
    ├── TransientError         may pass by itself (network, rate limit, memory): retried, then `failed`
    ├── EncoderError           an encoder broke its contract (width, dtype, finite values)
    ├── StoreError             the store cannot be written or read
    │   ├── IntegrityError         bytes at rest are not what the record says
    │   └── ConflictError          a compare-and-swap lost: somebody else moved the pointer
    ├── LineageMismatchError   spaces, checkpoints or fingerprints do not belong together
    ├── TrainingError          a run that must stop: NaN, collapse, too little data
    └── NotFoundError          a title, shot, checkpoint or table that is not there

A message has four parts: where, the value seen, the rule, and what to do next.
"""

from __future__ import annotations


class MediaFMError(Exception):
    """The root. Says where, the value seen, the rule it breaks, and what to do next.

    Args:
        seen: the value that was met, as a clause ("the file holds 0 bytes").
        rule: what would have been right ("a title needs one video stream").
        where: title, shot, field, file or line; may be empty.
        remedy: what the reader can do next, as an imperative sentence; may be empty.
    """

    def __init__(self, seen: str, *, rule: str, where: str = "", remedy: str = "") -> None:
        self.seen = seen
        self.rule = rule
        self.where = where
        self.remedy = remedy
        super().__init__(seen, rule, where, remedy)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" {self.remedy}" if self.remedy else ""
        return f"{place}{self.seen}; {self.rule}.{advice}"

    def as_dict(self) -> dict[str, str]:
        """The four parts and the class's name: how an error crosses a process border."""
        return {
            "error": type(self).__name__,
            "seen": self.seen,
            "rule": self.rule,
            "where": self.where,
            "remedy": self.remedy,
        }

    @staticmethod
    def from_dict(parts: dict[str, str]) -> MediaFMError:
        """The inverse of `as_dict`; an unknown class name becomes a plain `MediaFMError`."""
        kind = _by_name().get(parts["error"], MediaFMError)
        return kind(parts["seen"], rule=parts["rule"], where=parts["where"], remedy=parts["remedy"])


class ConfigError(MediaFMError):
    """What the user configured or typed cannot be used."""


class CatalogError(MediaFMError):
    """A catalogue, manifest row, sidecar or label row is wrong."""


class MediaError(MediaFMError):
    """A title's bytes."""


class UnusableMediaError(MediaError):
    """Permanently wrong: the title is quarantined with this sentence."""


class InterruptedMediaError(MediaError):
    """The child process died or passed its deadline on this title: retried once, then quarantined."""


class TransientError(MediaFMError):
    """May pass by itself (network, rate limit, memory): retried, then the title is `failed`."""


class EncoderError(MediaFMError):
    """An encoder broke its contract (width, dtype, finite values)."""


class StoreError(MediaFMError):
    """The store cannot be written or read."""


class IntegrityError(StoreError):
    """Bytes at rest are not what the record says."""


class ConflictError(StoreError):
    """A compare-and-swap lost: somebody else moved the pointer."""


class LineageMismatchError(MediaFMError):
    """Spaces, checkpoints or fingerprints do not belong together."""


class TrainingError(MediaFMError):
    """A run that must stop: NaN, collapse, too little data."""


class NotFoundError(MediaFMError):
    """A title, shot, checkpoint or table that is not there."""


def _by_name() -> dict[str, type[MediaFMError]]:
    found: dict[str, type[MediaFMError]] = {"MediaFMError": MediaFMError}
    queue: list[type[MediaFMError]] = [MediaFMError]
    while queue:
        for child in queue.pop().__subclasses__():
            found[child.__name__] = child
            queue.append(child)
    return found
