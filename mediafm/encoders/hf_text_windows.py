"""A text as token numbers, in as many windows as a network's longest input asks for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mediafm.encoders.hf_text_layout import SentenceRules
from mediafm.encoders.hf_text_tokenizer import sound_text
from mediafm.errors import ConfigError

FINE_TOKENS, COARSE_TOKENS = 8, 32
FINE_UP_TO_TOKENS = 64


@dataclass(frozen=True, slots=True)
class TextWindow:
    """What the network reads in one go.

    token_ids: special tokens and the prefix included.
    num_own: tokens that are the text's own, at least 1: its weight in the text's mean.
    """

    token_ids: tuple[int, ...]
    num_own: int


def padded_length(num_tokens: int, max_tokens: int) -> int:
    """The length that an input of so many tokens is padded to, so that inputs of about one length share a batch."""
    step = FINE_TOKENS if num_tokens <= FINE_UP_TO_TOKENS else COARSE_TOKENS
    return min(max_tokens, -(-num_tokens // step) * step)


class Windower:
    """Cuts texts into windows. Every window has the special tokens and the prefix; their parts are of equal length."""

    def __init__(self, tokenizer: Any, rules: SentenceRules, where: str) -> None:
        if not tokenizer.is_fast:
            raise ConfigError(
                f"{type(tokenizer).__name__} without tokenizer.json",
                rule="a tokenizer tells where each token stands",
                where=where,
                remedy="Choose a checkpoint with a tokenizer.json.",
            )
        self._tokenizer = tokenizer
        self._rules = rules
        self._where = where
        spare = (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, 0)
        self.pad_id: int = next(number for number in spare if number is not None)

    def windows(self, text: str) -> list[TextWindow]:
        """The windows of a text, at least one, also of an empty one.

        Raises:
            ConfigError: the prefix leaves no room for a text.
        """
        parts = (self._rules.prefix, sound_text(text))
        prefix, own_text = (part.lower() for part in parts) if self._rules.is_lower_cased else parts
        read = self._tokenizer(
            prefix + own_text,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            truncation=False,
            verbose=False,
        )
        ids: list[int] = list(read["input_ids"]) or [self.pad_id]
        own = [place for place, is_special in enumerate(read["special_tokens_mask"]) if not is_special]
        own = [place for place in own if read["offset_mapping"][place][1] > len(prefix)]
        if len(ids) <= self._rules.max_tokens:
            return [TextWindow(tuple(ids), max(1, len(own)))]
        start, end = (own[0], own[-1] + 1) if own else (len(ids), len(ids))
        return self._cut(ids, start, end)

    def _cut(self, ids: list[int], start: int, end: int) -> list[TextWindow]:
        """Windows over `ids[start:end]`; what stands before and behind is repeated in each."""
        head, tail = ids[:start], ids[end:]
        room = self._rules.max_tokens - len(head) - len(tail)
        if room < 1:
            raise ConfigError(
                f"{len(head) + len(tail)} tokens of prefix and special tokens",
                rule=f"an input has {self._rules.max_tokens} tokens at most",
                where=self._where,
                remedy="Shorten `prefix`.",
            )
        num_windows = -(-(end - start) // room)
        borders = [start + place * (end - start) // num_windows for place in range(num_windows + 1)]
        return [TextWindow((*head, *ids[left:right], *tail), right - left) for left, right in pairwise(borders)]
