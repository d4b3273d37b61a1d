"""MediaFM: a transformer encoder over the shots of a title.

Source: Netflix, "MediaFM" (23 February 2026): fused shot vectors -> linear projection; a learned [CLS], a [GLOBAL] that
carries the title's metadata; positions; a transformer encoder; a linear projection back to the fused width; masked
shots are replaced by a learned [MASK]. Our choices are fields of `ModelConfig`; beyond them: the input is scaled by
sqrt(E) so that a unit vector's entries have size 1; "no metadata" is a learned vector; a masked shot's presence flags
are hidden with it.

T tokens, N shots, B sequences, D model width, E fused width, M metadata width, L layers.
"""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from torch import Tensor, nn

from mediafm.errors import MediaFMError
from mediafm.model.attention import choose_backend, has_varlen_kernel
from mediafm.model.batch import NUM_MODALITIES, PackedShots
from mediafm.model.blocks import Block, Linear
from mediafm.model.config import ModelConfig
from mediafm.model.layout import Backend, Layout, layout_of, rotary_table

TOKEN_INIT_STD = 0.02
_RESIDUAL_OUTPUT = re.compile(r"^blocks\.\d+\.(attention|feedforward)\.output\.weight$")


class MediaFM(nn.Module):
    """The model. Its weights are undefined until `initialise` or `load_state_dict`; construction draws nothing.

    `attention` names the backend; None, as it begins, leaves the choice to `choose_backend`, batch by batch.
    """

    attention: Backend | None = None

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_dim
        self.project_shot = Linear(config.fused_dim, width)
        self.project_metadata = Linear(config.metadata_dim, width)
        self.cls_token = nn.Parameter(torch.empty(width))
        self.global_token = nn.Parameter(torch.empty(width))
        self.no_metadata = nn.Parameter(torch.empty(width))
        self.mask_token = nn.Parameter(torch.empty(width))
        self.presence = nn.Parameter(torch.empty(NUM_MODALITIES, width)) if config.has_presence else None
        self.positions = nn.Parameter(torch.empty(config.max_shots, width)) if config.positions == "learned" else None
        self.blocks = nn.ModuleList(
            Block(config, sees_self=number >= config.num_blind_blocks) for number in range(config.num_layers)
        )
        self.final_norm = nn.LayerNorm(width, bias=config.has_bias)
        self.head = Linear(width, config.fused_dim)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator, head_bias_E: Tensor | None = None) -> None:
        """Fills every parameter from `generator`; `head_bias_E` is where predictions begin (zeros if None)."""
        for name, parameter in self.named_parameters():
            if name.endswith("norm.weight"):
                parameter.fill_(1.0)
            elif name.endswith("query_scale"):
                # Where random queries and keys of unit entries stand: from 1 on, attention stays even for long.
                parameter.fill_(math.sqrt(self.config.head_dim))
            elif name.endswith("bias"):
                parameter.zero_()
            elif parameter.ndim == 2 and name.endswith(".weight"):
                is_zero = self.config.has_zero_init and _RESIDUAL_OUTPUT.match(name)
                std = 0.0 if is_zero else self.config.init_std_scale / math.sqrt(parameter.shape[1])
                parameter.normal_(0.0, std, generator=generator)
            else:
                parameter.normal_(0.0, TOKEN_INIT_STD, generator=generator)
        self.head.weight.mul_(TOKEN_INIT_STD)
        if head_bias_E is not None:
            self.head.bias.copy_(head_bias_E)

    def layers(self, batch: PackedShots) -> list[Tensor]:
        """The tokens after 0, 1, ... L blocks, each [T, D]; the first are the inputs of the first block."""
        return self._layers(batch, self.layout(batch))

    def shot_layers(self, batch: PackedShots) -> list[Tensor]:
        """The shots' tokens after 0, 1, ... L blocks, each [N, D]."""
        layout = self.layout(batch)
        return [x_TD.index_select(0, layout.shot_N) for x_TD in self._layers(batch, layout)]

    def shot_tokens(self, batch: PackedShots) -> Tensor:
        """The shots' tokens after all blocks, [N, D]: the last of `shot_layers`; without gradients no other is kept."""
        layout = self.layout(batch)
        return self._last(batch, layout).index_select(0, layout.shot_N)

    def decode(self, x_ND: Tensor) -> Tensor:
        """Tokens after all blocks [..., D] -> predicted fused vectors [..., E], not normalised."""
        return self.head(self.final_norm(x_ND))  # type: ignore[no-any-return]

    def forward(self, batch: PackedShots) -> Tensor:
        """Predicted fused vectors of the masked shots, in their order, [number of masked shots, E], not normalised."""
        layout = self.layout(batch)
        masked_at = layout.shot_N[batch.is_masked_N]
        return self.decode(self._last(batch, layout).index_select(0, masked_at))

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def layout(self, batch: PackedShots) -> Layout:
        """Where the batch's tokens stand, and the attention backend (`Layout.backend`) that serves them.

        Raises:
            MediaFMError: a sequence is longer than the table of learned positions.
        """
        if self.positions is not None and max(batch.num_shots) > self.config.max_shots:
            raise MediaFMError(
                f"a sequence of {max(batch.num_shots)} shots",
                rule=f"learned positions reach {self.config.max_shots} shots",
                where="packed shots",
                remedy="Read the title in windows, as `mediafm.model.export` does.",
            )
        device = batch.fused_NE.device
        backend = self.attention or self._chosen_backend(device)
        return layout_of(batch.num_shots, device, backend, has_blind=self.config.num_blind_blocks > 0)

    def compile_blocks(self, **options: Any) -> None:
        """`torch.compile` of each block, in place, for any number of tokens; names of weights stay as they are.

        Block by block, since all are alike and one compilation serves them; what differs from batch to batch in kind
        (the layout, and on a CPU the buckets) stays outside. `options` go to `torch.compile`.
        """
        for block in self.blocks:
            block.compile(dynamic=True, **options)

    def _chosen_backend(self, device: torch.device) -> Backend:
        is_autocast = torch.is_autocast_enabled(device.type)
        dtype = torch.get_autocast_dtype(device.type) if is_autocast else self.mask_token.dtype
        return choose_backend(device.type, dtype, self.config.head_dim, has_varlen=has_varlen_kernel(device))

    def _layers(self, batch: PackedShots, layout: Layout) -> list[Tensor]:
        x_TD, rotary = self._embed(batch, layout), self._rotary(layout)
        found = [x_TD]
        for block in self.blocks:
            x_TD = block(x_TD, layout, rotary)
            found.append(x_TD)
        return found

    def _last(self, batch: PackedShots, layout: Layout) -> Tensor:
        x_TD, rotary = self._embed(batch, layout), self._rotary(layout)
        for block in self.blocks:
            x_TD = block(x_TD, layout, rotary)
        return x_TD

    def _rotary(self, layout: Layout) -> tuple[Tensor, Tensor] | None:
        if self.config.positions != "rotary":
            return None
        return rotary_table(layout.position_T, self.config.rotary_dim, self.config.rotary_base)

    def _embed(self, batch: PackedShots, layout: Layout) -> Tensor:
        """The tokens that the first block reads, [T, D]."""
        # Under autocast the residual stream stays in the parameters' own precision.
        dtype = self.mask_token.dtype
        shots_ND = self.project_shot(batch.fused_NE.to(dtype) * math.sqrt(self.config.fused_dim)).to(dtype)
        if self.presence is not None:
            shots_ND = shots_ND + (batch.is_present_N3.to(dtype) @ self.presence).to(dtype)
        shots_ND = torch.where(batch.is_masked_N[:, None], self.mask_token, shots_ND)
        if self.positions is not None:
            shots_ND = shots_ND + self.positions[layout.position_T[layout.shot_N]]
        metadata_BD = self.project_metadata(batch.metadata_BM.to(dtype) * math.sqrt(self.config.metadata_dim)).to(dtype)
        metadata_BD = torch.where(batch.has_metadata_B[:, None], metadata_BD, self.no_metadata)
        x_TD = shots_ND.new_zeros(len(layout.position_T), self.config.hidden_dim)
        x_TD = x_TD.index_copy(0, layout.shot_N, shots_ND)
        x_TD = x_TD.index_copy(0, layout.cls_B, self.cls_token.expand(len(layout.cls_B), -1))
        return x_TD.index_copy(0, layout.global_B, self.global_token + metadata_BD)


def build(config: ModelConfig, seed: int, head_bias_E: Tensor | None = None) -> MediaFM:
    """A model with first weights drawn from `seed`; the global generator is not touched."""
    model = MediaFM(config)
    model.initialise(torch.Generator().manual_seed(seed), head_bias_E)
    return model


def num_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
