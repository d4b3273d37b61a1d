"""The ranks that train together: who this one is, and the few things that they tell each other.

Every rank runs the same loop on the same draws and decides the same; a rank differs only in its share of the windows,
of Muon's matrices and of the evaluation, and in that the first one alone writes. One rank is the same code with nothing
to tell.

Gradients are summed in flat buckets after the last micro-step, instead of wrapping the model in
`DistributedDataParallel`: our models step in fewer milliseconds than overlapping would save, a step has one reduction
however many micro-steps it takes, and a rank without a window or a parameter without a gradient needs no special case.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mediafm.errors import ConfigError, MediaFMError, TrainingError
from mediafm.optim.dealing import deal

TIMEOUT_SECONDS = 600.0
"""A rank that is waited for so long is taken for dead. Errors are told at once; this bounds what tells nothing."""
BUCKET_NUMBERS = 2**24
"""Gradients are summed so many at a time (64 MiB of float32): bounds the copy."""

RANK = "rank "
"""How the place of an error begins that another rank told."""

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranks:
    """This process among those that train together.

    rank: which one, from 0.
    count: how many there are.
    device: where its network lives, and tensors are exchanged.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and reports."""
        return self.rank == 0

    def own(self, items: Sequence[Item], costs: Sequence[float]) -> list[Item]:
        """This rank's share of the items, in their order; the ranks' costs are near equal."""
        return [items[index] for index in deal(costs, self.count)[self.rank]]

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Each parameter's gradient becomes the sum of all ranks'; it stays None if no rank has one."""
        if self.count == 1:
            return
        has = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.int32)
        has = has.to(self.device)
        dist.all_reduce(has)
        summed = [parameter for parameter, count in zip(parameters, has.tolist(), strict=True) if count]
        for bucket in _buckets(summed):
            flat = torch.cat([_gradient(parameter).flatten() for parameter in bucket])
            dist.all_reduce(flat)
            for parameter, values in zip(bucket, torch.split(flat, [one.numel() for one in bucket]), strict=True):
                parameter.grad = values.view_as(parameter)

    def of_first(self, value: float) -> float:
        """The first rank's number: for what a clock decides."""
        if self.count == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(told, src=0)
        return float(told)

    def gather(self, own: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """Every rank's flat tensor, by rank; `sizes` says how long each is."""
        longest = max(sizes)
        if self.count == 1 or longest == 0:
            return [own] * self.count
        padded = own.new_zeros(longest, device=self.device)
        padded[: len(own)] = own
        whole = padded.new_empty(longest * self.count)
        dist.all_gather_into_tensor(whole, padded)
        return [part[:size].to(own.device) for part, size in zip(torch.split(whole, longest), sizes, strict=True)]

    def summed(self, work: Callable[[], Mapping[str, float]]) -> dict[str, float]:
        """Does `work` on every rank; by name the sums of the numbers that it gave, the same bits on all.

        Raises:
            Exception: `work` failed here.
            MediaFMError: it failed on another rank; the place says on which.
        """
        if self.count == 1:
            return dict(work())
        try:
            own = json.dumps({"numbers": work()})
        except Exception as error:
            self._texts(json.dumps({"error": error_parts(error)}))
            raise
        sums: dict[str, float] = {}
        for rank, text in enumerate(self._texts(own)):
            told = json.loads(text)
            if "error" in told:
                raise error_from(told["error"], rank)
            for name, number in told["numbers"].items():
                sums[name] = sums.get(name, 0.0) + number
        return sums

    def together(self, work: Callable[[], Item]) -> Item:
        """Does `work` on every rank: all succeed, or all raise as `summed` does."""
        found: list[Item] = []

        def once() -> dict[str, float]:
            found.append(work())
            return {}

        self.summed(once)
        return found[0]

    def copy_buffers(self, module: nn.Module) -> None:
        """The first rank's buffers become every rank's: what was gathered from its share alone."""
        if self.count > 1:
            for _, buffer in sorted(module.named_buffers()):
                told = buffer.to(self.device)
                dist.broadcast(told, src=0)
                buffer.copy_(told)

    def check_same(self, what: str, digest: str) -> None:
        """Raises `TrainingError`: the ranks came to differ in `what`, of which each gives a digest."""
        if self.count == 1:
            return
        found = self._texts(digest)
        if len(set(found)) > 1:
            raise TrainingError(
                "; ".join(f"rank {rank}: {text[:16]}" for rank, text in enumerate(found)),
                rule=f"all ranks have the same {what}",
                where="ranks",
                remedy="Give them the same job, files, torch and processors.",
            )

    def _texts(self, text: str) -> list[str]:
        """Every rank's text, by rank; none is empty."""
        data = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
        lengths = [int(length) for length in self.gather(torch.tensor([len(data)]), [1] * self.count)]
        return [bytes(part.tolist()).decode() for part in self.gather(data, lengths)]


ALONE = Ranks()
"""One rank on the CPU."""


@contextmanager
def joined(device: str, timeout_seconds: float = TIMEOUT_SECONDS, gpu_memory_fraction: float = 1.0) -> Iterator[Ranks]:
    """This process's place among the ranks that `torchrun` started, by its environment; alone without it.

    Ranks on the CPU talk by gloo, on CUDA by NCCL, where rank k of a host has its k-th GPU.

    Args:
        device: a torch device; of "cuda:N" the number counts only for a rank alone.
        timeout_seconds: how long a rank is waited for.
        gpu_memory_fraction: the share of its GPU's memory that this rank may take.

    Raises:
        ConfigError: the host has fewer GPUs than ranks.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Ranks(device=torch.device(device))
        return
    place = _own_device(device, int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"]))
    is_cuda = place.type == "cuda"
    if is_cuda:
        torch.cuda.set_device(place)
        torch.cuda.set_per_process_memory_fraction(gpu_memory_fraction, place)
    dist.init_process_group(
        "nccl" if is_cuda else "gloo",
        timeout=timedelta(seconds=timeout_seconds),
        device_id=place if is_cuda else None,
    )
    yield Ranks(rank=dist.get_rank(), count=count, device=place)
    # Not after an error: leaving a group in good order waits for ranks that may wait for this one.
    dist.destroy_process_group()


def error_parts(error: Exception) -> dict[str, str]:
    """An error as it crosses a process border."""
    if isinstance(error, MediaFMError):
        return error.as_dict()
    seen = f"{type(error).__name__}: {error}"
    return TrainingError(seen, rule="this is a fault of the program", where="training").as_dict()


def error_from(parts: dict[str, str], rank: int) -> MediaFMError:
    """The inverse of `error_parts`; its place begins with the rank whose it was."""
    place = f"{RANK}{rank}: {parts['where']}" if parts["where"] else f"{RANK}{rank}"
    return MediaFMError.from_dict({**parts, "where": place})


def weights_digest(module: nn.Module) -> str:
    """SHA-256 over a module's weights, to compare those of the ranks."""
    found = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _own_device(device: str, local_rank: int, num_local: int) -> torch.device:
    kind = torch.device(device).type
    if kind != "cuda":
        return torch.device(kind)
    if num_local > torch.cuda.device_count():
        raise ConfigError(
            f"{num_local} ranks and {torch.cuda.device_count()} GPUs",
            rule="each rank of a host has a GPU of its own",
            where="training.processes",
            remedy="Ask for as many processes as there are GPUs.",
        )
    return torch.device("cuda", local_rank)


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """The parameters in order, in runs of about `BUCKET_NUMBERS` numbers."""
    run: list[nn.Parameter] = []
    numbers = 0
    for parameter in parameters:
        if run and numbers + parameter.numel() > BUCKET_NUMBERS:
            yield run
            run, numbers = [], 0
        run.append(parameter)
        numbers += parameter.numel()
    if run:
        yield run
