"""Named architectures, from a handful of titles to a large catalogue, each in our form and in the published one.

Parameters are counted for fused vectors of 2304 numbers and metadata of 768, where a docstring says how many.

Rule of thumb behind "auto" (our choice, not measured): a masked-shot model over-fits when its blocks hold much more
than a few hundred weights per training shot, so the width grows with the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches

from mediafm.errors import ConfigError
from mediafm.model.config import ModelConfig


def tiny(fused_dim: int, metadata_dim: int) -> ModelConfig:
    """2 layers x 256: a demo, or a few hundred titles. 3.0 M parameters."""
    return _ours(fused_dim, metadata_dim, hidden_dim=256, num_layers=2, num_heads=4)


def shallow(fused_dim: int, metadata_dim: int) -> ModelConfig:
    """3 layers x 256: `small` with a block less. 3.8 M parameters."""
    return _ours(fused_dim, metadata_dim, hidden_dim=256, num_layers=3, num_heads=4)


def small(fused_dim: int, metadata_dim: int) -> ModelConfig:
    """4 layers x 256: a few hundred titles. 4.6 M parameters."""
    return _ours(fused_dim, metadata_dim, hidden_dim=256, num_layers=4, num_heads=4)


def medium(fused_dim: int, metadata_dim: int) -> ModelConfig:
    """8 layers x 512: a few thousand titles. 27.7 M parameters."""
    return _ours(fused_dim, metadata_dim, hidden_dim=512, num_layers=8, num_heads=8)


def base(fused_dim: int, metadata_dim: int) -> ModelConfig:
    """12 layers x 768: tens of thousands of titles (BERT-base's size). 89.1 M parameters."""
    return _ours(fused_dim, metadata_dim, hidden_dim=768, num_layers=12, num_heads=12)


def large(fused_dim: int, metadata_dim: int) -> ModelConfig:
    """24 layers x 1024 (BERT-large's size): for GPUs; "auto" never takes it. 309 M parameters."""
    return _ours(fused_dim, metadata_dim, hidden_dim=1024, num_layers=24, num_heads=16)


def published_tiny(fused_dim: int, metadata_dim: int) -> ModelConfig:
    """`tiny` in the published form: post-norm, learned positions, GELU, biases. 3.1 M parameters."""
    return _published(fused_dim, metadata_dim, hidden_dim=256, num_layers=2, num_heads=4)


def published_shallow(fused_dim: int, metadata_dim: int) -> ModelConfig:
    """`shallow` in the published form. 3.9 M parameters."""
    return _published(fused_dim, metadata_dim, hidden_dim=256, num_layers=3, num_heads=4)


def published_small(fused_dim: int, metadata_dim: int) -> ModelConfig:
    """`small` in the published form. 4.7 M parameters."""
    return _published(fused_dim, metadata_dim, hidden_dim=256, num_layers=4, num_heads=4)


def published_medium(fused_dim: int, metadata_dim: int) -> ModelConfig:
    """`medium` in the published form. 28.2 M parameters."""
    return _published(fused_dim, metadata_dim, hidden_dim=512, num_layers=8, num_heads=8)


def published_base(fused_dim: int, metadata_dim: int) -> ModelConfig:
    """`base` in the published form. 89.6 M parameters."""
    return _published(fused_dim, metadata_dim, hidden_dim=768, num_layers=12, num_heads=12)


def published_large(fused_dim: int, metadata_dim: int) -> ModelConfig:
    """`large` in the published form. 308 M parameters."""
    return _published(fused_dim, metadata_dim, hidden_dim=1024, num_layers=24, num_heads=16)


PRESETS: Mapping[str, Callable[[int, int], ModelConfig]] = {
    "tiny": tiny,
    "shallow": shallow,
    "small": small,
    "medium": medium,
    "base": base,
    "large": large,
    "published_tiny": published_tiny,
    "published_shallow": published_shallow,
    "published_small": published_small,
    "published_medium": published_medium,
    "published_base": published_base,
    "published_large": published_large,
}

AUTO_MIN_SHOTS: tuple[tuple[int, str], ...] = ((1_000_000, "base"), (100_000, "medium"), (10_000, "small"), (0, "tiny"))
"""From how many training shots on "auto" takes which preset."""


def create(name: str, fused_dim: int, metadata_dim: int, num_train_shots: int) -> ModelConfig:
    """The preset `name`, or, for "auto", the one for that many training shots.

    Raises:
        ConfigError: no such preset.
    """
    chosen = resolve(name, num_train_shots)
    return PRESETS[chosen](fused_dim, metadata_dim)


def resolve(name: str, num_train_shots: int) -> str:
    """The preset's name that "auto" stands for; any other name must be known."""
    if name == "auto":
        return next(preset for least, preset in AUTO_MIN_SHOTS if num_train_shots >= least)
    if name not in PRESETS:
        near = get_close_matches(name, PRESETS, n=1)
        raise ConfigError(
            f"preset {name!r}",
            rule=f"a preset is auto or one of {', '.join(PRESETS)}",
            where="training.preset",
            remedy=f"Did you mean {near[0]!r}?" if near else "",
        )
    return name


def _ours(fused_dim: int, metadata_dim: int, *, hidden_dim: int, num_layers: int, num_heads: int) -> ModelConfig:
    # GeGLU has three matrices where GELU has two: 8/3 of the width keeps the number of weights (Shazeer 2020).
    return ModelConfig(
        fused_dim=fused_dim,
        metadata_dim=metadata_dim,
        hidden_dim=hidden_dim,
        num_layers=num_layers,
        num_heads=num_heads,
        feedforward_dim=_multiple_of_64(8 * hidden_dim / 3),
        rotary_share=0.5,
        num_blind_blocks=1,
    )


def _published(fused_dim: int, metadata_dim: int, *, hidden_dim: int, num_layers: int, num_heads: int) -> ModelConfig:
    return ModelConfig(
        fused_dim=fused_dim,
        metadata_dim=metadata_dim,
        hidden_dim=hidden_dim,
        num_layers=num_layers,
        num_heads=num_heads,
        feedforward_dim=4 * hidden_dim,
        norm="post",
        positions="learned",
        activation="gelu",
        has_bias=True,
        has_presence=False,
        has_zero_init=False,
    )


def _multiple_of_64(width: float) -> int:
    return max(64, round(width / 64) * 64)
