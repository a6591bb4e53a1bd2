"""What the headers of songs say before any is decoded: how long they are, what their stems will fill."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stemwise.audio import AudioReader
from stemwise.audio.codecs import DEFAULT_BITRATE, find_bit_depth
from stemwise.batch import storage
from stemwise.batch.catalogue import Entry
from stemwise.errors import StemwiseError
from stemwise.outputs import OutputFormat

READERS = 4  # threads: reading waits for disks more than it computes
FLAC_SHARE = 0.5  # of the same stem's wav, about: see docs/batch.md
# Of a song whose length its header does not tell: 16 bits at 44.1 kHz, 60 % of that, or 128 kbit/s.
BYTES_PER_S = {
    **dict.fromkeys((".wav", ".w64", ".aif", ".aiff", ".aifc", ".au", ".caf"), 176_400),
    **dict.fromkeys((".flac", ".alac", ".ape", ".wv", ".tta"), 106_000),
}
LOSSY_BYTES_PER_S = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Of one song; an `error` says why there is none, and the run will say it again.

    Attributes:
        duration_s: of what will be separated; an estimate from the file's size where headers do not tell.
        sample_rate: Hz.
        n_channels: that are separated, 1 or 2.
        n_bytes: of the file.
    """

    duration_s: float = 0.0
    sample_rate: int = 44100
    n_channels: int = 2
    n_bytes: int = 0
    error: str | None = None


def read_headers(
    entries: Iterable[Entry], *, offset_s: float, duration_s: float | None, done: Callable[[], None]
) -> Iterator[tuple[Entry, Header]]:
    """The header of each song, in order; of one in storage, what its size tells.

    Args:
        entries: songs.
        offset_s: of songs that say none themselves.
        duration_s: likewise.
        done: called after each.
    """

    def read(entry: Entry) -> tuple[Entry, Header]:
        offset = offset_s if entry.offset_s is None else entry.offset_s
        wanted = duration_s if entry.duration_s is None else entry.duration_s
        return entry, _read(entry, offset, wanted)

    with ThreadPoolExecutor(READERS) as pool:
        for found in pool.map(read, entries):
            yield found
            done()


def _read(entry: Entry, offset_s: float, wanted_s: float | None) -> Header:
    if storage.is_remote(entry.source):
        n_bytes = entry.n_bytes or 0
        return Header(duration_s=_part(n_bytes / _rate(entry), offset_s, wanted_s), n_bytes=n_bytes)
    try:
        n_bytes = Path(entry.source).stat().st_size
        with AudioReader(entry.source) as reader:
            n_samples, rate = reader.n_samples, reader.sample_rate
            whole_s = n_bytes / _rate(entry) if n_samples is None else n_samples / rate
            return Header(
                duration_s=_part(whole_s, offset_s, wanted_s),
                sample_rate=rate,
                n_channels=reader.n_channels,
                n_bytes=n_bytes,
            )
    except StemwiseError as error:
        return Header(error=str(error))
    except OSError as error:
        return Header(error=f"{entry.source}: {error.strerror or error}")


def _rate(entry: Entry) -> int:
    suffix = PurePosixPath(storage.file_name(entry.source)).suffix.lower()
    return BYTES_PER_S.get(suffix, LOSSY_BYTES_PER_S)


def _part(whole_s: float, offset_s: float, wanted_s: float | None) -> float:
    rest_s = max(0.0, whole_s - offset_s)
    return rest_s if wanted_s is None else min(wanted_s, rest_s)


def stem_bytes(header: Header, output_format: OutputFormat) -> float:
    """What one stem will fill: exact, but for its header, where samples are stored; else an estimate."""
    if output_format.codec not in ("wav", "flac"):
        return header.duration_s * (output_format.bitrate or DEFAULT_BITRATE) / 8
    rate = output_format.file_rate(header.sample_rate)
    n_channels = 2 if output_format.stereo else header.n_channels
    depth = find_bit_depth(output_format.codec, output_format.bit_depth) or 16
    wav = header.duration_s * rate * n_channels * depth / 8
    return wav * FLAC_SHARE if output_format.codec == "flac" else wav
