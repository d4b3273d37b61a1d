"""The cases of a fuzz run: which original is damaged how, and the folder of titles that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz_originals import Original
from mediafm.errors import NotFoundError
from mediafm.testing.mutations import MEDIA_KINDS, TEXT_KINDS, mutate

TEXT_EVERY = 3
"""Every third case damages timed text."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One damaged title.

    original: its name.
    index: of the version that is drawn.
    """

    original: str
    kind: str
    index: int

    @property
    def name(self) -> str:
        return f"{self.original}:{self.kind}:{self.index}"

    @staticmethod
    def parse(name: str) -> Case:
        """The inverse of `name`.

        Raises:
            NotFoundError: it is no name of a case.
        """
        original, _, rest = name.partition(":")
        kind, _, index = rest.partition(":")
        if kind not in (*MEDIA_KINDS, *TEXT_KINDS) or not index.isdecimal():
            raise NotFoundError(f"the case {name!r}", rule="a case is named ORIGINAL:KIND:INDEX")
        return Case(original=original, kind=kind, index=int(index))


def plan(originals: Sequence[Original], count: int) -> list[Case]:
    """`count` cases that take originals and kinds in turns, so that the first hundred try about everything once."""
    media, texts = ([one.name for one in originals if one.is_text is is_text] for is_text in (False, True))
    cases, num_texts = [], 0
    for number in range(count):
        is_text = bool(texts) and number % TEXT_EVERY == TEXT_EVERY - 1
        turn = num_texts if is_text else number - num_texts
        num_texts += is_text
        names, kinds = (texts, TEXT_KINDS) if is_text else (media, MEDIA_KINDS)
        lap, place = divmod(turn, len(names))
        # The kind moves on by one each lap, so that no original meets a kind twice before it has met all.
        kind = kinds[(place + lap) % len(kinds)]
        cases.append(Case(original=names[place], kind=kind, index=lap // len(kinds)))
    return cases


def carrier(originals: Sequence[Original]) -> Original:
    """What damaged text is put beside, and the sound title of every batch: the smallest of H.264 and AAC, if any is."""
    media = [original for original in originals if not original.is_text]
    preferred = [original for original in media if original.name.startswith("remuxed")] or media
    return min(preferred, key=lambda original: (original.path.stat().st_size, original.name))


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Writes the titles of cases."""

    originals: Sequence[Original]
    seed: int

    def write(self, case: Case, folder: Path, title: str) -> None:
        """The case's files in `folder`, named `title`; `folder` is a catalogue.

        Raises:
            NotFoundError: no such original.
        """
        original = self._original(case.original)
        damaged = mutate(
            original.path.read_bytes(),
            case.kind,
            seed=self.seed,
            name=case.original,
            index=case.index,
            other=self._other(original, case.index).read_bytes(),
        )
        self._put(original, damaged, folder, title)

    def write_sound(self, name: str, folder: Path, title: str) -> None:
        """An original as it is."""
        original = self._original(name)
        self._put(original, original.path.read_bytes(), folder, title)

    def write_control(self, folder: Path, title: str) -> None:
        """A sound title, without text."""
        sound = carrier(self.originals)
        self._put(sound, sound.path.read_bytes(), folder, title)

    def _put(self, original: Original, data: bytes, folder: Path, title: str) -> None:
        if not original.is_text:
            (folder / f"{title}{original.suffix}").write_bytes(data)
            return
        sound = carrier(self.originals)
        (folder / f"{title}{sound.suffix}").write_bytes(sound.path.read_bytes())
        (folder / f"{title}.en{original.suffix}").write_bytes(data)

    def _original(self, name: str) -> Original:
        found = next((original for original in self.originals if original.name == name), None)
        if found is None:
            raise NotFoundError(f"the original {name!r}", rule="a case damages a file of this run")
        return found

    def _other(self, original: Original, index: int) -> Path:
        """What a spliced file ends with: as often of the same kind of file as of another."""
        alike = [each for each in self.originals if each.is_text is original.is_text and each is not original]
        return (alike[index % len(alike)] if alike else original).path
