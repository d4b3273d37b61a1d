"""hf-text: a local sentence encoder, pooled as its checkpoint declares.

Any encoder of transformers will do; one in the sentence-transformers layout says itself how it pools. A text beyond
the longest input is read in windows of equal length, whose vectors are averaged by their tokens and brought to unit
length if the checkpoint's are (our choice; the usual way is to drop the rest).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mediafm.config import Section
from mediafm.encoders.encoder import EncoderSpec
from mediafm.encoders.hf_text_layout import read_sentence_rules
from mediafm.encoders.hf_text_tokenizer import load_tokenizer
from mediafm.encoders.hf_text_windows import TextWindow, Windower, padded_length
from mediafm.encoders.host import EncoderHost
from mediafm.encoders.pieces import Piece, PieceEncoder, PieceVectors
from mediafm.encoders.pretrained import describe, load_network
from mediafm.types import Modality

if TYPE_CHECKING:
    import torch

NAME = "hf-text"
STEP_VERSION = 1
BATCH_TOKENS_CPU = 1024
BATCH_TOKENS_GPU = 32_768


class HfTextSettings(Section):
    """Which sentence encoder, and what it is told.

    weights: a hub id ("sentence-transformers/all-MiniLM-L6-v2") or a folder.
    revision: of a hub id: a commit, tag or branch.
    licence: of the weights, as an SPDX identifier; their files do not tell.
    prefix: stands before every text, as some encoders want it ("passage: "). None is the checkpoint's default prompt,
        which most do not have.
    dtype: of weights and activations; pooling and vectors are float32 always.
    batch_tokens: tokens in one batch, padding included; it moves no vector. None is 1,024 on a CPU, 32,768 elsewhere.
    """

    weights: Annotated[str, Field(min_length=1)]
    revision: str | None = None
    licence: Annotated[str, Field(min_length=1)] = "LicenseRef-unknown"
    prefix: Annotated[str, Field(max_length=1000)] | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_tokens: Annotated[int, Field(ge=1, le=4_194_304)] | None = None


class HfText(PieceEncoder[str]):
    """A window is a piece; windows of about one length share a batch."""

    def __init__(self, settings: HfTextSettings, host: EncoderHost | None = None) -> None:
        self.settings = settings
        self.host = host or EncoderHost()
        self.pretrained = describe(settings.weights, settings.revision, f"encoder {NAME}")
        self.rules = read_sentence_rules(self.pretrained, settings.prefix)
        on_cpu = self.host.device == "cpu"
        self.batch_tokens = settings.batch_tokens or (BATCH_TOKENS_CPU if on_cpu else BATCH_TOKENS_GPU)
        self.spec = EncoderSpec(
            name=NAME,
            modality=Modality.TEXT,
            width=self.rules.width,
            step_version=STEP_VERSION,
            revision=self.pretrained.revision,
            licence=settings.licence,
            settings={**self.pretrained.as_json(), **self.rules.as_json(), "dtype": settings.dtype},
        )
        self._windower: Windower | None = None
        self._network: Any = None

    def close(self) -> None:
        self._windower = self._network = None

    def _pieces(self, item: str) -> Iterator[Piece]:
        for window in self._loaded_windower().windows(item):
            length = padded_length(len(window.token_ids), self.rules.max_tokens)
            yield Piece(length, window, weight=window.num_own)

    def _capacity(self, bucket: Hashable) -> int:
        assert isinstance(bucket, int)
        return max(1, self.batch_tokens // bucket)

    def _encode_pieces(self, bucket: Hashable, contents: Sequence[Any]) -> PieceVectors:
        import torch

        from mediafm.encoders.hf_text_pooling import pool

        assert isinstance(bucket, int)
        windower, network = self._loaded_windower(), self._loaded_network()
        ids, is_token = _padded(contents, bucket, windower.pad_id)
        with torch.inference_mode():
            ids_BL, is_token_BL = self._uploaded(ids), self._uploaded(is_token)
            hidden_BLW = network(input_ids=ids_BL, attention_mask=is_token_BL.long()).last_hidden_state
            return PieceVectors(pool(hidden_BLW, is_token_BL, self.rules.modes).cpu().numpy())

    def _pooled(self, vectors: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
        mean = super()._pooled(vectors, weights)
        if not self.rules.is_normalised:
            return mean
        return mean / np.float32(max(float(np.linalg.norm(mean)), 1e-12))

    def _uploaded(self, values: NDArray[Any]) -> torch.Tensor:
        import torch

        tensor = torch.from_numpy(values)
        if torch.device(self.host.device).type == "cuda":
            return tensor.pin_memory().to(self.host.device, non_blocking=True)
        return tensor.to(self.host.device)

    def _loaded_windower(self) -> Windower:
        if self._windower is None:
            self._windower = Windower(load_tokenizer(self.pretrained), self.rules, self.pretrained.where)
        return self._windower

    def _loaded_network(self) -> Any:
        """Pooling layers that a checkpoint may lack give no token's vector."""
        if self._network is None:
            from transformers import AutoModel

            self._network = load_network(
                AutoModel, self.pretrained, self.host.device, self.settings.dtype, may_be_absent=("pooler.",)
            )
        return self._network


def _padded(windows: Sequence[TextWindow], length: int, pad_id: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Token numbers [B, length] with the padding behind, and where tokens stand [B, length]."""
    ids = np.full((len(windows), length), pad_id, np.int64)
    is_token = np.zeros(ids.shape, np.bool_)
    for row, window in enumerate(windows):
        ids[row, : len(window.token_ids)] = window.token_ids
        is_token[row, : len(window.token_ids)] = True
    return ids, is_token
