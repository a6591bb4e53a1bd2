"""Bandwidth that transfers share equally, for simulations: exact, and quick with thousands of them."""

import heapq
from collections.abc import Callable
from typing import Protocol


class Holder(Protocol):
    """Whose transfers they are; a new `life` makes those of the old one void."""

    life: int
    transfers: int


class Link:
    """Transfers that share bandwidth equally, each at most `most` bytes a second.

    All have the same rate at any time, so they end in the order of the bytes that each had to wait for:
    `moved` counts what a transfer that was always there would have got.
    """

    def __init__(self, total: float, most: float) -> None:
        self.total, self.most = total, most
        self.moved = self.time = self.full_s = 0.0
        self.active = 0
        self.ends: list[tuple[float, int, Holder, int, Callable[[], None]]] = []

    def rate(self) -> float:
        return min(self.most, self.total / self.active) if self.active else self.most

    def advance(self, now: float) -> None:
        if self.active:
            self.moved += (now - self.time) * self.rate()
            self.full_s += (now - self.time) * (self.active * self.most >= self.total)
        self.time = now

    def begin(self, n_bytes: float, seat: Holder, order: int, then: Callable[[], None]) -> None:
        self.active += 1
        seat.transfers += 1
        heapq.heappush(self.ends, (self.moved + n_bytes, order, seat, seat.life, then))

    def give_up(self, seat: Holder) -> None:
        """The transfers of a seat that is lost; their entries stay until they would have ended."""
        self.active -= seat.transfers
        seat.transfers = 0

    def next_end(self) -> float:
        while self.ends and self.ends[0][2].life != self.ends[0][3]:
            heapq.heappop(self.ends)
        return self.time + max(0.0, self.ends[0][0] - self.moved) / self.rate() if self.ends else float("inf")

    def end(self) -> None:
        _, _, seat, _, then = heapq.heappop(self.ends)
        self.active -= 1
        seat.transfers -= 1
        then()
