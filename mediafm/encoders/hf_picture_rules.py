"""How a published network wants its pictures, as its image processor's file says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from mediafm.encoders.pretrained import Pretrained
from mediafm.errors import ConfigError
from mediafm.types import Json

Fit = Literal["stretch", "short_side", "patches"]

RESAMPLING = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, as the files hold them, and what torch calls them."""
BILINEAR_KINDS = frozenset({"ViTImageProcessor", "Siglip2ImageProcessor", "DINOv3ViTImageProcessor"})
"""Processors that resample bilinearly where their file does not say; the others bicubically."""
SHORT_SIDE_KINDS = frozenset({"CLIPImageProcessor", "ConvNextImageProcessor", "BitImageProcessor"})
"""Processors for which a size of one number means the short side; for the others a square."""
CROPPING_KINDS = frozenset({"CLIPImageProcessor", "BitImageProcessor"})
CONVNEXT_WARPS_FROM_PX = 384
"""ConvNeXt's processor stretches to a square from this size on, and crops below it."""


@dataclass(frozen=True, slots=True)
class PictureRules:
    """What is done to a frame before the network sees it.

    fit: "stretch" to `size_px`; its "short_side" to the first of `size_px`, and the middle cropped; or, keeping the
        aspect, to at most `max_patches` squares of `size_px` ("patches").
    size_px: height and width that the fit speaks of.
    crop_px: height and width cut out of the middle; None is no crop.
    resample: "bilinear" or "bicubic", with antialiasing.
    scale, mean, std: a level is multiplied by `scale`, less `mean`, over `std` (each for red, green, blue).
    """

    fit: Fit
    size_px: tuple[int, int]
    crop_px: tuple[int, int] | None
    resample: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    max_patches: int = 0

    def as_json(self) -> dict[str, Json]:
        """As the spec says it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def resized_px(self, height: int, width: int) -> tuple[int, int]:
        """The height and width that a frame is resized to."""
        if self.fit == "stretch":
            return self.size_px
        if self.fit == "patches":
            return patch_grid_px(height, width, self.size_px[0], self.max_patches)
        short = self.size_px[0]
        long = int(short * max(height, width) / min(height, width))
        return (long, short) if width <= height else (short, long)

    def final_px(self, height: int, width: int) -> tuple[int, int]:
        """The height and width that the network sees of a frame."""
        return self.crop_px or self.resized_px(height, width)


def patch_grid_px(height: int, width: int, patch_px: int, max_patches: int) -> tuple[int, int]:
    """The largest height and width in whole patches, of about this aspect, with at most `max_patches`.

    The scale is bisected between the same bounds as SigLIP 2's processor does, so that no frame gets another grid.
    """

    def scaled(scale: float) -> tuple[int, int]:
        rows, columns = (max(1, int(np.ceil(side * scale / patch_px))) for side in (height, width))
        return rows, columns

    low, high = 1e-6, 100.0
    while high - low >= 1e-5:
        middle = (low + high) / 2
        rows, columns = scaled(middle)
        low, high = (middle, high) if rows * columns <= max_patches else (low, middle)
    rows, columns = scaled(low)
    return rows * patch_px, columns * patch_px


def read_rules(pretrained: Pretrained) -> PictureRules:
    """The rules of a checkpoint's `preprocessor_config.json` (or of the image processor in `processor_config.json`).

    Raises:
        ConfigError: there is no such file, it lacks what cannot be guessed, or it asks for what we do not do.
    """
    values = _processor_file(pretrained)
    kind = _kind(values)
    absent = [name for name in ("image_mean", "image_std") if not values.get(name)]
    if "size" not in values and kind != "Siglip2ImageProcessor":
        absent.append("size")
    if absent:
        raise _refusal(pretrained, f"no {', '.join(absent)}", "the file says how pictures are resized and normalised")
    for flag in ("do_resize", "do_rescale", "do_normalize"):
        if values.get(flag) is False:
            raise _refusal(pretrained, f"{flag} = false", "frames of any size are resized, rescaled and normalised")
    resample = values.get("resample", 2 if kind in BILINEAR_KINDS else 3)
    if resample not in RESAMPLING:
        raise _refusal(pretrained, f"resample = {resample}", "pictures are resampled by 2 (bilinear) or 3 (bicubic)")
    fit, size_px, crop_px = _geometry(values, kind, pretrained)
    return PictureRules(
        fit=fit,
        size_px=size_px,
        crop_px=crop_px,
        resample=RESAMPLING[resample],
        scale=float(values.get("rescale_factor") or 1 / 255),
        mean=_colours(values["image_mean"]),
        std=_colours(values["image_std"]),
        max_patches=int(values.get("max_num_patches") or 256) if fit == "patches" else 0,
    )


def _processor_file(pretrained: Pretrained) -> Mapping[str, Any]:
    found = pretrained.json_file("preprocessor_config.json")
    if found is None:
        whole = pretrained.json_file("processor_config.json") or {}
        found = whole.get("image_processor")
    if not found:
        raise _refusal(
            pretrained,
            "no preprocessor_config.json",
            "a network's pictures are prepared as in its training",
            "Put the file of the model beside its config.json: a wrong guess would spoil every vector in silence.",
        )
    return found


def _kind(values: Mapping[str, Any]) -> str:
    """ "CLIPImageProcessor", whichever generation of names the file is of."""
    name = str(values.get("image_processor_type") or values.get("feature_extractor_type") or "")
    return name.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")


def _geometry(
    values: Mapping[str, Any], kind: str, pretrained: Pretrained
) -> tuple[Fit, tuple[int, int], tuple[int, int] | None]:
    """The fit, its size and the crop."""
    if kind == "Siglip2ImageProcessor":
        patch = int(values.get("patch_size") or 16)
        return "patches", (patch, patch), None
    size = values["size"]
    if isinstance(size, int):
        size = {"shortest_edge": size} if kind in SHORT_SIDE_KINDS else {"height": size, "width": size}
    if kind == "ConvNextImageProcessor" and set(size) == {"shortest_edge"}:
        return _convnext_geometry(size["shortest_edge"], values)
    crop = _crop_px(values, kind, size)
    if set(size) == {"height", "width"}:
        stretched = (int(size["height"]), int(size["width"]))
        _refuse_wide_crop(crop, stretched, pretrained)
        return "stretch", stretched, crop
    if set(size) == {"shortest_edge"} and crop is not None:
        short = int(size["shortest_edge"])
        _refuse_wide_crop(crop, (short, short), pretrained)
        return "short_side", (short, short), crop
    raise _refusal(
        pretrained, f"size {dict(size)}, crop {crop}", "all frames become one size: height and width, or a cropped side"
    )


def _crop_px(values: Mapping[str, Any], kind: str, size: Mapping[str, int]) -> tuple[int, int] | None:
    if not values.get("do_center_crop", kind in CROPPING_KINDS):
        return None
    crop = values.get("crop_size") or size
    if isinstance(crop, int):
        return crop, crop
    side = crop.get("shortest_edge", 0)
    return int(crop.get("height", side)), int(crop.get("width", side))


def _convnext_geometry(side: int, values: Mapping[str, Any]) -> tuple[Fit, tuple[int, int], tuple[int, int] | None]:
    if side >= CONVNEXT_WARPS_FROM_PX:
        return "stretch", (side, side), None
    resized = int(side / (values.get("crop_pct") or 224 / 256))
    return "short_side", (resized, resized), (side, side)


def _refuse_wide_crop(crop: tuple[int, int] | None, resized: tuple[int, int], pretrained: Pretrained) -> None:
    if crop is not None and (crop[0] > resized[0] or crop[1] > resized[1]):
        raise _refusal(pretrained, f"a crop of {crop} out of {resized}", "a crop lies within the resized picture")


def _colours(values: Sequence[float] | float) -> tuple[float, float, float]:
    red, green, blue = values if isinstance(values, Sequence) else (values, values, values)
    return float(red), float(green), float(blue)


def _refusal(
    pretrained: Pretrained, seen: str, rule: str, remedy: str = "Choose a model with another image processor."
) -> ConfigError:
    where = f"{pretrained.where}, {pretrained.weights}, preprocessor_config.json"
    return ConfigError(seen, rule=rule, where=where, remedy=remedy)
