"""Pictures are prepared as the checkpoint's own image processor does it with Pillow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import transformers

from mediafm.encoders.hf_picture_rules import PictureRules, patch_grid_px, read_rules
from mediafm.encoders.hf_pictures import DevicePictures
from mediafm.encoders.pretrained import LOCAL, Pretrained
from mediafm.errors import ConfigError

COLOURS = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
WIDE_PX = [(384, 682), (384, 512), (384, 384), (383, 915)]
STORED_PX = [*WIDE_PX, (682, 384), (100, 90)]
"""Stored frames have a short side of 384; small ones stay small. Of tall ones Pillow resizes the height first, and
levels that are rounded between two passes differ more."""

PROCESSORS = {
    "clip": transformers.CLIPImageProcessorPil(),
    "clip, wide": transformers.CLIPImageProcessorPil(
        size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}
    ),
    "siglip": transformers.SiglipImageProcessorPil(),
    "siglip, bilinear": transformers.SiglipImageProcessorPil(size={"height": 256, "width": 256}, resample=2),
    "vit": transformers.ViTImageProcessorPil(),
    "convnext, small": transformers.ConvNextImageProcessorPil(size={"shortest_edge": 224}, crop_pct=0.95),
    "convnext, large": transformers.ConvNextImageProcessorPil(size={"shortest_edge": 384}),
    "dinov2": transformers.BitImageProcessorPil(size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}),
}


def _checkpoint(folder: Path, values: Any, name: str = "preprocessor_config.json") -> Pretrained:
    if values is not None:
        (folder / name).write_text(json.dumps(values))
    return Pretrained(weights=str(folder), source=LOCAL, revision="none", small_folder=folder, where="encoder hf-video")


def _picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Blobs, edges and a little noise: smooth areas and sharp ones."""
    draw = np.random.default_rng(seed)
    blobs = cv2.resize(draw.integers(0, 256, (9, 16, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(blobs, (width // 4, height // 4), (width // 2, height // 2), (255, 0, 0), 3)
    return np.clip(blobs.astype(int) + draw.integers(-20, 20, blobs.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size_px", STORED_PX)
@pytest.mark.parametrize("name", PROCESSORS)
def test_pixels_are_those_of_the_checkpoints_own_processor(name: str, size_px: tuple[int, int], tmp_path: Path) -> None:
    processor = PROCESSORS[name]
    processor.save_pretrained(tmp_path)
    rules = read_rules(_checkpoint(tmp_path, None))
    frame = _picture(*size_px)
    expected = processor(frame, return_tensors="pt").pixel_values[0].numpy()
    found = DevicePictures(rules, "cpu").prepare([frame])[0].numpy()
    assert found.shape == expected.shape
    levels = np.abs(found - expected) * np.asarray(rules.std)[:, None, None] / rules.scale
    assert levels.max() < (1.01 if size_px in WIDE_PX else 4.01)
    assert levels.mean() < (0.02 if size_px in WIDE_PX else 0.25)


@pytest.mark.parametrize("size_px", STORED_PX)
def test_patches_are_those_of_siglip2s_own_processor(size_px: tuple[int, int], tmp_path: Path) -> None:
    processor = transformers.Siglip2ImageProcessorPil()
    processor.save_pretrained(tmp_path)
    rules = read_rules(_checkpoint(tmp_path, None))
    frame = _picture(*size_px)
    theirs = processor(frame, return_tensors="pt")
    rows, columns = theirs["spatial_shapes"][0].tolist()
    assert rules.final_px(*size_px) == (rows * 16, columns * 16)
    pixels = DevicePictures(rules, "cpu").prepare([frame])[0].reshape(3, rows, 16, columns, 16).permute(1, 3, 2, 4, 0)
    expected = theirs["pixel_values"][0, : rows * columns]
    assert (pixels.reshape(rows * columns, -1) - expected).abs().max() < 1.01 / 127.5


def test_another_device_gives_the_same_levels_within_one() -> None:
    rules = PictureRules("short_side", (64, 64), (64, 64), "bicubic", 1 / 255, (0.5,) * 3, (0.5,) * 3)
    stacked = torch.from_numpy(np.stack([_picture(96, 170, seed) for seed in range(4)])).permute(0, 3, 1, 2)
    by_integers = DevicePictures(rules, "cpu")._resized(stacked).to(torch.float32)
    elsewhere = DevicePictures(rules, "cpu")
    elsewhere.device = torch.device("meta")
    by_floats = elsewhere._resized(stacked)
    assert (by_integers - by_floats).abs().max() <= 1
    assert (by_integers != by_floats).float().mean() < 0.02


def test_frames_of_one_stack_are_prepared_each_for_itself() -> None:
    rules = PictureRules("stretch", (32, 32), None, "bilinear", 1 / 255, (0.5,) * 3, (0.5,) * 3)
    frames = [_picture(50, 70, seed) for seed in range(5)]
    pictures = DevicePictures(rules, "cpu")
    together = pictures.prepare(frames)
    for row, frame in enumerate(frames):
        torch.testing.assert_close(together[row], pictures.prepare([frame])[0], rtol=0, atol=0)


@pytest.mark.parametrize("size_px", [(1, 1), (1, 40_000), (40_000, 1), (7, 3)])
def test_an_extreme_frame_fits_into_memory(size_px: tuple[int, int]) -> None:
    rules = PictureRules("short_side", (224, 224), (224, 224), "bicubic", 1 / 255, (0.5,) * 3, (0.5,) * 3)
    assert DevicePictures(rules, "cpu").prepare([np.full((*size_px, 3), 9, np.uint8)]).shape == (1, 3, 224, 224)


@pytest.mark.parametrize(
    ("values", "fit", "size", "crop", "resample"),
    [
        ({"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224, "resample": 3},
         "short_side", (224, 224), (224, 224), "bicubic"),
        ({"feature_extractor_type": "ViTFeatureExtractor", "size": 224}, "stretch", (224, 224), None, "bilinear"),
        ({"feature_extractor_type": "ConvNextFeatureExtractor", "size": 224, "crop_pct": 0.875, "resample": 3},
         "short_side", (256, 256), (224, 224), "bicubic"),
        ({"image_processor_type": "SiglipImageProcessorFast", "size": {"height": 8, "width": 9}, "resample": 2},
         "stretch", (8, 9), None, "bilinear"),
    ],
)  # fmt: skip
def test_older_files_mean_what_they_meant(
    values: dict[str, Any], fit: str, size: tuple[int, int], crop: tuple[int, int] | None, resample: str, tmp_path: Path
) -> None:
    rules = read_rules(_checkpoint(tmp_path, {**values, **COLOURS}))
    assert (rules.fit, rules.size_px, rules.crop_px, rules.resample) == (fit, size, crop, resample)
    assert rules.scale == pytest.approx(1 / 255)


def test_the_processors_joint_file_is_read_too(tmp_path: Path) -> None:
    inner = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 16, "width": 16}, **COLOURS}
    rules = read_rules(_checkpoint(tmp_path, {"image_processor": inner}, "processor_config.json"))
    assert rules.size_px == (16, 16)


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        (None, "no preprocessor_config.json"),
        ({"image_processor_type": "CLIPImageProcessor"}, "no image_mean, image_std, size"),
        ({"size": {"height": 8, "width": 8}, **COLOURS, "resample": 1}, "resample = 1"),
        ({"size": {"height": 8, "width": 8}, **COLOURS, "do_normalize": False}, "do_normalize = false"),
        ({"size": {"shortest_edge": 8}, **COLOURS}, "size {'shortest_edge': 8}, crop None"),
        ({"size": {"longest_edge": 8}, **COLOURS}, "size {'longest_edge': 8}"),
        (
            {"size": {"shortest_edge": 8}, "crop_size": 9, "do_center_crop": True, **COLOURS},
            r"a crop of \(9, 9\) out of \(8, 8\)",
        ),
    ],
)
def test_what_cannot_be_guessed_or_done_is_refused(values: dict[str, Any] | None, seen: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=seen):
        read_rules(_checkpoint(tmp_path, values))


def test_a_grid_keeps_the_aspect_and_the_bound() -> None:
    for height, width in STORED_PX:
        rows, columns = (side // 16 for side in patch_grid_px(height, width, 16, 256))
        assert rows * columns <= 256
        assert columns / rows == pytest.approx(width / height, rel=0.2)
