"""Queries in words against pictures: the text tower of a model of pictures and texts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mediafm.encoders.hf_text_tokenizer import load_tokenizer, sound_text
from mediafm.encoders.hf_video_towers import Tower
from mediafm.encoders.pretrained import Pretrained, load_network


class TextTower:
    """Reads queries, with the checkpoint's own tokenizer. Loaded when made.

    SigLIP's towers were trained on lower-case texts padded to one length, and attend to the padding: no mask is given.
    """

    def __init__(self, tower: Tower, pretrained: Pretrained, device: str, dtype: str) -> None:
        import transformers

        assert tower.family.text_class is not None
        self._pads = tower.family.pads_queries
        self._max_tokens = int(tower.text_config.max_position_embeddings)
        self._tokenizer = load_tokenizer(pretrained)
        self._device = device
        self.network = load_network(
            getattr(transformers, tower.family.text_class),
            pretrained,
            device,
            dtype,
            config=tower.text_config,
            attn_implementation="sdpa",
        )

    def encode(self, text: str) -> NDArray[np.float32]:
        """The query's vector, of length one: float32 [width]. What is longer than the tower's context is cut."""
        import torch

        sound = sound_text(text)
        tokens = self._tokenizer(
            [sound.lower() if self._pads else sound],
            padding="max_length" if self._pads else True,
            padding_side="right",
            truncation=True,
            max_length=self._max_tokens,
            return_tensors="pt",
        ).to(self._device)
        with torch.inference_mode():
            returned = self.network(**({"input_ids": tokens["input_ids"]} if self._pads else tokens))
            vector = returned.pooler_output if self._pads else returned.text_embeds
            unit = torch.nn.functional.normalize(vector[0].to(torch.float32), dim=0)
        return np.asarray(unit.cpu().numpy(), np.float32)
