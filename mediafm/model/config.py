"""What the model is built from: one implementation, two families, each choice a field.

Published (Netflix, "MediaFM", 23 February 2026): a BERT-style encoder: post-norm, learned positions, GELU, biases.
Ours: pre-norm (Xiong et al. 2020), rotary positions (Su et al. 2021), GeGLU (Shazeer 2020) with separate halves, no
biases in the blocks, and a learned presence vector per modality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mediafm.errors import ConfigError
from mediafm.types import Json


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture; round-trips through JSON exactly.

    fused_dim: E, numbers in a fused vector.
    metadata_dim: M, numbers in a metadata vector.
    hidden_dim: D, the model's width and that of the exported vectors.
    num_layers, num_heads: of the encoder.
    feedforward_dim: inner width of a block's feed-forward part.
    max_shots: shots in one window; positions run from 0 to max_shots - 1.
    norm: "pre" or "post".
    positions: "rotary" or "learned".
    activation: "geglu" or "gelu".
    has_bias: biases in the blocks' matrices.
    has_qk_bias: biases of queries and keys in any case: with rotary positions they make attention by distance alone.
    has_presence: the learned presence vector per modality.
    has_qk_norm: queries and keys L2-normalised with a learned scale per head (Henry et al. 2020).
    has_zero_init: matrices that write into the residual stream begin at zero.
    rotary_share: share of a head's coordinates that are rotated; the others meet by content wherever they stand.
    num_blind_blocks: so many first blocks in which no token attends to itself, so that attention brings what is new.
    rotary_base: the slowest rotary wave's length is about this many positions times 2 pi.
    init_std_scale: standard deviation of a matrix's first values, times sqrt(its input width).
    """

    fused_dim: int
    metadata_dim: int
    hidden_dim: int
    num_layers: int
    num_heads: int
    feedforward_dim: int
    max_shots: int = 512
    norm: Literal["pre", "post"] = "pre"
    positions: Literal["rotary", "learned"] = "rotary"
    activation: Literal["geglu", "gelu"] = "geglu"
    has_bias: bool = False
    has_qk_bias: bool = True
    has_presence: bool = True
    has_qk_norm: bool = False
    has_zero_init: bool = True
    rotary_share: float = 1.0
    num_blind_blocks: int = 0
    rotary_base: float = 1000.0
    init_std_scale: float = 1.0

    def __post_init__(self) -> None:
        sizes = {
            name: getattr(self, name)
            for name in ("fused_dim", "metadata_dim", "hidden_dim", "num_layers", "num_heads", "feedforward_dim")
        }
        if min(*sizes.values(), self.max_shots) < 1:
            raise ConfigError(f"{sizes}", rule="every size is at least 1", where="model config")
        if self.hidden_dim % self.num_heads or self.head_dim % 2:
            raise ConfigError(
                f"width {self.hidden_dim} with {self.num_heads} heads",
                rule="the width is a multiple of the heads, and a head's width is even",
                where="model config",
            )
        if not 0 < self.rotary_share <= 1 or not 0 <= self.num_blind_blocks <= self.num_layers:
            raise ConfigError(
                f"rotary_share {self.rotary_share}, num_blind_blocks {self.num_blind_blocks}",
                rule=f"the share lies in (0, 1], and of {self.num_layers} blocks no more can be blind",
                where="model config",
            )
        for name, known in (
            ("norm", ("pre", "post")),
            ("positions", ("rotary", "learned")),
            ("activation", ("geglu", "gelu")),
        ):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name} {getattr(self, name)!r}", rule=f"one of {', '.join(known)}", where="model config"
                )

    @property
    def head_dim(self) -> int:
        """K, the width of one head."""
        return self.hidden_dim // self.num_heads

    @property
    def rotary_dim(self) -> int:
        """Rotated coordinates of a head, an even number; the first ones."""
        return max(2, 2 * round(self.rotary_share * self.head_dim / 2))

    def as_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> ModelConfig:
        """The inverse of `as_json`.

        Raises:
            ConfigError: a field is missing, unknown or impossible.
        """
        try:
            return cls(**parts)
        except TypeError as error:
            raise ConfigError(
                str(error), rule="a model config holds what `ModelConfig.as_json` wrote", where="model config"
            ) from error
