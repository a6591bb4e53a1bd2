"""Decoded sound, kept on disk in half precision and mapped into memory: every file is decoded once.

One `.npy` file per sound, named by a digest of what it was made from: path, size and time of change of the
source, stream, part and sample rate. A source that changes is therefore decoded anew; what was made of its
former self stays until somebody deletes the folder, which may be done at any time between runs.

A sound gets its name when it is whole and on the disk. What a crash leaves behind is written over by the next
run, and a lock per sound keeps two processes from decoding the same one.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from stemwise.data.track import StemFile
from stemwise.errors import ConfigError, DecodeError, EncodeError
from stemwise.lock import locked

Samples: TypeAlias = NDArray[np.float16]  # (2, samples); its error is 66 dB and more below the signal
BYTES_PER_SAMPLE = 4
LARGEST = float(np.finfo(np.float16).max)


class Cache:
    """A folder of decoded sounds, all at one sample rate, Hz. Several processes may use it at once."""

    def __init__(self, folder: Path, *, sample_rate: int) -> None:
        if sample_rate < 1:
            raise ConfigError(f"sample_rate is {sample_rate}: it must be at least 1 Hz")
        self.folder, self.sample_rate = folder, sample_rate

    def load(self, files: Sequence[StemFile]) -> list[Samples]:
        """Each sound, `(2, samples)`, read-only and mapped from disk; decoded first if it is not there yet.

        Mono becomes two equal channels. Several files are decoded at a time, each in constant memory.

        Raises:
            DecodeError: for the first file that holds no sound that can be read, or one of the cache that
                cannot be.
            EncodeError: if the cache cannot be written, as on a full disk.
        """
        try:
            self._locks.mkdir(parents=True, exist_ok=True)
            with ThreadPoolExecutor() as pool:
                return list(pool.map(self._load, files))
        except OSError as error:
            per_minute = 60 * self.sample_rate * BYTES_PER_SAMPLE / 1e6
            raise EncodeError(
                f"the cache {self.folder} cannot be written: {error.strerror or error}"
                f" (a minute of sound takes {per_minute:.1f} MB)"
            ) from error

    @property
    def _locks(self) -> Path:
        return self.folder / ".locks"

    def _load(self, file: StemFile) -> Samples:
        key = _digest(file, self.sample_rate)
        cached = self.folder / f"{key}.npy"
        samples = _mapped(cached)
        if samples is not None:
            return samples
        with locked(self._locks / key[:2]):  # 256 of them: two sounds seldom wait for each other
            samples = _mapped(cached)  # another process may have made it meanwhile
            if samples is None:
                self._decode(file, cached)
                samples = _mapped(cached)
        if samples is None:
            raise DecodeError(f"{cached}: cannot be read: it is gone, or was cut off, since it was written")
        return samples

    def _decode(self, file: StemFile, cached: Path) -> None:
        part = cached.with_suffix(".part")
        try:
            with part.open("wb") as target:
                self._write(file, target)
                target.flush()
                os.fsync(target.fileno())
            part.replace(cached)
        finally:
            part.unlink(missing_ok=True)

    def _write(self, file: StemFile, target: BinaryIO) -> None:
        _write_header(target, 0)
        n_samples = 0
        with file.open(self.sample_rate) as reader:
            for block in reader.blocks():
                if not np.abs(block).max() <= LARGEST:
                    at = n_samples / self.sample_rate
                    raise DecodeError(
                        f"{file.path}: holds NaN, infinity or a value above {LARGEST:.0f} near {at:.0f} s"
                    )
                stereo = np.empty((block.shape[1], 2), np.float16)  # as it lies on the disk: sample by sample
                stereo[:] = block.T
                target.write(stereo.data)
                n_samples += len(stereo)
        _write_header(target, n_samples)


def _digest(file: StemFile, sample_rate: int) -> str:
    """Of all that decides what the samples are."""
    try:
        status = file.path.stat()
    except OSError as error:
        raise DecodeError(f"{file.path}: cannot be read: {error.strerror}") from error
    part = f"{file.stream} {file.start_s} {file.duration_s} {sample_rate}"
    identity = f"{file.path.resolve()} {status.st_size} {status.st_mtime_ns} {part}"
    return sha256(os.fsencode(identity)).hexdigest()[:24]


def _mapped(cached: Path) -> Samples | None:
    """What is in the cache; None if it is not there, or cut off."""
    try:
        with cached.open("rb") as file:
            np.lib.format.read_magic(file)
            (_, n_samples), *_ = np.lib.format.read_array_header_1_0(file)
            start, size = file.tell() // 2, os.fstat(file.fileno()).st_size // 2  # in values of two bytes
        if size != start + 2 * n_samples:
            return None
        # numpy's own maps keep their files open, and no process may have many
        whole = torch.from_file(str(cached), shared=False, size=size, dtype=torch.float16).numpy()
    except (FileNotFoundError, EOFError, ValueError):
        return None
    except (OSError, RuntimeError) as error:
        raise DecodeError(f"{cached}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    samples: Samples = whole[start:].reshape(2, n_samples, order="F")
    samples.flags.writeable = False
    return samples


def _write_header(target: BinaryIO, n_samples: int) -> None:
    """At the start of the file. Its length is the same for any number of samples: numpy leaves room."""
    target.seek(0)
    header = {"descr": "<f2", "fortran_order": True, "shape": (2, n_samples)}
    np.lib.format.write_array_header_1_0(target, header)
