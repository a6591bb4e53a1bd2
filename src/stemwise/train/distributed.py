"""One run in several processes, on one machine or many: `torchrun` starts them, PyTorch's engine joins them.

Each process hears its own excerpts, the gradients are averaged at every step, and so all weights stay the
same. The first process alone writes, listens to the held-out songs and reports. A run that no `torchrun` has
started is one process, and nothing of this is in its way.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from stemwise.device import choose_device
from stemwise.errors import ConfigError, StemwiseError

TIMEOUT = timedelta(minutes=20)  # longer than a validation takes, for which the other processes wait
# what the engines say when another process is gone
LOST = ("closed by peer", "reset by peer", "broken pipe", "timed out", "timeout", "nccl")


class WorkerLost(StemwiseError):
    """Another process of the run has ended or cannot be reached; what was saved last stays."""


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those of the run.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
        device: that this process computes on.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def joined(self, module: nn.Module) -> nn.Module:
        """The module with gradients averaged over all processes, and the first one's batch statistics."""
        return module if self.count == 1 else DistributedDataParallel(module)

    def kept_apart(self, module: nn.Module, is_last: bool) -> AbstractContextManager[None]:
        """For all passes of a step but the last: their gradients are summed here before they are averaged."""
        if isinstance(module, DistributedDataParallel) and not is_last:
            return cast(AbstractContextManager[None], module.no_sync())
        return nullcontext()

    def mean(self, value: float) -> float:
        """The mean over all processes; every process must call it."""
        if self.count == 1:
            return value
        summed = self._tensor(value)
        distributed.all_reduce(summed)
        return summed.item() / self.count

    def any(self, value: bool) -> bool:
        """Whether it is so in any process; every process must call it."""
        return self.mean(float(value)) > 0

    def from_first(self, value: float) -> float:
        """The first process' value; every process must call it."""
        if self.count == 1:
            return value
        told = self._tensor(value)
        distributed.broadcast(told, src=0)
        return told.item()

    def _tensor(self, value: float) -> Tensor:
        return torch.tensor(value, dtype=torch.float32, device=self.device)


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """The processes of this run, from the environment that `torchrun` sets; it ends for all of them together.

    Args:
        device: see `stemwise.device.choose_device`; of several GPUs each process gets its own.

    Raises:
        ConfigError: if the environment is not whole, or the device is not there.
        WorkerLost: if another process is gone.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device)
    if count == 1:
        yield Processes(0, 1, chosen)
        return
    if chosen.type == "cuda":
        chosen = choose_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
        torch.cuda.set_device(chosen)
    try:
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=TIMEOUT)
    except (ValueError, distributed.DistError) as error:
        raise ConfigError(f"WORLD_SIZE is {count}, but the processes cannot be joined: {error}") from error
    try:
        yield Processes(distributed.get_rank(), count, chosen)
        distributed.barrier()  # gloo may abort a process that is still busy when another closes its end
    except RuntimeError as error:
        if not any(sign in str(error).lower() for sign in LOST):
            raise
        raise WorkerLost(
            f"another process of the run is gone ({str(error).splitlines()[0]}): start all of them again"
            " with --resume, and the run goes on from the state saved last"
        ) from error
    finally:
        distributed.destroy_process_group()
