"""Published vision towers by their architecture: which class holds the weights, and which of its outputs is a vector.

Of a model of pictures and texts the picture's half alone is loaded: from its safetensors only those tensors are read.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mediafm.encoders.pretrained import Pretrained, load_network
from mediafm.errors import ConfigError

if TYPE_CHECKING:
    import torch

Output: TypeAlias = Literal["projected", "trunk"]
Reading: TypeAlias = "Callable[[Any], torch.Tensor]"
"""From what a network of transformers returns to a vector a picture, [N, width]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Architectures that are loaded and read alike.

    outputs: for each output that they have, the class of transformers and the reading of what it returns.
    text_class: of the tower that reads queries; None where there is none.
    is_fixed_size: the config's `image_size` is the only one that the tower takes.
    is_convolutional: runs faster with colours last in memory, and has no attention.
    pads_queries: a query is lower-cased and padded to the tower's length, as in its training.
    options: further arguments of `from_pretrained`.
    """

    outputs: Mapping[Output, tuple[str, Reading]]
    text_class: str | None = None
    is_fixed_size: bool = False
    is_convolutional: bool = False
    pads_queries: bool = False
    options: Mapping[str, Any]


def _image_embeds(returned: Any) -> torch.Tensor:
    found: torch.Tensor = returned.image_embeds
    return found


def _pooled(returned: Any) -> torch.Tensor:
    found: torch.Tensor = returned.pooler_output
    return found.flatten(1)


def _first_token(returned: Any) -> torch.Tensor:
    found: torch.Tensor = returned.last_hidden_state
    return found[:, 0]


def _mean_of_tokens(returned: Any) -> torch.Tensor:
    found: torch.Tensor = returned.last_hidden_state
    return found.mean(dim=1)


CLIP = Family(
    outputs={
        "projected": ("CLIPVisionModelWithProjection", _image_embeds),
        "trunk": ("CLIPVisionModel", _pooled),
    },
    text_class="CLIPTextModelWithProjection",
    is_fixed_size=True,
    options={"attn_implementation": "sdpa"},
)
"""https://arxiv.org/abs/2103.00020; the trunk's vector is its class token, normalised."""
SIGLIP = Family(
    outputs={"projected": ("SiglipVisionModel", _pooled), "trunk": ("SiglipVisionModel", _mean_of_tokens)},
    text_class="SiglipTextModel",
    is_fixed_size=True,
    pads_queries=True,
    options={"attn_implementation": "sdpa"},
)
"""https://arxiv.org/abs/2303.15343 and, of fixed size, https://arxiv.org/abs/2502.14786. Attention pools the patches
into the vector that is compared with texts; the trunk's vector is their plain mean (our choice: it has no other)."""
NAFLEX = Family(
    outputs={"projected": ("Siglip2VisionModel", _pooled), "trunk": ("Siglip2VisionModel", _mean_of_tokens)},
    text_class="Siglip2TextModel",
    pads_queries=True,
    options={"attn_implementation": "sdpa"},
)
"""SigLIP 2 that keeps the aspect: the picture comes as patches and the shape of their grid."""
VIT = Family(
    outputs={"trunk": ("AutoModel", _first_token)},
    is_fixed_size=True,
    options={"attn_implementation": "sdpa", "add_pooling_layer": False},
)
DINO = Family(outputs={"trunk": ("AutoModel", _first_token)}, options={"attn_implementation": "sdpa"})
"""The class token after the last norm, for ViT too: its published pooling layers are often untrained or absent."""
CONVOLUTIONAL = Family(outputs={"trunk": ("AutoModel", _pooled)}, is_convolutional=True, options={})

FAMILIES: Mapping[str, Family] = {
    "clip": CLIP,
    "clip_vision_model": CLIP,
    "siglip": SIGLIP,
    "siglip_vision_model": SIGLIP,
    "siglip2": NAFLEX,
    "siglip2_vision_model": NAFLEX,
    "vit": VIT,
    "dinov2": DINO,
    "dinov2_with_registers": DINO,
    "dinov3_vit": DINO,
    "resnet": CONVOLUTIONAL,
    "convnext": CONVOLUTIONAL,
    "convnextv2": CONVOLUTIONAL,
}
"""By the `model_type` of their config.json."""


@dataclass(frozen=True, slots=True)
class Tower:
    """A vision tower that is not loaded yet.

    family: how it is loaded and read.
    output: which of its vectors is asked for.
    width: numbers of that vector.
    config: of the vision tower alone, as transformers reads it.
    text_config: of the tower that reads queries; None where the checkpoint has none.
    """

    family: Family
    output: Output
    width: int
    config: Any
    text_config: Any

    @property
    def image_px(self) -> int | None:
        """The side of the only pictures that it takes; None if it takes others."""
        side = self.config.image_size if self.family.is_fixed_size else None
        return side if isinstance(side, int) else None

    @property
    def patch_px(self) -> int | None:
        """The side of the patches that it is given instead of a picture; None if it is given a picture."""
        return int(self.config.patch_size) if self.family is NAFLEX else None


def find_tower(pretrained: Pretrained, output: Output) -> Tower:
    """The tower of a checkpoint, told from its config.json.

    Raises:
        ConfigError: an architecture that is not known here, or one without this output.
    """
    kind = str(pretrained.config.get("model_type", ""))
    family = FAMILIES.get(kind)
    if family is None:
        raise _refusal(
            pretrained,
            f"model_type {kind!r}",
            f"the vision towers are {', '.join(FAMILIES)}",
            "Choose one of these, or register an encoder of your own.",
        )
    if output not in family.outputs or (output == "projected" and not _has_projection(pretrained)):
        raise _refusal(
            pretrained,
            f'output = "{output}" of {", ".join(pretrained.config.get("architectures") or (kind,))}',
            "only a model of pictures and texts has a projection",
            'Set output = "trunk".',
        )
    vision, text = _configs(pretrained)
    if output == "trunk" and family is not CLIP and hasattr(vision, "vision_use_head"):
        vision.vision_use_head = False
    return Tower(family, output, _width(family, output, vision), vision, text)


def load_tower(tower: Tower, pretrained: Pretrained, device: str, dtype: str) -> LoadedTower:
    """The tower with its weights: from pictures [N, 3, H, W] of any float type to vectors [N, width] of `dtype`.

    Raises:
        EncoderError: weights that it needs are absent.
    """
    import transformers

    class_name, read = tower.family.outputs[tower.output]
    network = load_network(
        getattr(transformers, class_name), pretrained, device, dtype, config=tower.config, **tower.family.options
    )
    return LoadedTower(network, tower.family, read)


class LoadedTower:
    """A vision tower with its weights."""

    def __init__(self, network: Any, family: Family, read: Reading) -> None:
        import torch

        layout = torch.channels_last if family.is_convolutional else torch.contiguous_format
        self.network = network.to(memory_format=layout)
        self._layout = layout
        self._family = family
        self._read = read

    def __call__(self, pictures_NCHW: torch.Tensor) -> torch.Tensor:
        """Vectors [N, width] of pictures [N, 3, H, W]."""
        pictures = pictures_NCHW.to(self.network.dtype).contiguous(memory_format=self._layout)
        if self._family is NAFLEX:
            return self._read(self.network(**_patches(pictures, int(self.network.config.patch_size))))
        return self._read(self.network(pixel_values=pictures))


def _patches(pictures_NCHW: torch.Tensor, patch_px: int) -> dict[str, torch.Tensor]:
    """Pictures as rows of patches [N, patches, patch * patch * 3], none of them padding, and their grid."""
    import torch

    num, _, height, width = pictures_NCHW.shape
    rows, columns = height // patch_px, width // patch_px
    cells = pictures_NCHW.reshape(num, 3, rows, patch_px, columns, patch_px).permute(0, 2, 4, 3, 5, 1)
    flat = cells.reshape(num, rows * columns, -1)
    return {
        "pixel_values": flat,
        "pixel_attention_mask": torch.ones(flat.shape[:2], dtype=torch.int64, device=flat.device),
        "spatial_shapes": torch.tensor([[rows, columns]] * num, dtype=torch.int64),
    }


def _configs(pretrained: Pretrained) -> tuple[Any, Any]:
    """The vision tower's config and the text tower's (None without one), with the projection's width in both."""
    from transformers import AutoConfig

    whole = AutoConfig.from_pretrained(pretrained.small_folder, local_files_only=True)
    if not hasattr(whole, "vision_config"):
        return whole, None
    vision, text = copy.deepcopy(whole.vision_config), copy.deepcopy(whole.text_config)
    if hasattr(whole, "projection_dim"):
        vision.projection_dim = text.projection_dim = whole.projection_dim
    return vision, text


def _has_projection(pretrained: Pretrained) -> bool:
    """Whether its weights hold the projection (CLIP) or the pooling head (SigLIP)."""
    config = pretrained.config
    if "CLIPVisionModel" in (config.get("architectures") or ()):
        return False
    return bool((config.get("vision_config") or config).get("vision_use_head", True))


def _width(family: Family, output: Output, vision: Any) -> int:
    if family is CLIP and output == "projected":
        return int(vision.projection_dim)
    return int(vision.hidden_sizes[-1] if family.is_convolutional else vision.hidden_size)


def _refusal(pretrained: Pretrained, seen: str, rule: str, remedy: str) -> ConfigError:
    return ConfigError(seen, rule=rule, where=f"{pretrained.where}, {pretrained.weights}", remedy=remedy)
