"""Why a catalogue of this size gets this architecture, for people."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mediafm.model import presets
from mediafm.model.config import ModelConfig
from mediafm.model.mediafm import MediaFM

PARTS = {
    "blocks": "transformer blocks",
    "project_shot": "projection of fused vectors",
    "project_metadata": "projection of metadata",
    "head": "head (predicts fused vectors; not needed to embed)",
}
"""First part of a parameter's name -> what it is; any other belongs to tokens and norms."""
OTHER_PARTS = "tokens, positions and norms"


@dataclass(frozen=True, kw_only=True)
class PresetRow:
    """What "auto" takes from how many training shots on, and how large it is on this space."""

    from_shots: int
    preset: str
    num_layers: int
    hidden_dim: int
    num_parameters: int
    is_chosen: bool


def explain_preset(asked: str, chosen: str, num_train_shots: int, num_block_parameters: int) -> str:
    """Why the run has this preset.

    Args:
        asked: what the configuration says ("auto" or a name).
        chosen: the preset that it came to.
        num_train_shots: of the manifest.
        num_block_parameters: of the transformer blocks.
    """
    by_size = presets.resolve("auto", num_train_shots)
    per_shot = f"{num_block_parameters / max(num_train_shots, 1):,.0f} block weights a training shot"
    if asked != "auto":
        other = "as auto would" if by_size == chosen else f"where auto would take {by_size}"
        return f"{chosen}: asked for by name, {other} with {num_train_shots:,} training shots ({per_shot})."
    least = next(count for count, name in presets.AUTO_MIN_SHOTS if name == by_size)
    above = [(count, name) for count, name in presets.AUTO_MIN_SHOTS if count > num_train_shots]
    following = f"; {above[-1][1]} from {above[-1][0]:,} on" if above else ""
    return (
        f"{chosen}: {num_train_shots:,} training shots, and auto takes it from {least:,} on{following}. A masked-shot "
        f"model over-fits when its blocks hold much more than a few hundred weights a training shot (a rule of thumb "
        f"of ours), so width grows with the catalogue; here {per_shot}."
    )


def presets_by_size(fused_dim: int, metadata_dim: int, num_train_shots: int) -> list[PresetRow]:
    """The presets that "auto" chooses among, the smallest first, on a space of these widths."""
    chosen = presets.resolve("auto", num_train_shots)
    rows = []
    for count, name in sorted(presets.AUTO_MIN_SHOTS):
        config = presets.PRESETS[name](fused_dim, metadata_dim)
        rows.append(
            PresetRow(
                from_shots=count,
                preset=name,
                num_layers=config.num_layers,
                hidden_dim=config.hidden_dim,
                num_parameters=sum(parameters_by_part(config).values()),
                is_chosen=name == chosen,
            )
        )
    return rows


def parameters_by_part(config: ModelConfig) -> dict[str, int]:
    """Part of the network -> how many parameters it has; nothing is allocated."""
    with torch.device("meta"):
        model = MediaFM(config)
    found = dict.fromkeys([*PARTS.values(), OTHER_PARTS], 0)
    for name, parameter in model.named_parameters():
        found[PARTS.get(name.partition(".")[0], OTHER_PARTS)] += parameter.numel()
    return found
