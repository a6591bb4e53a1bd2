from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stemwise.train.distributed import Processes
from stemwise.train.loader import Example, examples
from stemwise.train.objective import build_objective
from stemwise.train.sources import load_sources
from stemwise.train.state import TrainState
from training import tiny_run

CPU = torch.device("cpu")


def drawn(place: Path, *, rank: int = 0, count: int = 1, first: int = 0, **hardware: Any) -> list[Any]:
    """The examples of every step from `first` on, with two passes in all."""
    config = tiny_run(place, optimizer={"accumulation": 2 // count}, hardware=hardware)
    objective = build_objective(TrainState.fresh(config).network, config, precision="float32")
    process = Processes(rank, count, CPU)
    return list(examples(load_sources(config).excerpts, config, objective, process, first_step=first))


def equal(one: Example, two: Example) -> bool:
    return one.mixture.equal(two.mixture) and one.targets.equal(two.targets) and one.known.equal(two.known)


def test_every_step_and_every_pass_hears_something_else(tmp_path: Path) -> None:
    steps = drawn(tmp_path)
    assert [len(parts) for parts in steps] == [2, 2, 2, 2]
    flat = [part for parts in steps for part in parts]
    assert not any(equal(a, b) for i, a in enumerate(flat) for b in flat[:i])


def test_a_step_hears_the_same_wherever_it_is_prepared(tmp_path: Path) -> None:
    """In three threads, from the middle on, and in two processes with a pass each."""
    steps = drawn(tmp_path)
    for again, expected in (
        (drawn(tmp_path, loader_threads=3), steps),
        (drawn(tmp_path, first=2), steps[2:]),
    ):
        for parts, others in zip(again, expected, strict=True):
            assert all(equal(a, b) for a, b in zip(parts, others, strict=True))
    ranks = [drawn(tmp_path, rank=rank, count=2) for rank in range(2)]
    for (first,), (second,), both in zip(*ranks, steps, strict=True):
        assert equal(first, both[0])
        assert equal(second, both[1])


def test_what_fails_in_a_thread_fails_the_run(tmp_path: Path) -> None:
    config = replace(tiny_run(tmp_path), batch_size=2)
    objective = build_objective(TrainState.fresh(config).network, config, precision="float32")
    data = load_sources(config).excerpts
    data.songs = {}
    with pytest.raises(KeyError):
        list(examples(data, config, objective, Processes(0, 1, CPU), first_step=0))
