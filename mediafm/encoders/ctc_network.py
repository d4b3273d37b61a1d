"""A CTC network in memory: windows in, the best token of each frame out.

B windows, S samples, T frames, V tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mediafm.encoders.ctc_stream import BestTokens
from mediafm.encoders.pretrained import Pretrained, load_network

MAY_BE_ABSENT = ("wav2vec2.masked_spec_embed", "hubert.masked_spec_embed", "wavlm.masked_spec_embed")
"""Only training masks; many published checkpoints are without it."""


class CtcNetwork:
    """A loaded checkpoint."""

    def __init__(self, pretrained: Pretrained, device: str, dtype: str) -> None:
        """Loads the weights.

        Raises:
            EncoderError: weights are missing among those published: of a head that was never trained, above all.
        """
        from transformers import AutoModelForCTC

        self._device = torch.device(device)
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._network: Any = load_network(AutoModelForCTC, pretrained, device, dtype, may_be_absent=MAY_BE_ABSENT)

    @torch.inference_mode()
    def best_tokens(self, samples: NDArray[np.float32]) -> BestTokens:
        """Of windows of one length, [B, S]: the best token of each frame and its probability."""
        samples_BS = torch.from_numpy(samples).to(self._device, self._dtype)
        logits_BTV = self._network(samples_BS).logits.float()
        best_BT, tokens_BT = logits_BTV.max(dim=-1)
        probabilities_BT = (best_BT - logits_BTV.logsumexp(dim=-1)).exp()
        return BestTokens(tokens_BT.cpu().numpy(), np.asarray(probabilities_BT.cpu().numpy(), np.float32))
