"""What a checkpoint declares about sentence vectors, in the files of the sentence-transformers layout.

    modules.json                        which steps there are: Transformer, Pooling, Normalize
    1_Pooling/config.json               how tokens become one vector
    sentence_bert_config.json           the longest input, lower case
    config_sentence_transformers.json   the prompt that stands before every text

A checkpoint without modules.json says nothing: its tokens are averaged, and the vector keeps its length (our choice,
and what sentence-transformers does with it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from mediafm.encoders.hf_text_pooling import PoolingMode
from mediafm.encoders.pretrained import Pretrained
from mediafm.errors import ConfigError
from mediafm.types import Json

OLD_MODES: Mapping[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The flags of older pooling files, in the order in which their vectors are joined; newer ones name the modes."""
UNBOUNDED_TOKENS = 1_000_000
"""A tokenizer that knows no bound says a number beyond this."""
TOKENS_WITHOUT_A_BOUND = 512
"""Our choice where no file tells how long an input may be."""
OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer"})
"""Architectures that count positions from just behind their padding token's number."""


@dataclass(frozen=True, slots=True)
class SentenceRules:
    """How a checkpoint makes a vector of a text.

    modes: poolings whose vectors are joined.
    is_normalised: the vector has unit length.
    max_tokens: of one input, special tokens included.
    is_lower_cased: before the tokenizer sees it.
    prefix: what stands before every text.
    width: numbers of the vector.
    """

    modes: tuple[PoolingMode, ...]
    is_normalised: bool
    max_tokens: int
    is_lower_cased: bool
    prefix: str
    width: int

    def as_json(self) -> dict[str, Json]:
        """As the spec says it."""
        return {
            "pooling": list(self.modes),
            "is_normalised": self.is_normalised,
            "max_tokens": self.max_tokens,
            "is_lower_cased": self.is_lower_cased,
            "prefix": self.prefix,
        }


def read_sentence_rules(pretrained: Pretrained, prefix: str | None) -> SentenceRules:
    """The rules of a checkpoint.

    Args:
        prefix: the user's; None is the checkpoint's own default prompt, if it has one.

    Raises:
        ConfigError: a step that is not known here, or an architecture that gives no vector a token.
    """
    config = _network_config(pretrained)
    modules = dict(_modules(pretrained))
    bounds = pretrained.json_file("sentence_bert_config.json") or {}
    chosen = _default_prompt(pretrained) if prefix is None else prefix
    modes = _modes(pretrained, modules["Pooling"], chosen) if "Pooling" in modules else ("mean",)
    return SentenceRules(
        modes=modes,
        is_normalised="Normalize" in modules,
        max_tokens=_max_tokens(pretrained, config, bounds),
        is_lower_cased=bool(bounds.get("do_lower_case", False)),
        prefix=chosen,
        width=int(config.hidden_size) * len(modes),
    )


def _network_config(pretrained: Pretrained) -> Any:
    """Its config as transformers reads it, with the defaults that the file leaves out."""
    from transformers import AutoConfig

    kind = str(pretrained.config.get("model_type", ""))
    try:
        config: Any = AutoConfig.from_pretrained(pretrained.small_folder, local_files_only=True)
    except ValueError as error:
        raise _refusal(pretrained, f"model_type {kind!r}", "transformers knows the architecture") from error
    if getattr(config, "is_encoder_decoder", False) or not hasattr(config, "hidden_size"):
        raise _refusal(pretrained, f"model_type {kind!r}", "a text encoder gives one hidden vector for each token")
    return config


def _modules(pretrained: Pretrained) -> list[tuple[str, str]]:
    """(kind, folder) of each step; none for a checkpoint that does not say."""
    listed: Any = pretrained.json_file("modules.json") or []
    found = [(str(each["type"]).rsplit(".", 1)[-1], str(each.get("path", ""))) for each in listed]
    for kind, path in found:
        if kind not in {"Transformer", "Pooling", "Normalize"} or (kind == "Transformer" and path):
            raise _refusal(
                pretrained,
                f"the step {kind} in {path or 'its root'}",
                "the steps are a Transformer at the root, Pooling and Normalize",
            )
    return found


def _modes(pretrained: Pretrained, folder: str, prefix: str) -> tuple[PoolingMode, ...]:
    values = pretrained.json_file(f"{folder}/config.json") or {}
    if prefix and not values.get("include_prompt", True):
        raise _refusal(pretrained, "a prompt that pooling leaves out", "a prefix is pooled like the rest of the text")
    named = values.get("pooling_mode")
    if named is None:
        modes: tuple[Any, ...] = tuple(mode for flag, mode in OLD_MODES.items() if values.get(flag)) or ("mean",)
    else:
        modes = (named,) if isinstance(named, str) else tuple(named)
    unknown = [mode for mode in modes if mode not in get_args(PoolingMode)]
    if unknown:
        raise _refusal(pretrained, f"pooling {unknown}", f"poolings are {', '.join(get_args(PoolingMode))}")
    return modes


def _max_tokens(pretrained: Pretrained, config: Any, bounds: Mapping[str, Any]) -> int:
    """The smallest of what the layout, the tokenizer and the table of positions allow."""
    tokenizer = pretrained.json_file("tokenizer_config.json") or {}
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and config.model_type in OFFSET_POSITIONS:
        positions -= (config.pad_token_id or 0) + 1
    told = (bounds.get("max_seq_length"), tokenizer.get("model_max_length"), positions)
    known = [int(number) for number in told if number is not None and 0 < number < UNBOUNDED_TOKENS]
    return min(known, default=TOKENS_WITHOUT_A_BOUND)


def _default_prompt(pretrained: Pretrained) -> str:
    values = pretrained.json_file("config_sentence_transformers.json") or {}
    name = values.get("default_prompt_name")
    return str((values.get("prompts") or {}).get(name, "")) if name else ""


def _refusal(pretrained: Pretrained, seen: str, rule: str) -> ConfigError:
    return ConfigError(
        seen,
        rule=rule,
        where=f"{pretrained.where}, {pretrained.weights}",
        remedy="Choose another sentence encoder, or register one of your own.",
    )
