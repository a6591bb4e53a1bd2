"""Examples for every step, prepared by other threads while the network learns from the ones before."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from stemwise.data.dataset import Batch, BatchSource, step_rng
from stemwise.train.config import TrainConfig
from stemwise.train.distributed import Processes
from stemwise.train.objective import Objective


@dataclass(frozen=True, slots=True)
class Example:
    """What one pass learns from.

    Attributes:
        mixture: `(batch, channels, …)`: see `stemwise.train.objective`.
        targets: `(batch, stems, channels, …)`.
        known: `(batch, stems)`, 1 where the target is true, 0 where it is unknown.
    """

    mixture: Tensor
    targets: Tensor
    known: Tensor


def examples(
    data: BatchSource, config: TrainConfig, objective: Objective, process: Processes, *, first_step: int
) -> Iterator[list[Example]]:
    """For every step still to make, the examples of its passes, in order whatever the number of threads.

    Unit `u` of step `n` is drawn from (seed, n, u) alone. The units of a step are dealt out to the processes,
    so two processes with one pass each hear what one process with two passes hears.
    """
    n_passes, n_threads = config.optimizer.accumulation, config.hardware.loader_threads

    def prepare(step: int) -> list[Example]:
        units = range(process.rank, process.count * n_passes, process.count)
        return [example(data, config, objective, process.device, step, unit) for unit in units]

    # one processor core each: the network's own threads need the others more
    with ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting: deque[Future[list[Example]]] = deque()
        steps = iter(range(first_step, config.steps))
        try:
            for step in steps:
                waiting.append(pool.submit(prepare, step))
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def example(
    data: BatchSource, config: TrainConfig, objective: Objective, device: torch.device, step: int, unit: int
) -> Example:
    rng = step_rng(config.seed, step, unit)
    batch = data.batch(config.batch_size, rng)
    there = Batch(**{field.name: getattr(batch, field.name).to(device) for field in fields(Batch)})
    mixture, targets = objective.prepare(there, rng)
    return Example(mixture, targets, there.known)
