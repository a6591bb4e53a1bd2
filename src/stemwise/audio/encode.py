"""Blocks of float32 in, an encoded file out: whole and synced to disk, or not at all.

Samples may exceed full scale: integer formats saturate, and `AudioWriter.peak` tells. Every codec gives back
the number of samples it was given, but WMA, whose container cannot state it: up to 4095 samples of silence
follow. A lossy file of no samples cannot be made: it holds one sample of silence.
"""

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import av
import numpy as np
import soundfile

from stemwise.audio.codecs import DEFAULT_BITRATE, find_bit_depth, find_codec, nearest_sample_rate
from stemwise.audio.frames import Block
from stemwise.audio.mux import Encoder, EncoderConfig, FFmpegEncoder
from stemwise.audio.resample import Resampler
from stemwise.audio.tags import Tags
from stemwise.audio.vorbis import VorbisEncoder
from stemwise.errors import ConfigError, EncodeError, NonFiniteError
from stemwise.replacing import temporary_beside


class AudioWriter:
    """One file being written, under a temporary name in the folder of its own.

    Call `write` any number of times, then `finish`, then `publish`; or `discard` at any time. As a context
    manager it discards at the end what has not been published. Any error discards.

    Args:
        path: of the file; its folder must exist. A file that is there is replaced by `publish`.
        codec: a name in `stemwise.audio.CODECS`.
        sample_rate: of the blocks, Hz.
        n_channels: of the blocks, 1 or 2.
        bit_depth: 16, 24 or 32 (float) for wav, 16 or 24 for flac; None for 16.
        bitrate: bit/s of lossy codecs (of Vorbis on average); None for 128000. No effect on wav and flac.
        tags: to be written as far as the format can hold them.
        output_sample_rate: of the file, Hz; None for the nearest to `sample_rate` that the codec can hold.

    Attributes:
        peak: largest absolute sample written so far, at the file's sample rate, before it saturates.
        sample_rate: of the file, Hz.

    Raises:
        ConfigError: if codec, bit depth or number of channels cannot be.
        EncodeError: if the codec cannot hold the sample rate or bitrate, or the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        codec: str,
        sample_rate: int,
        n_channels: int,
        bit_depth: int | None = None,
        bitrate: int | None = None,
        tags: Tags | None = None,
        output_sample_rate: int | None = None,
    ) -> None:
        if n_channels not in (1, 2):
            raise ConfigError(f"n_channels is {n_channels}: it must be 1 or 2")
        bit_depth = find_bit_depth(codec, bit_depth)
        self.path = Path(path)
        self.peak = 0.0
        self.sample_rate = output_sample_rate or nearest_sample_rate(codec, sample_rate)
        nearest = nearest_sample_rate(codec, self.sample_rate)
        if nearest != self.sample_rate:
            raise EncodeError(f"{codec} cannot hold {self.sample_rate} Hz: the nearest is {nearest} Hz")
        self._is_lossy, self._n_samples, self._n_channels = bit_depth is None, 0, n_channels
        self._resampler = Resampler(sample_rate, self.sample_rate, n_channels)
        self._temporary = temporary_beside(self.path)
        self._resources = ExitStack()
        with self._failing():
            self._file: BinaryIO = self._resources.enter_context(self._temporary.open("xb"))
            config = EncoderConfig(
                codec=find_codec(codec),
                sample_rate=self.sample_rate,
                n_channels=n_channels,
                bit_depth=bit_depth,
                bitrate=bitrate or DEFAULT_BITRATE,
                tags=tags or Tags(),
            )
            encoder_class = VorbisEncoder if codec == "ogg" else FFmpegEncoder
            self._encoder: Encoder = encoder_class(self._file, config)
            self._resources.callback(self._encoder.abort)

    def __enter__(self) -> "AudioWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def write(self, block: Block) -> None:
        """Append samples, float32 `(channels, samples)`, full scale 1.

        Raises:
            EncodeError: if they cannot be written.
            NonFiniteError: if there is a NaN or an infinity among them.
        """
        self._write(self._resampler.process(block))

    def finish(self) -> None:
        """Write what is left, and wait until all of it is on the disk, still under the temporary name.

        Raises:
            EncodeError: if it cannot be written.
        """
        self._write(self._resampler.flush())
        if self._is_lossy and not self._n_samples:
            self._write(np.zeros((self._n_channels, 1), np.float32))
        with self._failing():
            self._encoder.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._resources.close()

    def publish(self) -> None:
        """Give the finished file its name.

        Raises:
            EncodeError: if it cannot be renamed.
        """
        with self._failing():
            os.replace(self._temporary, self.path)
            _sync_folder(self.path.parent)

    def discard(self) -> None:
        """Delete the temporary file; nothing happens if it has been published or discarded."""
        with suppress(OSError):  # closing a file on a full disk writes its buffer once more
            self._resources.close()
        with suppress(OSError):  # where it has its name by now, or was never made
            self._temporary.unlink()

    def _write(self, block: Block) -> None:
        if not block.shape[1]:
            return
        peak = float(np.abs(block).max())
        if not math.isfinite(peak):
            self.discard()
            raise NonFiniteError(f"{self.path}: a sample to be written is not a finite number")
        self.peak = max(self.peak, peak)
        self._n_samples += block.shape[1]
        with self._failing():
            self._encoder.write(block)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Discard on any error; those of the system and the libraries become EncodeErrors."""
        try:
            yield
        except (av.FFmpegError, soundfile.LibsndfileError, OSError) as error:
            self.discard()
            reason = getattr(error, "strerror", None) or error
            raise EncodeError(f"{self.path}: cannot be written: {reason}") from error
        except BaseException:
            self.discard()
            raise


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open folders
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
