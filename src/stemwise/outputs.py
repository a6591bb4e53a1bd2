"""What is written, and the files of one song's stems, which get their names together or not at all."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from stemwise.audio import AudioWriter, Tags, is_integer_format, nearest_sample_rate
from stemwise.audio.frames import Block
from stemwise.errors import ConfigError, EncodeError
from stemwise.replacing import temporary_beside

FULL_SCALE = 1 - 2**-15  # the largest 16-bit sample; a peak above it clips
MAX_WAITING = 4  # blocks that an encoder may be behind


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """What is written.

    Attributes:
        codec: one of `stemwise.audio.CODECS`.
        bit_depth: of wav (16, 24, 32 float) and flac (16, 24); None for 16.
        bitrate: bit/s of lossy codecs; None for the codec's default.
        sample_rate: Hz; None for the input's, or the nearest one that the codec can hold.
        stereo: write two channels also for a mono input.
        clip: `gain`: if a stem would clip, one gain for all stems; `clamp`: saturate, as Spleeter does.
        tags: carry the input's tags and cover over.
    """

    codec: str = "wav"
    bit_depth: int | None = None
    bitrate: int | None = None
    sample_rate: int | None = None
    stereo: bool = False
    clip: Literal["gain", "clamp"] = "gain"
    tags: bool = True

    def __post_init__(self) -> None:
        is_integer_format(self.codec, self.bit_depth)  # refuses what cannot be
        for name in ("sample_rate", "bitrate"):
            value = getattr(self, name)
            if value is not None and not 1 <= value < 2**31:
                raise ConfigError(f"{name} is {value}: it must be 1 to {2**31 - 1}")
        if self.clip not in ("gain", "clamp"):
            raise ConfigError(f"clip is {self.clip!r}: it must be 'gain' or 'clamp'")

    @classmethod
    def spleeters(cls, codec: Any, bitrate: str, sample_rate: int) -> "OutputFormat":
        """What Spleeter writes: stereo, clamped, 16-bit wav, no tags; `codec` is a name or its `Codec`."""
        name = str(getattr(codec, "value", codec))
        depth = 24 if name == "flac" else None  # QUIRK(spleeter): ffmpeg makes 24-bit flac of float
        rates = {"bitrate": parse_bitrate(bitrate), "sample_rate": sample_rate}
        return cls(codec=name, bit_depth=depth, stereo=True, clip="clamp", tags=False, **rates)

    @property
    def clips(self) -> bool:
        return is_integer_format(self.codec, self.bit_depth)

    def file_rate(self, sample_rate: int) -> int:
        """Hz of the files that stems of this sample rate are written to."""
        return nearest_sample_rate(self.codec, self.sample_rate or sample_rate)


def parse_bitrate(text: str | None) -> int | None:
    """`192k` or `192000` as bit/s.

    Raises:
        ConfigError: for anything else.
    """
    if text is None:
        return None
    number, factor = (text[:-1], 1000) if text.lower().endswith("k") else (text, 1)
    if not number.isdecimal() or int(number) < 1:
        raise ConfigError(f"bitrate is {text!r}: it must be a number of bit/s such as 192k or 192000")
    return int(number) * factor


class _Encoding:
    """One writer in a thread of its own; its errors are raised by the next call.

    In the main thread an interruption could be lost: it would be raised inside a callback of FFmpeg.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "encoder")
        self._waiting: deque[Future[None]] = deque()
        self._writer: AudioWriter | None = None
        self._thread.submit(int).result()  # there is a thread to wait for before there is a file

    @property
    def writer(self) -> AudioWriter:
        assert self._writer is not None, "open() comes first"
        return self._writer

    def open(self, make_writer: Callable[[], AudioWriter]) -> None:
        self._waiting.append(self._thread.submit(self._open, make_writer))
        self.wait()

    def _open(self, make_writer: Callable[[], AudioWriter]) -> None:
        self._writer = make_writer()

    def write(self, block: Block) -> None:
        self._waiting.append(self._thread.submit(self.writer.write, block))
        self.wait(MAX_WAITING)

    def finish(self) -> None:
        self._waiting.append(self._thread.submit(self.writer.finish))

    def wait(self, n_left: int = 0) -> None:
        while len(self._waiting) > n_left:
            self._waiting.popleft().result()

    def stop(self) -> None:
        self._thread.shutdown(cancel_futures=True)

    def discard(self) -> None:
        self.stop()
        if self._writer is not None:
            self._writer.discard()


class StemFiles:
    """One writer per stem, each in its own thread; the files get their names together, or not at all."""

    def __init__(
        self,
        paths: Mapping[str, Path],
        output_format: OutputFormat,
        *,
        sample_rate: int,
        n_channels: int,
        tags: Tags | None = None,
    ) -> None:
        self.paths = paths
        self._encodings: dict[str, _Encoding] = {}
        self._made_folders: list[Path] = []
        self._beside: list[tuple[Path, Path]] = []
        self._new_writer = partial(
            AudioWriter,
            codec=output_format.codec,
            sample_rate=sample_rate,
            n_channels=n_channels,
            bit_depth=output_format.bit_depth,
            bitrate=output_format.bitrate,
            tags=tags if output_format.tags else None,
            output_sample_rate=output_format.file_rate(sample_rate),
        )

    def open(self) -> None:
        for name, path in self.paths.items():
            self._make_folder(path.parent)
            self._encodings[name] = _Encoding()
            self._encodings[name].open(partial(self._new_writer, path))

    def write(self, name: str, block: Block) -> None:
        """Append to a stem; the block must not be changed any more. An error of an earlier one is raised too.

        Raises:
            EncodeError, NonFiniteError: see `AudioWriter.write`.
        """
        self._encodings[name].write(block)

    def finish(self) -> float:
        """Wait until all is on the disk, under temporary names; the largest sample of any stem."""
        for encoding in self._encodings.values():
            encoding.finish()
        for encoding in self._encodings.values():
            encoding.wait()
            encoding.stop()
        return max((encoding.writer.peak for encoding in self._encodings.values()), default=0.0)

    def write_beside(self, path: Path, write: Callable[[Path], None]) -> None:
        """Another file of this song, made by `write` under a temporary name."""
        self._make_folder(path.parent)
        temporary = temporary_beside(path)
        self._beside.append((temporary, path))
        with _writing(path):
            write(temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())

    def publish(self) -> None:
        """Give all files their names, once none of them can be refused any more."""
        targets = [*self.paths.values(), *(path for _, path in self._beside)]
        for path in targets:
            if path.is_dir():
                raise EncodeError(f"{path}: cannot be written: there is a folder of that name")
        for temporary, path in self._beside:
            with _writing(path):
                temporary.replace(path)
        for encoding in self._encodings.values():
            encoding.writer.publish()

    def discard(self) -> None:
        for encoding in self._encodings.values():
            encoding.discard()
        self._encodings.clear()
        for temporary, _ in self._beside:
            with suppress(OSError):  # where it has its name by now, or was never made
                temporary.unlink()
        for folder in reversed(self._made_folders):
            with suppress(OSError):  # somebody else's file lies in it
                folder.rmdir()
        self._made_folders.clear()

    def _make_folder(self, folder: Path) -> None:
        try:
            missing = [path for path in (folder, *folder.parents) if not path.exists()]
            self._made_folders += reversed(missing)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EncodeError(f"folder {folder} cannot be made: {error.strerror}") from error


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EncodeError(f"{path}: cannot be written: {error.strerror or error}") from error
