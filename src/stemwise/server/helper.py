"""Processes in which sound is opened: what hangs or crashes there costs one request and not the server.

The functions are those of `sound`, which loads numpy and codecs and is therefore imported over there only.
"""

import asyncio
import importlib
import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import TimeoutError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool

from stemwise.errors import StemwiseError
from stemwise.worker import die_with_parent

N_PROCESSES = 2
MAX_WAITING = 64
TIMEOUT_S = 600.0


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
        HelperError: if the process crashed, or worked longer than ten minutes and was killed.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPool(max_workers=N_PROCESSES, context=context, initializer=_prepare)
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
    ) -> float:
        gain_db: float = await self._call("mix", voices, target, codec, title, start_s, end_s)
        return gain_db

    def close(self) -> None:
        """Kill the processes."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    async def _call(self, name: str, *args: Any) -> Any:
        if self._n_waiting >= MAX_WAITING:
            raise Busy("the server is busy with other requests: try again in a moment")
        self._n_waiting += 1
        try:
            return await asyncio.wrap_future(
                self._pool.schedule(_work, args=(name, *args), timeout=TIMEOUT_S)
            )
        except TimeoutError as error:
            raise HelperError(f"the sound took longer than {TIMEOUT_S:g} s to process") from error
        except ProcessExpired as error:
            raise HelperError("the process that opened this sound crashed") from error
        finally:
            self._n_waiting -= 1


def _prepare() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()


def _work(name: str, *args: Any) -> Any:
    return getattr(importlib.import_module("stemwise.server.sound"), name)(*args)
