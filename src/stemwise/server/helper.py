"""Processes in which sound is opened: what hangs or crashes there costs one request and not the server.

The functions are those of `sound`, which loads numpy and codecs and is therefore imported over there only.
"""

import asyncio
import importlib
import multiprocessing
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO

from stemwise.errors import StemwiseError
from stemwise.worker import die_with_parent

N_PROCESSES = 2
MAX_WAITING = 64
TIMEOUT_S = 600.0
PROBE_S = 60.0  # of a few seconds of sound


class Busy(StemwiseError):
    """There are too many requests for the helpers already."""


class HelperError(StemwiseError):
    """A helper crashed or took too long."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a file says of itself; `duration_s` is None if it does not."""

    sample_rate: int
    n_channels: int
    duration_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A stem in a mix: `gain` is linear, `pan` a balance from -1 (left) to 1 (right)."""

    path: Path
    gain: float = 1.0
    pan: float = 0.0


class Helper:
    """A few processes, started when first needed; every method is a function of `sound`.

    Raises:
        Busy: if too many wait already.
        HelperError: if the process crashed, or worked for too long and was killed.
    """

    def __init__(self) -> None:
        self._processes = threading.local()  # each thread has its own
        self._started: list[_Process] = []
        self._threads = ThreadPoolExecutor(N_PROCESSES, "helper", self._begin)
        self._n_waiting = 0

    async def probe(self, path: Path, name: str) -> Probed:
        probed: Probed = await self._call("probe", path, name)
        return probed

    async def peaks(self, path: Path, kept: Path, n_points: int) -> bytes:
        pairs: bytes = await self._call("peaks", path, kept, n_points)
        return pairs

    async def spectrogram(self, path: Path, target: Path) -> None:
        await self._call("spectrogram", path, target)

    async def mix(
        self,
        voices: Sequence[Voice],
        target: Path,
        codec: str,
        title: str,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> tuple[BinaryIO, float]:
        """A mix as an open file that has no name any more, so that it is gone whatever happens."""
        made: tuple[BinaryIO, float] = await self._do(
            self._mix_here, target, (voices, target, codec, title, start_s, end_s)
        )
        return made

    def close(self) -> None:
        """Kill the processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._started:
            process.close()
        self._threads.shutdown()

    async def _call(self, name: str, *args: Any) -> Any:
        return await self._do(self._call_here, name, args)

    async def _do(self, function: Callable[..., Any], *args: Any) -> Any:
        if self._n_waiting >= MAX_WAITING:
            raise Busy("the server is busy with other requests: try again in a moment")
        self._n_waiting += 1
        try:
            call = self._threads.submit(function, *args)
            try:
                return await asyncio.wrap_future(call)
            except asyncio.CancelledError:
                call.add_done_callback(_drop)
                raise
        finally:
            self._n_waiting -= 1

    def _begin(self) -> None:
        self._processes.own = _Process()
        self._started.append(self._processes.own)

    def _call_here(self, name: str, args: tuple[Any, ...]) -> Any:
        return self._processes.own.call(name, args)

    def _mix_here(self, target: Path, args: tuple[Any, ...]) -> tuple[BinaryIO, float]:
        # In this thread, which goes on when nobody waits for the mix any more.
        try:
            gain_db: float = self._call_here("mix", args)
            return target.open("rb"), gain_db
        finally:
            target.unlink(missing_ok=True)


def _drop(call: Future[Any]) -> None:
    """Close the file of a mix that nobody waits for any more."""
    if not call.cancelled() and call.exception() is None and isinstance(call.result(), tuple):
        call.result()[0].close()


class _Process:
    """One process, for one thread; another one is started where it has ended.

    Any thread may close it.
    """

    def __init__(self) -> None:
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._lock = threading.Lock()  # while it is started or killed
        self._is_closed = False

    def call(self, name: str, args: tuple[Any, ...]) -> Any:
        if self._connection is None or self._connection.poll():  # an idle one says nothing: it has ended
            self._kill()
            self._start()
        assert self._connection is not None
        try:
            self._connection.send((name, args))
            timeout_s = PROBE_S if name == "probe" else TIMEOUT_S
            if not self._connection.poll(timeout_s):
                self._kill()
                raise HelperError(f"the sound took longer than {timeout_s:g} s to process")
            result, error = self._connection.recv()
        except (EOFError, OSError) as error:
            self._kill()
            raise HelperError("the process that opened this sound crashed") from error
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """Kill the process; no other one is started."""
        self._is_closed = True
        self._kill()

    def _kill(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.join()

    def _start(self) -> None:
        with self._lock:
            if self._is_closed:
                raise HelperError("the server ends")
            context = multiprocessing.get_context("spawn")
            connection, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), name="stemwise helper", daemon=True)
            process.start()
            theirs.close()
            self._process, self._connection = process, connection


def _serve(connection: Connection) -> None:
    """Answer until the parent hangs up. An error that is not ours ends the process, with its traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    sound = importlib.import_module("stemwise.server.sound")
    while True:
        try:
            name, args = connection.recv()
        except (EOFError, OSError):
            return
        try:
            connection.send((getattr(sound, name)(*args), None))
        except StemwiseError as error:
            connection.send((None, error))
