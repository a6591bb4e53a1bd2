"""Two chunks at a time: the same results in the same order, and no trace of it in the caller's threads."""

import threading
import time
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from stemwise.device import N_AT_ONCE, computing, map_ahead


def numbers(n: int, taken: list[int]) -> Iterator[Tensor]:
    for i in range(n):
        taken.append(i)
        yield torch.tensor(float(i))


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_results_come_in_order_and_belong_to_their_items(n: int, n_threads: int) -> None:
    def slower_at_first(x: Tensor) -> Tensor:
        time.sleep(0.02 if x == 0 else 0.001)
        return x * 10

    pairs = [(float(x), float(y)) for x, y in map_ahead(slower_at_first, numbers(n, []), n_threads=n_threads)]
    assert pairs == [(i, 10 * i) for i in range(n)]


def test_no_more_items_are_taken_than_are_worked_on() -> None:
    taken: list[int] = []
    results = map_ahead(torch.neg, numbers(20, taken), n_threads=2)
    next(results)
    assert len(taken) == N_AT_ONCE + 1  # two are worked on, one is at hand


def test_two_run_at_a_time_each_on_its_share_of_the_threads() -> None:
    both = threading.Barrier(N_AT_ONCE, timeout=20)

    def meet(x: Tensor) -> Tensor:
        both.wait()  # nobody gets past who is alone
        return torch.tensor(torch.get_num_threads())

    assert [int(y) for _, y in map_ahead(meet, numbers(4, []), n_threads=6)] == [3] * 4


def test_an_error_reaches_the_caller_and_ends_the_threads() -> None:
    def fail(x: Tensor) -> Tensor:
        raise ValueError(f"item {int(x)}")

    before = threading.active_count()
    with pytest.raises(ValueError, match="item 0"):
        list(map_ahead(fail, numbers(5, []), n_threads=2))
    assert threading.active_count() == before


def test_a_caller_who_stops_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    results = map_ahead(torch.neg, numbers(9, []), n_threads=2)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_computing_gives_threads_and_autograd_back() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with computing():
            assert torch.get_num_threads() == 1
            assert torch.is_inference_mode_enabled()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.get_num_threads() == before
    assert not torch.is_inference_mode_enabled()
