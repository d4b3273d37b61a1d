"""Where networks live: the one place that reads the `device` setting."""

from __future__ import annotations

from mediafm.errors import ConfigError


def resolve_device(device: str, gpu_memory_fraction: float = 1.0) -> str:
    """`device` as torch names it; "auto" is the first GPU if there is one, else the CPU.

    Args:
        gpu_memory_fraction: the share of the GPU's memory that this process may take.

    Raises:
        ConfigError: the device does not exist here.
    """
    if device == "cpu":
        return device
    import torch

    has_cuda = torch.cuda.is_available()
    if device == "auto":
        device = "cuda:0" if has_cuda else "cpu"
    if device == "cpu":
        return device
    if not device.startswith("cuda") or not has_cuda:
        raise ConfigError(
            f"device {device!r}",
            rule="a device is auto, cpu, cuda or cuda:N, and this machine "
            + ("has CUDA" if has_cuda else "has no CUDA device"),
            remedy="Use `--device auto`.",
        )
    try:
        index = torch.device(device).index or 0
        torch.cuda.set_per_process_memory_fraction(gpu_memory_fraction, index)
    except RuntimeError as error:
        raise ConfigError(f"device {device!r}", rule=str(error), remedy="Use `--device auto`.") from error
    return device
