"""hf-video: a shot's stored frames through a published vision tower, and the mean over time.

What Netflix calls SeqCLIP is a CLIP-like model over a shot's frames, its weights unpublished; here stands any CLIP,
SigLIP, SigLIP 2, ViT, DINO or convolutional network that transformers knows. Frames of all shots and titles fill
the same batches, and a shot's vector is pooled from its own frames alone.

Each frame's vector is brought to unit length before the mean, so that frames count alike (our choice, and a setting):
these towers are trained on directions, and the lengths of their vectors say little.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mediafm.config import Section
from mediafm.encoders.encoder import EncoderSpec, ShotFrames
from mediafm.encoders.hf_picture_rules import read_rules
from mediafm.encoders.hf_video_queries import TextTower
from mediafm.encoders.hf_video_towers import LoadedTower, Output, find_tower, load_tower
from mediafm.encoders.host import EncoderHost
from mediafm.encoders.pieces import Piece, PieceEncoder, PieceVectors
from mediafm.encoders.pretrained import describe
from mediafm.errors import ConfigError
from mediafm.types import Modality

if TYPE_CHECKING:
    from mediafm.encoders.hf_pictures import DevicePictures

NAME = "hf-video"
STEP_VERSION = 1
BATCH_FRAMES_CPU = 16
BATCH_FRAMES_GPU = 256


class HfVideoSettings(Section):
    """Which vision tower, and how its vectors become a shot's.

    weights: a hub id ("google/siglip2-base-patch16-224") or a folder.
    revision: of a hub id: a commit, tag or branch.
    output: "projected", the vector that is compared with texts (CLIP's projection, SigLIP's pooling head); or "trunk",
        what the tower holds before it (CLIP's and a ViT's class token, the mean of SigLIP's patches, a convolutional
        network's pooled features).
    normalise_frames: each frame's vector has unit length before the mean over time.
    licence: of the weights, as an SPDX identifier; their files do not tell.
    dtype: of weights and activations; the vectors are float32 always.
    batch_frames: frames in one batch; it moves no vector. None is 16 on a CPU, 256 elsewhere.
    """

    weights: Annotated[str, Field(min_length=1)]
    revision: str | None = None
    licence: Annotated[str, Field(min_length=1)] = "LicenseRef-unknown"
    output: Output = "projected"
    normalise_frames: bool = True
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_frames: Annotated[int, Field(ge=1, le=4096)] | None = None


class HfVideo(PieceEncoder[ShotFrames]):
    """A frame is a piece; pieces that the network sees at one size share a batch, whatever their own size."""

    def __init__(self, settings: HfVideoSettings, host: EncoderHost | None = None) -> None:
        self.settings = settings
        self.host = host or EncoderHost()
        self.pretrained = describe(settings.weights, settings.revision, f"encoder {NAME}")
        self.tower = find_tower(self.pretrained, settings.output)
        self.rules = read_rules(self.pretrained)
        self._check_size()
        on_cpu = self.host.device == "cpu"
        self.batch_frames = settings.batch_frames or (BATCH_FRAMES_CPU if on_cpu else BATCH_FRAMES_GPU)
        self.spec = EncoderSpec(
            name=NAME,
            modality=Modality.VIDEO,
            width=self.tower.width,
            step_version=STEP_VERSION,
            revision=self.pretrained.revision,
            licence=settings.licence,
            settings={
                **self.pretrained.as_json(),
                **settings.model_dump(mode="json", include={"output", "normalise_frames", "dtype"}),
                "pictures": self.rules.as_json(),
            },
        )
        self._loaded: LoadedTower | None = None
        self._pictures: DevicePictures | None = None
        self._queries: TextTower | None = None

    @property
    def reads_queries(self) -> bool:
        """Whether `encode_query` has a text tower whose vectors can be compared with these."""
        return self.settings.output == "projected" and self.tower.text_config is not None

    def encode_query(self, text: str) -> NDArray[np.float32]:
        """The vector of a query in words, float32 [width], of unit length; near the shots that show it.

        The text tower is loaded by the first query, and the vision tower is not.

        Raises:
            ConfigError: the network was not trained on texts, or its projection is not what the shots hold.
        """
        if not self.reads_queries:
            seen = "a trunk's vectors" if self.settings.output == "trunk" else "a model without a text tower"
            raise ConfigError(
                seen,
                rule="a query in words needs a text tower and the projection that it shares with the pictures",
                where=f"encoder {NAME}, {self.settings.weights}",
                remedy='Choose a CLIP, SigLIP or SigLIP 2 model with output = "projected".',
            )
        if self._queries is None:
            self._queries = TextTower(self.tower, self.pretrained, self.host.device, self.settings.dtype)
        vectors: NDArray[np.float32] = self._checked(self._queries.encode(text)[None], 1)
        return np.asarray(vectors[0], np.float32)

    def close(self) -> None:
        self._loaded = self._pictures = self._queries = None

    def _pieces(self, item: ShotFrames) -> Iterator[Piece]:
        for frame in item.frames_rgb:
            yield Piece(self.rules.final_px(*frame.shape[:2]), frame)

    def _capacity(self, bucket: Hashable) -> int:
        return self.batch_frames

    def _encode_pieces(self, bucket: Hashable, contents: Sequence[Any]) -> PieceVectors:
        """Frames of one size are prepared together; the network sees them all at once, and the host waits once."""
        import torch

        network, pictures = self._network()
        by_size: dict[tuple[int, ...], list[int]] = {}
        for place, frame in enumerate(contents):
            by_size.setdefault(frame.shape, []).append(place)
        with torch.inference_mode():
            prepared = [pictures.prepare([contents[place] for place in places]) for places in by_size.values()]
            found = network(torch.cat(prepared)).to(torch.float32)
            if self.settings.normalise_frames:
                found = torch.nn.functional.normalize(found, dim=1)
            rows = found.cpu().numpy()
        vectors = np.empty((len(contents), self.spec.width), np.float32)
        vectors[[place for places in by_size.values() for place in places]] = rows
        return PieceVectors(vectors)

    def _network(self) -> tuple[LoadedTower, DevicePictures]:
        from mediafm.encoders.hf_pictures import DevicePictures

        if self._loaded is None or self._pictures is None:
            self._pictures = DevicePictures(self.rules, self.host.device)
            self._loaded = load_tower(self.tower, self.pretrained, self.host.device, self.settings.dtype)
        return self._loaded, self._pictures

    def _check_size(self) -> None:
        """A tower takes pictures of one size, or patches of one size, or whatever it is given."""
        rules, side = self.rules, self.tower.image_px
        sizes = {rules.final_px(96, 96), rules.final_px(96, 192)}
        if side is not None and sizes != {(side, side)}:
            seen, rule = f"pictures of {sorted(sizes)} px", f"this tower takes ({side}, {side})"
        elif self.tower.patch_px is not None and (rules.fit, rules.size_px[0]) != ("patches", self.tower.patch_px):
            seen, rule = f"{rules.fit} of {rules.size_px} px", f"this tower takes patches of {self.tower.patch_px} px"
        else:
            return
        raise ConfigError(
            seen,
            rule=rule,
            where=f"encoder {NAME}, {self.settings.weights}, preprocessor_config.json",
            remedy="Put the file of this very model there.",
        )
