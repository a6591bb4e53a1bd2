"""The executor of many machines: a Ray cluster's workers do the songs; the only home of Ray.

A seat is an actor: it holds one worker process with its model, on whatever node Ray finds room for it. Songs
wait here, in the driver, until a seat has room, so that nobody holds more than he works on; what a seat has
fetched ahead goes to one that is idle. A seat that is lost, alone or with its node, costs the songs it had:
they are done by others. The journal is never seen here or there.
"""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stemwise import __version__
from stemwise.batch.address import LOCAL, answers, check_address
from stemwise.batch.local import Event
from stemwise.batch.room import room_for, what_lacks
from stemwise.batch.seat import Seat
from stemwise.batch.song import Job, Outcome
from stemwise.errors import ConfigError, StemwiseError

if TYPE_CHECKING:
    from ray import ObjectRef

STORE_BYTES = 80 << 20  # of Ray's object store, for a cluster of our own; only messages go through it
MAX_LOSSES = 3  # of seats, before their song is suspected
COUNT_S = 10.0  # between two looks at how large the cluster is
PROGRESS_S = 1.0  # between two questions how far a seat is; longer where there are many
STOP_S = 10.0  # for seats to remove what is half-written
GONE_S = 15.0  # without an answer of its head, a cluster is taken for gone
START_S = 60.0  # a worker needs no longer where there is room
ROOM_S = 600.0  # an autoscaler needs no longer


@dataclass(slots=True, eq=False)
class _Place:
    """A seat as the driver sees it."""

    actor: Any
    jobs: list[Job] = field(default_factory=list)
    host: str | None = None  # None until it is there
    asked: bool = False  # to give a song back, or how far it is
    due: float = 0.0


class ClusterExecutor:
    """Seats on the nodes of a Ray cluster.

    Args:
        address: of the cluster, as `ray.init` takes it; `local` for one of this machine alone.
        root: the output folder or URL; every node must see it.
        n_workers: seats; None for as many as the cluster has room for, now and later. Those that find no room
            are what Ray's autoscaler acts on.
        threads: of the network in each; as many cores are reserved.
        gpus: that are reserved for each, which may be a part of one; 0 for a network on the cores.
        memory_bytes: that are reserved for each.
        ahead: songs beyond the one at work that each seat fetches.
        tell: called with what the user should know, such as that there is no room for a worker yet.

    Attributes:
        n_lost: seats that were lost, with their songs at the time.

    Raises:
        ConfigError: if Ray is not installed, there is no cluster, or this machine has no room for a worker.
    """

    def __init__(
        self,
        address: str,
        *,
        root: str,
        n_workers: int | None = None,
        threads: int = 1,
        gpus: float = 0.0,
        memory_bytes: int = 1 << 30,
        ahead: int = 0,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._ray = _connect(address)
        self._root, self._n_wanted, self._ahead = root, n_workers, ahead
        self._is_ours, self._tell, self._told = address == LOCAL, tell, ""
        self._needs = {"CPU": float(threads), "GPU": gpus, "memory": float(memory_bytes)}
        self._seat = self._ray.remote(Seat).options(
            num_cpus=threads, num_gpus=gpus, memory=memory_bytes, max_restarts=0, max_concurrency=ahead + 4
        )
        self._given = threads, "cuda" if gpus else "cpu"
        self._places: list[_Place] = []
        self._waiting: deque[Job] = deque()
        self._calls: dict[ObjectRef[Any], tuple[_Place, Job | None]] = {}
        self._losses: dict[str, int] = {}
        self._head = self._ray.get_runtime_context().gcs_address
        self._seen = time.monotonic()  # the head of the cluster
        self._counted = float("-inf")
        self._seated = time.monotonic()  # when there last was a seat, or the first was asked for
        self._stillborn = 0  # seats lost before they were there, since one was
        self.n_lost = 0
        try:
            self._recruit()
        except ConfigError:
            self._ray.shutdown()
            raise

    @property
    def slots(self) -> int:
        """See `Executor`: as many songs as there are seats, and those ahead."""
        return max(1, sum(place.host is not None for place in self._places) * (1 + self._ahead))

    def submit(self, job: Job) -> None:
        """See `Executor`."""
        self._waiting.append(job)
        self._assign()

    def poll(self, timeout_s: float) -> list[Event]:
        """See `Executor`."""
        self._recruit()
        self._assign()
        self._ask()
        if not self._calls:
            time.sleep(timeout_s)
            return []
        calls = list(self._calls)
        if not self._ray.wait(calls, timeout=timeout_s)[0]:
            return []
        ready, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0)
        return [event for call in ready for event in self._answer(call)]

    def stop(self) -> None:
        """See `Executor`."""
        if not answers(self._head):  # Ray would wait for it for a minute
            return
        stops = [place.actor.stop.remote() for place in self._places if place.host is not None]
        if stops:
            self._ray.wait(stops, num_returns=len(stops), timeout=STOP_S)
        for place in self._places:
            self._ray.kill(place.actor)
        self._places, self._calls = [], {}
        self._ray.shutdown()

    def _recruit(self) -> None:
        """Ask for the seats that are missing: for all that are wanted, or that there is room for."""
        if time.monotonic() < self._counted + COUNT_S:
            return
        if not answers(self._head):
            if time.monotonic() > self._seen + GONE_S:
                raise StemwiseError(
                    f"the Ray cluster at {self._head} is gone: the same command goes on once it is back"
                )
            return
        self._counted = self._seen = time.monotonic()
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        room = room_for(self._needs, nodes)
        wanted = room if self._n_wanted is None else self._n_wanted
        self._check_room(nodes, room, wanted)
        for _ in range(wanted - len(self._places)):
            place = _Place(self._seat.remote(*self._given))
            self._places.append(place)
            self._calls[place.actor.look.remote(self._root)] = (place, None)

    def _check_room(self, nodes: list[dict[str, float]], room: int, wanted: int) -> None:
        """Say, once, why there are fewer seats than there might be; stop where none will come."""
        n_seats = sum(place.host is not None for place in self._places)
        waited_s = time.monotonic() - self._seated
        self._seated += waited_s if n_seats else 0.0
        text = ""
        if room == 0 and n_seats == 0:
            where = "this machine has not" if self._is_ours else "no node of the cluster has"
            text = f"{where} the {what_lacks(self._needs, nodes)} that each worker needs"
            if self._is_ours or waited_s > ROOM_S:
                raise ConfigError(f"{text}: see --gpus and --threads")
            text += "; waiting for one that has"
        elif room < wanted:
            text = f"the cluster has room for {room} of {wanted} workers now; the others wait for more"
        elif n_seats == 0 and waited_s > START_S:
            text = "no worker has started yet: is the cluster busy with other work?"
        if text and text != self._told:
            self._tell(text)
        self._told = text

    def _assign(self) -> None:
        """Give what waits to the seats with the least to do."""
        seated = [place for place in self._places if place.host is not None]
        while self._waiting and seated:
            place = min(seated, key=lambda place: len(place.jobs))
            if len(place.jobs) > self._ahead:
                return
            job = self._waiting.popleft()
            place.jobs.append(job)
            self._calls[place.actor.separate.remote(job)] = (place, job)

    def _ask(self) -> None:
        """Ask busy seats how far they are, and one that is ahead for a song, if another has none."""
        now, busy = time.monotonic(), [place for place in self._places if place.jobs]
        idle = sum(place.host is not None and not place.jobs for place in self._places)
        for place in busy:
            if idle and not self._waiting and len(place.jobs) > 1:
                place.actor.take_back.remote(place.jobs[-1].task.id)
                idle -= 1
            if not place.asked and now >= place.due:
                place.asked, place.due = True, now + PROGRESS_S * max(1.0, len(busy) / 20)
                self._calls[place.actor.progress.remote()] = (place, None)

    def _answer(self, call: "ObjectRef[Any]") -> Iterator[Event]:
        """What one answer of a seat means."""
        place, job = self._calls.pop(call)
        try:
            answer = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            yield from self._lost(place, job, error)
            return
        if job is not None:
            place.jobs.remove(job)
            if answer is None:
                self._waiting.appendleft(job)
            else:
                self._losses.pop(job.task.id, None)
                yield answer
        elif isinstance(answer, list):
            place.asked = False
            yield from answer
        else:
            self._check(place, *answer)

    def _check(self, place: _Place, host: str, version: str, sees_root: bool) -> None:
        if version != __version__:
            raise ConfigError(
                f"node {host} has stemwise {version}, this is {__version__}: install the same on all"
            )
        if not sees_root:
            raise ConfigError(
                f"node {host} has no folder {self._root}: give one that all nodes share, or s3://…"
            )
        place.host, self._stillborn = host, 0

    def _lost(self, place: _Place, job: Job | None, error: Exception) -> Iterator[Event]:
        """A seat is gone: its songs are done by others, unless one has cost too many seats."""
        if place in self._places:
            self._places.remove(place)
            self._counted = float("-inf")
            self.n_lost += place.host is not None
            self._stillborn += place.host is None
        reason = _reason(error)
        if self._stillborn >= MAX_LOSSES:
            raise ConfigError(f"workers cannot be started on the cluster: {reason}")
        if job is None:
            return
        losses = self._losses[job.task.id] = self._losses.get(job.task.id, 0) + 1
        if losses < MAX_LOSSES:
            self._waiting.appendleft(job)
            return
        del self._losses[job.task.id]
        message = f"its worker was lost {losses} times, the last time on {place.host}: {reason}"
        yield Outcome(id=job.task.id, error=message, exit_code=1, passing=True, crashed=True)


def _reason(error: Exception) -> str:
    """What Ray says, in a line; the last one of what went wrong while a seat was made."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if "creation task" in lines[0] else lines[0]) if lines else type(error).__name__


def _connect(address: str) -> Any:
    """Ray, connected to a cluster."""
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "--ray needs a package that is not installed: pip install 'stemwise[cluster]'"
        ) from error
    check_address(address)
    own: dict[str, Any] = {}
    if address == LOCAL:
        own = {"object_store_memory": STORE_BYTES, "include_dashboard": False}
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"there is no Ray cluster at {address!r}: {_reason(error)}") from error
    return ray
