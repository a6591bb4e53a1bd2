"""A batch on many machines, simulated event by event: what `stemwise batch --ray` does, without the sound.

Songs wait in the journal. One driver takes them, one transaction each, for as many seats as there are; every
seat fetches its song, has it separated by its one worker process, and puts the stems into storage, while it
fetches the next one already. Transfers share the storage's bandwidth equally, and none is faster than a
seat's share of its node's network. Seats crash, nodes are lost and come back, some nodes are slow, some songs
are bad, some transfers fail and are tried again. Everything random comes from one seed.

Not simulated: the time to list a catalogue, and that one path through a network is not as good as another.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from links import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What is simulated. Times are seconds, sizes bytes.

    Attributes:
        n_seats: workers, on nodes of `seats_per_node`.
        n_songs: in the catalogue.
        song_s, song_spread: mean length of a song, and standard deviation over mean (gamma distribution).
        input_bytes_per_s, output_bytes_per_s: of sound; of all stems together.
        compute_per_s: time of a seat for a second of sound: decode, separate, encode.
        start_s: of a seat: process, model.
        ahead: songs that a seat fetches beyond the one at work, or still has to send.
        storage_bytes_per_s: of all transfers together.
        seat_bytes_per_s: of each transfer.
        latency_s: of each transfer.
        journal_s: of the driver for one transaction; a song needs two.
        crash_s: mean time between crashes of a seat; a crash costs `start_s` and its songs' work.
        node_loss_s: mean time until a node is lost; `node_back_s`: until another one is there.
        slow_nodes, slowness: share of the nodes that need so many times as long.
        bad_songs: share that fails when it is decoded.
        failing_transfers: share that breaks off half-way; the song is tried again.
        retry_s: after which.
        seed: of everything random.
    """

    n_seats: int
    n_songs: int
    seats_per_node: int = 16
    song_s: float = 240.0
    song_spread: float = 0.35
    input_bytes_per_s: float = 0.0
    output_bytes_per_s: float = 0.0
    compute_per_s: float = 1.0
    start_s: float = 0.0
    ahead: int = 1
    storage_bytes_per_s: float = 1e15
    seat_bytes_per_s: float = 1e15
    latency_s: float = 0.0
    journal_s: float = 0.0
    crash_s: float = float("inf")
    node_loss_s: float = float("inf")
    node_back_s: float = 180.0
    slow_nodes: float = 0.0
    slowness: float = 2.0
    bad_songs: float = 0.0
    failing_transfers: float = 0.0
    retry_s: float = 5.0
    seed: int = 0


@dataclass(slots=True)
class Outcome:
    """What a simulation shows.

    Attributes:
        done, bad: songs that were done, and given up because they are bad; how often each, at most.
        wall_s: until the last song has ended.
        busy: of all seats' time, the share in which they separated something that was kept.
        wasted: likewise, that was lost with a seat.
        driver, network: share of the time in which they were busy (the network: as full as it can be).
        n_crashes, n_nodes_lost, n_interrupted: what happened; songs that had to begin again for it.
        tail_s: from the first time that a seat found nothing to do until the end.
    """

    done: int = 0
    bad: int = 0
    most_often: int = 0
    wall_s: float = 0.0
    busy: float = 0.0
    wasted: float = 0.0
    driver: float = 0.0
    network: float = 0.0
    n_crashes: int = 0
    n_nodes_lost: int = 0
    n_interrupted: int = 0
    tail_s: float = 0.0

    @property
    def songs_per_hour(self) -> float:
        return 3600 * self.done / self.wall_s


@dataclass(slots=True, eq=False)
class _Seat:
    node: int
    slowness: float
    up: bool = True
    life: int = 0  # counts its lives: what an earlier one began is void
    transfers: int = 0
    songs: set[int] = field(default_factory=set)
    ready: deque[int] = field(default_factory=deque)
    at_work: int | None = None
    began: float = 0.0


class Simulation:
    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.out = fleet, Outcome()
        rng = self.rng = np.random.default_rng(fleet.seed)
        shape = 1 / fleet.song_spread**2 if fleet.song_spread else None
        lengths = (
            rng.gamma(shape, fleet.song_s / shape, fleet.n_songs) if shape else [fleet.song_s] * fleet.n_songs
        )
        self.lengths = [float(length) for length in lengths]
        self.is_bad = [bool(bad) for bad in rng.random(fleet.n_songs) < fleet.bad_songs]
        n_nodes = -(-fleet.n_seats // fleet.seats_per_node)
        slow = rng.random(n_nodes) < fleet.slow_nodes
        self.seats = [
            _Seat(k // fleet.seats_per_node, fleet.slowness if slow[k // fleet.seats_per_node] else 1.0)
            for k in range(fleet.n_seats)
        ]
        self.queue: deque[int] = deque(range(fleet.n_songs))
        self.ended = [0] * fleet.n_songs
        self.left = fleet.n_songs
        self.network = Link(fleet.storage_bytes_per_s, fleet.seat_bytes_per_s)
        self.now, self.driver_free, self.driver_s, self.work_s, self.idle_since = 0.0, 0.0, 0.0, 0.0, -1.0
        self.order = itertools.count()
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.hungry: deque[_Seat] = deque()

    def run(self) -> Outcome:
        for seat in self.seats:
            self._after(self.fleet.start_s, lambda seat=seat: self._feed(seat))
            self._doom(seat)
        for node in range(self.seats[-1].node + 1):
            self._doom_node(node)
        while self.left:
            at = self.network.next_end()
            if self.events and self.events[0][0] <= at:
                at, _, event = heapq.heappop(self.events)
                self.now = at
                self.network.advance(at)
                event()
            else:
                self.now = at
                self.network.advance(at)
                self.network.end()
        out, seat_s = self.out, self.fleet.n_seats * self.now
        out.wall_s, out.busy, out.wasted = self.now, self.work_s / seat_s, out.wasted / seat_s
        out.driver, out.network = self.driver_s / self.now, self.network.full_s / self.now
        out.most_often = max(self.ended)
        out.tail_s = self.now - self.idle_since if self.idle_since >= 0 else 0.0
        return out

    def _after(self, delay: float, event: Callable[[], None]) -> None:
        heapq.heappush(self.events, (self.now + delay, next(self.order), event))

    def _transaction(self, then: Callable[[], None]) -> None:
        """The driver does one thing after the other."""
        self.driver_free = max(self.driver_free, self.now) + self.fleet.journal_s
        self.driver_s += self.fleet.journal_s
        self._after(self.driver_free - self.now, then)

    def _transfer(self, n_bytes: float, seat: _Seat, then: Callable[[], None]) -> None:
        life = seat.life

        def start() -> None:
            if seat.life == life:
                self.network.begin(n_bytes, seat, next(self.order), then)

        self._after(self.fleet.latency_s, start)

    def _feed(self, seat: _Seat) -> None:
        """Give a seat songs until it has all that it may have."""
        while seat.up and len(seat.songs) <= self.fleet.ahead:
            if not self.queue:
                if self.idle_since < 0 and not seat.songs:
                    self.idle_since = self.now
                self.hungry.append(seat)
                return
            song, life = self.queue.popleft(), seat.life
            seat.songs.add(song)
            self._transaction(lambda song=song, life=life: seat.life == life and self._fetch(seat, song))

    def _fetch(self, seat: _Seat, song: int) -> None:
        n_bytes = self.lengths[song] * self.fleet.input_bytes_per_s
        if self._breaks():
            self._transfer(n_bytes / 2, seat, lambda: self._again(seat, song))
        else:
            self._transfer(n_bytes, seat, lambda: self._fetched(seat, song))

    def _fetched(self, seat: _Seat, song: int) -> None:
        seat.ready.append(song)
        self._work(seat)

    def _work(self, seat: _Seat) -> None:
        if seat.at_work is not None or not seat.ready:
            return
        song, life = seat.ready.popleft(), seat.life
        seat.at_work, seat.began = song, self.now
        spent = self.lengths[song] * self.fleet.compute_per_s * seat.slowness
        spent *= 0.01 if self.is_bad[song] else 1.0
        self._after(spent, lambda: seat.life == life and self._worked(seat, song))

    def _worked(self, seat: _Seat, song: int) -> None:
        seat.at_work = None
        self.work_s += self.now - seat.began
        if self.is_bad[song]:
            self._end(seat, song)
        elif self._breaks():
            n_bytes = self.lengths[song] * self.fleet.output_bytes_per_s
            self._transfer(n_bytes / 2, seat, lambda: self._again(seat, song))
        else:
            n_bytes = self.lengths[song] * self.fleet.output_bytes_per_s
            self._transfer(n_bytes, seat, lambda: self._end(seat, song))
        self._work(seat)

    def _end(self, seat: _Seat, song: int) -> None:
        """The driver learns of the end, and writes it down; from here on no seat can lose it."""
        seat.songs.discard(song)
        self._transaction(lambda: self._ended(song))
        self._feed(seat)

    def _ended(self, song: int) -> None:
        self.ended[song] += 1
        self.left -= 1
        self.out.bad += self.is_bad[song]
        self.out.done += not self.is_bad[song]

    def _again(self, seat: _Seat, song: int) -> None:
        """A failure that passes: the song waits, the seat takes another."""
        seat.songs.discard(song)
        self._transaction(lambda: self._after(self.fleet.retry_s, lambda: self._queue([song])))
        self._feed(seat)

    def _queue(self, songs: list[int]) -> None:
        self.queue.extendleft(songs)
        for _ in range(len(self.hungry)):
            self._feed(self.hungry.popleft())

    def _breaks(self) -> bool:
        return bool(self.rng.random() < self.fleet.failing_transfers)

    def _doom(self, seat: _Seat) -> None:
        if self.fleet.crash_s < float("inf"):
            self._after(self.rng.exponential(self.fleet.crash_s), lambda: self._crash(seat))

    def _crash(self, seat: _Seat) -> None:
        if seat.up:
            self.out.n_crashes += 1
            self._lose(seat, self.fleet.start_s)
        self._doom(seat)

    def _doom_node(self, node: int) -> None:
        if self.fleet.node_loss_s < float("inf"):
            self._after(self.rng.exponential(self.fleet.node_loss_s), lambda: self._lose_node(node))

    def _lose_node(self, node: int) -> None:
        self.out.n_nodes_lost += 1
        per_node = self.fleet.seats_per_node
        for seat in self.seats[node * per_node : (node + 1) * per_node]:
            if seat.up:
                self._lose(seat, self.fleet.node_back_s + self.fleet.start_s)
        self._doom_node(node)

    def _lose(self, seat: _Seat, back_s: float) -> None:
        """A seat is gone with what it was at; its songs are first in the queue again."""
        if seat.at_work is not None:
            self.out.wasted += self.now - seat.began
        songs = sorted(seat.songs)
        self.out.n_interrupted += len(songs)
        self.network.give_up(seat)
        seat.life += 1
        seat.up, seat.at_work = False, None
        seat.songs.clear()
        seat.ready.clear()

        def back() -> None:
            seat.up = True
            self._feed(seat)

        self._after(back_s, back)
        self._queue(songs)


def simulate(fleet: Fleet) -> Outcome:
    """Run a batch to its end."""
    return Simulation(fleet).run()
