"""A checkpoint: weights as safetensors, and JSON beside them. Loading executes nothing.

The weights file's own header holds all that moves an embedding (architecture, exported blocks, space, manifest), so the
sha256 of its bytes is the checkpoint's identity. `config.json` repeats it and adds what a reader wants to know.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from mediafm.errors import IntegrityError, MediaFMError
from mediafm.fusion import Space
from mediafm.lineage.fingerprint import canonical_json
from mediafm.model.config import ModelConfig
from mediafm.model.mediafm import MediaFM
from mediafm.types import Json

FORMAT_VERSION = 1
WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
_HEADER_KEY = "mediafm"


@dataclass(frozen=True, eq=False, kw_only=True)
class Checkpoint:
    """Weights and what they mean.

    weights: the bytes of `model.safetensors`.
    model: the architecture.
    export_layers: the blocks whose mean is the contextual vector.
    space: `Space.as_json()` of the fused vectors that it reads.
    manifest_sha256: what it was trained on.
    training: the `TrainConfig`, as JSON.
    report: what the run found (skill, layers, environment), as JSON.
    """

    weights: bytes
    model: ModelConfig
    export_layers: tuple[int, ...]
    space: Mapping[str, Json]
    manifest_sha256: str
    training: Mapping[str, Json] = field(default_factory=dict)
    report: Mapping[str, Json] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        """64 hex digits over the weights file: the checkpoint's identity."""
        return hashlib.sha256(self.weights).hexdigest()

    @cached_property
    def space_id(self) -> str:
        return Space.from_json(self.space).space_id

    @property
    def metadata_fields(self) -> tuple[str, ...]:
        """The metadata fields that [GLOBAL] was trained on."""
        return Space.from_json(self.space).metadata_fields

    def load_model(self, device: str = "cpu") -> MediaFM:
        """The network, in evaluation mode.

        Raises:
            IntegrityError: the weights do not fit the architecture.
        """
        model = MediaFM(self.model)
        try:
            model.load_state_dict(load_tensors(self.weights))
        except (RuntimeError, SafetensorError) as error:
            raise IntegrityError(
                str(error).splitlines()[0],
                rule="the weights fit the architecture in config.json",
                where=f"checkpoint {self.sha256}",
            ) from error
        return model.to(device).eval()


def make_checkpoint(
    model: MediaFM,
    export_layers: tuple[int, ...],
    space: Mapping[str, Json],
    manifest_sha256: str,
    training: Mapping[str, Json],
    report: Mapping[str, Json],
) -> Checkpoint:
    """The checkpoint of a trained network; equal arguments give equal bytes."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(model.state_dict().items())}
    header = canonical_json(_identity(model.config, export_layers, space, manifest_sha256))
    return Checkpoint(
        weights=save_tensors(tensors, metadata={_HEADER_KEY: header}),
        model=model.config,
        export_layers=export_layers,
        space=space,
        manifest_sha256=manifest_sha256,
        training=training,
        report=report,
    )


def to_files(checkpoint: Checkpoint) -> dict[str, bytes]:
    """File name -> bytes, for `store/checkpoints/<sha256>/`."""
    config = {
        "sha256": checkpoint.sha256,
        **_identity(checkpoint.model, checkpoint.export_layers, checkpoint.space, checkpoint.manifest_sha256),
        "metadata_fields": list(checkpoint.metadata_fields),
        "training": dict(checkpoint.training),
        "report": dict(checkpoint.report),
    }
    return {WEIGHTS_FILE: checkpoint.weights, CONFIG_FILE: canonical_json(config).encode()}


def from_files(files: Mapping[str, bytes]) -> Checkpoint:
    """The inverse of `to_files`.

    Raises:
        IntegrityError: a file is missing or unreadable, or weights and config do not belong together.
    """
    try:
        weights, config = files[WEIGHTS_FILE], json.loads(files[CONFIG_FILE])
        header = _header(weights)
        checkpoint = Checkpoint(
            weights=weights,
            model=ModelConfig.from_json(config["model"]),
            export_layers=tuple(config["export_layers"]),
            space=config["space"],
            manifest_sha256=config["manifest_sha256"],
            training=config["training"],
            report=config["report"],
        )
        said = {"the config's sha256": config["sha256"], "the weights' header": canonical_json(header)}
    except (KeyError, ValueError, TypeError, MediaFMError) as error:
        raise IntegrityError(
            f"{type(error).__name__} {error}",
            rule=f"a checkpoint is {WEIGHTS_FILE} and {CONFIG_FILE}, both readable",
            where="checkpoint",
            remedy="Fetch it again, or train again.",
        ) from error
    identity = _identity(checkpoint.model, checkpoint.export_layers, checkpoint.space, checkpoint.manifest_sha256)
    found = {"the config's sha256": checkpoint.sha256, "the weights' header": canonical_json(identity)}
    wrong = [name for name in said if said[name] != found[name]]
    if wrong:
        raise IntegrityError(
            f"{' and '.join(wrong)} say otherwise",
            rule="weights and config belong together",
            where=f"checkpoint {checkpoint.sha256}",
            remedy="Fetch it again, or train again.",
        )
    return checkpoint


def from_folder(folder: Path) -> Checkpoint:
    """The checkpoint whose two files lie in `folder`; what else lies there is not looked at. Raises as `from_files`."""
    return from_files(
        {name: (folder / name).read_bytes() for name in (WEIGHTS_FILE, CONFIG_FILE) if (folder / name).is_file()}
    )


def _identity(
    model: ModelConfig, export_layers: tuple[int, ...], space: Mapping[str, Json], manifest_sha256: str
) -> dict[str, Json]:
    return {
        "format_version": FORMAT_VERSION,
        "model": model.as_json(),
        "export_layers": list(export_layers),
        "space": dict(space),
        "manifest_sha256": manifest_sha256,
    }


def _header(weights: bytes) -> Any:
    """The JSON that `make_checkpoint` put into the safetensors header."""
    length = int.from_bytes(weights[:8], "little")
    if length > len(weights):
        raise ValueError("the weights file is cut short")
    return json.loads(json.loads(weights[8 : 8 + length])["__metadata__"][_HEADER_KEY])
