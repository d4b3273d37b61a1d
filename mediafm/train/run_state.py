"""What a run is between two steps, and its files: a run that was stopped goes on from the last of them.

    <folder>/<steps taken>-<sha256>.safetensors

One file is one state: tensors, and JSON in the header. It appears whole, its name holds the hash of its bytes, and the
one before it is kept, so that a kill or a torn disk costs the steps since, and no more. Nothing that is loaded may run
code.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from mediafm.data.sampler import SamplerState
from mediafm.errors import IntegrityError
from mediafm.train.trainer import TrainState
from mediafm.types import Json

FORMAT_VERSION = 3
NUM_KEPT = 2
_HEADER_KEY = "mediafm_run"
_FILE_NAME = re.compile(r"(\d{9})-([0-9a-f]{64})\.safetensors")


@dataclass(frozen=True, eq=False, kw_only=True)
class RunState:
    """A run between two steps.

    present: the weights, optimizers and sampler as they stand.
    best: those of the best validation loss so far.
    memory: everything else that the loop remembers, as JSON; infinity stands as None.
    """

    present: TrainState
    best: TrainState
    memory: Mapping[str, Json]

    @property
    def num_steps(self) -> int:
        """Steps that the run had taken."""
        return int(str(self.memory["num_steps"]))


class RunFolder:
    """The states of one run: one manifest, one configuration, one device.

    Args:
        path: made when the first state is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, state: RunState) -> None:
        """Writes a state and forgets all but the last two."""
        data = _to_bytes(state)
        name = f"{state.num_steps:09d}-{hashlib.sha256(data).hexdigest()}.safetensors"
        self.path.mkdir(parents=True, exist_ok=True)
        beside = self.path / f".{name}.part"
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path / name)
        for old in self._files()[:-NUM_KEPT]:
            old.unlink(missing_ok=True)

    def load(self) -> RunState | None:
        """The last whole state; None if there is none. A damaged one is removed, and the one before it taken."""
        for file in reversed(self._files()):
            try:
                return _from_bytes(file)
            except IntegrityError:
                file.unlink(missing_ok=True)
        return None

    def last(self) -> Path | None:
        """The file of the last state; None if there is none."""
        return next(reversed(self._files()), None)

    def clear(self) -> None:
        """Forgets the run: it has come to its end."""
        if self.path.is_dir():
            for file in self.path.iterdir():
                file.unlink(missing_ok=True)
            if not any(self.path.iterdir()):
                self.path.rmdir()

    def _files(self) -> list[Path]:
        """The states by steps taken."""
        found = self.path.iterdir() if self.path.is_dir() else ()
        return sorted(file for file in found if _FILE_NAME.fullmatch(file.name))


def finite_or_none(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None


def _to_bytes(state: RunState) -> bytes:
    tensors: dict[str, torch.Tensor] = {}
    header: dict[str, Json] = {"format_version": FORMAT_VERSION, "memory": dict(state.memory)}
    for name, one in (("present", state.present), ("best", state.best)):
        tensors |= {f"{name}.weights.{key}": tensor for key, tensor in one.weights.items()}
        tensors |= {f"{name}.extra.{key}": tensor for key, tensor in one.extra.items()}
        header[name] = {
            "step": one.step,
            "sampler": asdict(one.sampler),
            "optimizers": [
                _without_tensors(member, f"{name}.optimizers.{number}", tensors)
                for number, member in enumerate(one.optimizers)
            ],
        }
    # Copies of their own: safetensors refuses memory that two names share.
    whole = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
    return save_tensors(whole, metadata={_HEADER_KEY: json.dumps(header, sort_keys=True, allow_nan=False)})


def _without_tensors(value: Any, place: str, tensors: dict[str, torch.Tensor]) -> Any:
    """An optimizer's state as JSON, its tensors put into `tensors` and named by their place."""
    if isinstance(value, torch.Tensor):
        tensors[place] = value
        return {"tensor": place}
    if isinstance(value, dict):
        return {"items": [[key, _without_tensors(item, f"{place}.{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        parts = [_without_tensors(item, f"{place}.{number}", tensors) for number, item in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": parts}
    return {"value": value}


def _with_tensors(value: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Any:
    """The inverse of `_without_tensors`."""
    ((kind, held),) = value.items()
    if kind == "tensor":
        return tensors[held]
    if kind == "items":
        return {key: _with_tensors(item, tensors) for key, item in held}
    if kind in ("list", "tuple"):
        parts = [_with_tensors(item, tensors) for item in held]
        return tuple(parts) if kind == "tuple" else parts
    return held


def _from_bytes(file: Path) -> RunState:
    """Raises `IntegrityError`: the bytes are not those that were written."""
    data = file.read_bytes()
    named = _FILE_NAME.fullmatch(file.name)
    if named is None or hashlib.sha256(data).hexdigest() != named[2]:
        raise IntegrityError("a state whose bytes changed", rule="its name holds their hash", where=str(file))
    try:
        tensors = load_tensors(data)
        size = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][_HEADER_KEY])
    except (SafetensorError, ValueError, KeyError) as error:
        raise IntegrityError(str(error), rule="a state is what a run wrote", where=str(file)) from error
    if header["format_version"] != FORMAT_VERSION:
        raise IntegrityError(f"format {header['format_version']}", rule=f"this code reads {FORMAT_VERSION}")
    present, best = (_train_state(name, header[name], tensors) for name in ("present", "best"))
    return RunState(present=present, best=best, memory=header["memory"])


def _train_state(name: str, parts: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> TrainState:
    def under(prefix: str) -> dict[str, torch.Tensor]:
        return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}

    return TrainState(
        step=parts["step"],
        weights=under(f"{name}.weights."),
        optimizers=[_with_tensors(member, tensors) for member in parts["optimizers"]],
        sampler=SamplerState(**parts["sampler"]),
        extra=under(f"{name}.extra."),
    )
