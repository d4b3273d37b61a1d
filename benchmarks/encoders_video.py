"""hf-video and hf-text: how fast a published architecture runs, against one picture or one text in each call.

Weights are random (speed and rounding do not depend on what was learnt), of the shapes of CLIP ViT-B/32
(https://arxiv.org/abs/2103.00020) and of MiniLM-L6 (https://arxiv.org/abs/2002.10957). The rival is the plain way: the
checkpoint's own image processor on Pillow, and the network in float32, called once for each picture.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.row import Row, alternate_seconds, least_cosine_row
from mediafm.encoders.encoder import ShotFrames

SEED = 0
NUM_SHOTS, FRAMES_A_SHOT = 4, 8
FRAME_PX = (682, 384)
"""Width and height of a stored frame of a wide film."""
REPEATS = 3
GOALS_OF_SPEED = {"float32": 1.0, "bfloat16": 2.0}
"""Of the pictures: batches alone may not cost; with half precision, which is compared below, twice the speed."""
GOAL_OF_TEXT_SPEED = 1.5
NAME = "encoders: hf-video, CLIP ViT-B/32"
GOAL_OF_COSINE = 0.999
NUM_TEXTS = 128
LONGEST_WORDS = 40
VOCABULARY = 1000
MINILM = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 12}
VIT_B32 = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "patch_size": 32,
    "image_size": 224,
    "projection_dim": 512,
}

Frame = NDArray[np.uint8]


def rows(catalog: Path | None) -> list[Row]:
    """Pictures and texts a second, and what half precision does to a vector. The catalogue is not read."""
    import torch

    torch.manual_seed(SEED)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder)
        return [*_picture_rows(weights / "vit"), _text_row(weights / "minilm")]


def _picture_rows(weights: Path) -> list[Row]:
    from mediafm.encoders.hf_video import HfVideo, HfVideoSettings

    _save_vit(weights)
    shots = _shots()
    jpegs = [cv2.imencode(".jpg", frame[:, :, ::-1])[1] for shot in shots for frame in shot.frames_rgb]
    rival = OneAtATime(weights)
    found, vectors = [], {}
    for dtype in ("float32", "bfloat16"):
        with HfVideo(HfVideoSettings.model_validate({"weights": str(weights), "dtype": dtype})) as encoder:
            vectors[dtype] = encoder.encode(shots)
            found.append(_speed_row(dtype, "frames in memory", partial(encoder.encode, shots), rival, shots))
            found.append(
                _speed_row(dtype, "from JPEG", partial(_decode_and_encode, encoder.encode, jpegs), rival, shots, jpegs)
            )
    return [
        *found,
        least_cosine_row(f"{NAME}, bfloat16 against float32", vectors["float32"], vectors["bfloat16"], GOAL_OF_COSINE),
    ]


class OneAtATime:
    """The plain way: one picture prepared by Pillow, one call, float32."""

    def __init__(self, weights: Path) -> None:
        import transformers

        self._processor = transformers.CLIPImageProcessorPil.from_pretrained(weights)
        self._network = transformers.CLIPVisionModelWithProjection.from_pretrained(weights).eval()

    def __call__(self, frames: Sequence[Frame]) -> None:
        import torch

        with torch.inference_mode():
            for frame in frames:
                self._network(**self._processor(frame, return_tensors="pt"))


def _speed_row(
    dtype: str,
    what: str,
    ours: Callable[[], object],
    rival: OneAtATime,
    shots: Sequence[ShotFrames],
    jpegs: Sequence[NDArray[Any]] | None = None,
) -> Row:
    frames = [frame for shot in shots for frame in shot.frames_rgb]
    plain = partial(rival, frames) if jpegs is None else lambda: rival([_decoded(jpeg) for jpeg in jpegs])
    seconds, rival_seconds = alternate_seconds(ours, plain, REPEATS)
    return Row(
        name=f"{NAME}, {dtype}, {what}",
        value=len(frames) / seconds,
        unit="pictures/s",
        rival="one picture a call, float32",
        rival_value=len(frames) / rival_seconds,
        goal=GOALS_OF_SPEED[dtype],
        better="higher",
    )


def _text_row(weights: Path) -> Row:
    from mediafm.encoders.hf_text import HfText, HfTextSettings

    _save_minilm(weights)
    texts = _texts()
    with HfText(HfTextSettings(weights=str(weights))) as encoder:
        encoder.encode(texts[:1])
        seconds, rival_seconds = alternate_seconds(
            partial(encoder.encode, texts), lambda: [encoder.encode([text]) for text in texts], REPEATS
        )
    return Row(
        name="encoders: hf-text, MiniLM-L6, texts of 1 to 40 words",
        value=len(texts) / seconds,
        unit="texts/s",
        rival="one text a call",
        rival_value=len(texts) / rival_seconds,
        goal=GOAL_OF_TEXT_SPEED,
        better="higher",
    )


def _shots() -> list[ShotFrames]:
    """Smooth blobs of colour, another picture in each frame."""
    draw = np.random.default_rng(SEED)
    times = tuple(float(place) for place in range(FRAMES_A_SHOT))
    return [ShotFrames(tuple(_blobs(draw) for _ in times), times) for _ in range(NUM_SHOTS)]


def _blobs(draw: np.random.Generator) -> Frame:
    small = draw.integers(0, 256, (9, 16, 3), np.uint8)
    return np.asarray(cv2.resize(small, FRAME_PX, interpolation=cv2.INTER_CUBIC), np.uint8)


def _decoded(jpeg: NDArray[Any]) -> Frame:
    return np.asarray(cv2.cvtColor(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def _decode_and_encode(encode: Callable[[Sequence[ShotFrames]], object], jpegs: Sequence[NDArray[Any]]) -> None:
    times = tuple(float(place) for place in range(FRAMES_A_SHOT))
    frames = [_decoded(jpeg) for jpeg in jpegs]
    encode([ShotFrames(tuple(frames[at : at + len(times)]), times) for at in range(0, len(frames), len(times))])


def _texts() -> list[str]:
    draw = np.random.default_rng(SEED)
    lengths = draw.integers(1, LONGEST_WORDS + 1, NUM_TEXTS)
    return [" ".join(f"w{word}" for word in draw.integers(0, VOCABULARY - 4, length)) for length in lengths]


def _save_vit(folder: Path) -> None:
    import transformers

    network = transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**VIT_B32))
    network.save_pretrained(folder)
    transformers.CLIPImageProcessorPil().save_pretrained(folder)


def _save_minilm(folder: Path) -> None:
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    transformers.BertModel(transformers.BertConfig(**MINILM, vocab_size=VOCABULARY)).save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{number}" for number in range(VOCABULARY - 4))]
    backend = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
