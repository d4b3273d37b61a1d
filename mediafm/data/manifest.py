"""The training manifest: the exact titles, fingerprints, split, masks and space that a training run sees.

Its `sha256` covers all of that. At rest it is three files under `store/manifests/<sha256>/` (see `manifest_files`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mediafm.config import TrainingSettings
from mediafm.data.masks import random_folds, span_folds, windows_of
from mediafm.data.split import (
    MIN_GROUPS,
    MIN_SHOTS,
    GroupSplit,
    Part,
    Shares,
    Split,
    TooLittleDataError,
    join_groups,
    parts_within,
    split_groups,
)
from mediafm.errors import LineageMismatchError
from mediafm.lineage.fingerprint import fingerprint
from mediafm.types import Json

FORMAT_VERSION = 1
MAX_WINDOW_SHOTS = 512
"""Shots in one window of the model, as published; evaluation windows are cut to it here."""


@dataclass(frozen=True, kw_only=True)
class ManifestTitle:
    """One title as the store knows it.

    title_id, group_id: its own id, and its series' (else its own).
    media_sha256: of its file: equal files are one group.
    fused_fingerprint, fused_key: which fused vectors, and where they lie in the store.
    metadata_fingerprint, metadata_key: which metadata vector; None for a title without.
    num_shots: N, shots that have a fused vector.
    """

    title_id: str
    group_id: str
    media_sha256: str
    fused_fingerprint: str
    fused_key: str
    metadata_fingerprint: str | None
    metadata_key: str | None
    num_shots: int


@dataclass(frozen=True, slots=True)
class Window:
    """Shots `[start, end)` of a title, read by the model at once."""

    title_id: str
    start: int
    end: int

    @property
    def num_shots(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, eq=False)
class PlannedTitle:
    """A title with what the split and the masks make of it.

    title: as it came.
    group_id: the group after joining groups that share a file; what intervals resample.
    parts: which of its shots serve which split.
    folds: mask set ("random", "span") -> int8 [N], the pass that masks each shot; -1 for a shot in no part.
    """

    title: ManifestTitle
    group_id: str
    parts: tuple[Part, ...]
    folds: Mapping[str, NDArray[np.int8]]

    @property
    def split(self) -> str:
        """Its split's name, or "within_title"."""
        return str(self.parts[0].split) if len(self.parts) == 1 else "within_title"


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingManifest:
    """What one training run sees. Equal `sha256` means equal in every respect.

    titles: in the order of their ids.
    space: `Space.as_json()` of the fused vectors.
    salt, shares: what the split was drawn with.
    is_within_title: True if fewer than five groups forced the split inside titles.
    stand_ins: groups that only stand in for a split that hashing left empty.
    max_window_shots: the longest evaluation window.
    num_empty_titles: titles left out because no shot of theirs has a vector.
    """

    titles: tuple[PlannedTitle, ...]
    space: Mapping[str, Json]
    salt: str
    shares: Shares
    is_within_title: bool
    stand_ins: Mapping[str, Split] = field(default_factory=dict)
    max_window_shots: int = MAX_WINDOW_SHOTS
    num_empty_titles: int = 0

    @cached_property
    def sha256(self) -> str:
        """64 hex digits over everything that the run sees."""
        return fingerprint({**self.head(), "titles": [_title_json(planned) for planned in self.titles]})

    @cached_property
    def by_id(self) -> Mapping[str, PlannedTitle]:
        return {planned.title.title_id: planned for planned in self.titles}

    def head(self) -> dict[str, Json]:
        """All but the titles, as JSON."""
        return {
            "format_version": FORMAT_VERSION,
            "space": dict(self.space),
            "salt": self.salt,
            "shares": asdict(self.shares),
            "is_within_title": self.is_within_title,
            "stand_ins": {group: str(split) for group, split in self.stand_ins.items()},
            "max_window_shots": self.max_window_shots,
            "num_empty_titles": self.num_empty_titles,
        }

    def parts(self, split: Split) -> list[tuple[PlannedTitle, Part]]:
        """Every run of shots that serves `split`, with its title."""
        return [(planned, part) for planned in self.titles for part in planned.parts if part.split is split]

    def windows(self, split: Split) -> list[Window]:
        """The evaluation windows of `split`: each of its shots in exactly one."""
        return [
            Window(planned.title.title_id, start, end)
            for planned, part in self.parts(split)
            for start, end in windows_of(part.start, part.end, self.max_window_shots)
        ]

    def num_shots(self, split: Split) -> int:
        return sum(part.end - part.start for _, part in self.parts(split))

    def num_groups(self, split: Split) -> int:
        return len({planned.group_id for planned, _ in self.parts(split)})

    def summary(self) -> dict[str, Json]:
        """Counts for people: by split, titles, groups and shots."""
        counts: dict[str, Json] = {
            str(split): {
                "titles": len({planned.title.title_id for planned, _ in self.parts(split)}),
                "groups": self.num_groups(split),
                "shots": self.num_shots(split),
            }
            for split in Split
        }
        return {"is_within_title": self.is_within_title, "num_empty_titles": self.num_empty_titles, **counts}


def build_manifest(
    titles: Sequence[ManifestTitle],
    space: Mapping[str, Json],
    settings: TrainingSettings,
    kept_stand_ins: Mapping[str, Split] | None = None,
) -> TrainingManifest:
    """The manifest of these titles.

    Args:
        titles: those whose fused vectors are current in `space`; one without a single vector is counted, not kept.
        space: `Space.as_json()`.
        settings: salt and shares of the split.
        kept_stand_ins: `stand_ins` of this root's last manifest, so that they stay what they were.

    Raises:
        TooLittleDataError: fewer than 20 shots in all, or no split can be made: there is no checkpoint yet.
        LineageMismatchError: a title id occurs twice.
    """
    _refuse_twins(titles)
    used = sorted((title for title in titles if title.num_shots > 0), key=lambda title: title.title_id)
    num_shots = sum(title.num_shots for title in used)
    if num_shots < MIN_SHOTS:
        raise TooLittleDataError(
            f"{num_shots} shots in {len(used)} titles",
            rule=f"a checkpoint needs at least {MIN_SHOTS} shots with a vector",
            where="training manifest",
            remedy="Add titles, then run again.",
        )
    shares = Shares(settings.validation_share, settings.test_share)
    joined = join_groups((title.group_id, title.media_sha256) for title in used)
    is_within = len(set(joined.values())) < MIN_GROUPS
    split = GroupSplit({}, {}) if is_within else split_groups(joined, settings.split_salt, shares, kept_stand_ins)
    return TrainingManifest(
        titles=tuple(
            _planned(title, joined[title.group_id], split.by_group.get(title.group_id), shares, settings.split_salt)
            for title in used
        ),
        space=space,
        salt=settings.split_salt,
        shares=shares,
        is_within_title=is_within,
        stand_ins=split.stand_ins,
        num_empty_titles=len(titles) - len(used),
    )


def _planned(title: ManifestTitle, group_id: str, split: Split | None, shares: Shares, salt: str) -> PlannedTitle:
    parts = parts_within(title.num_shots, shares) if split is None else (Part(split, 0, title.num_shots),)
    folds = {name: np.full(title.num_shots, -1, np.int8) for name in ("random", "span")}
    for part in parts:
        for start, end in windows_of(part.start, part.end, MAX_WINDOW_SHOTS):
            seed_text = f"{salt}\x00{title.title_id}\x00{start}"
            folds["random"][start:end] = random_folds(end - start, f"random\x00{seed_text}")
            folds["span"][start:end] = span_folds(end - start, f"span\x00{seed_text}")
    return PlannedTitle(title, group_id, parts, folds)


def _refuse_twins(titles: Sequence[ManifestTitle]) -> None:
    seen: set[str] = set()
    for title in titles:
        if title.title_id in seen:
            raise LineageMismatchError(
                "two rows", rule="a manifest holds a title once", where=f"title {title.title_id}"
            )
        seen.add(title.title_id)


def _title_json(planned: PlannedTitle) -> dict[str, Json]:
    return {
        **asdict(planned.title),
        "split_group_id": planned.group_id,
        "parts": [[str(part.split), part.start, part.end] for part in planned.parts],
        "masks_sha256": {name: hashlib.sha256(folds.tobytes()).hexdigest() for name, folds in planned.folds.items()},
    }
