"""Songs in, files of stems out: decode, separate, encode, one song after the other.

A stem's file appears under its name only when every stem of the song is whole and synced to disk. Stems are
never scaled one by one: if one would clip, all of them get one gain, and the report says so.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import torch
from torch import Tensor

from stemwise.audio import AudioReader, AudioWriter, nearest_sample_rate
from stemwise.audio.encode import is_integer_format
from stemwise.errors import ConfigError, EncodeError, StemwiseError
from stemwise.naming import PICTURE, Song, output_paths
from stemwise.plots import SpectrogramSketch, save_picture
from stemwise.separate import Separator
from stemwise.types import Progress

FULL_SCALE = 1 - 2**-15  # the largest 16-bit sample; a peak above it clips


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
    """

    codec: str = "wav"
    bit_depth: int | None = None
    bitrate: int | None = None
    sample_rate: int | None = None
    stereo: bool = False
    clip: Literal["gain", "clamp"] = "gain"

    def __post_init__(self) -> None:
        if self.clip not in ("gain", "clamp"):
            raise ConfigError(f"clip is {self.clip!r}: it must be 'gain' or 'clamp'")

    @classmethod
    def spleeters(cls, codec: Any, bitrate: str, sample_rate: int) -> "OutputFormat":
        """What Spleeter writes: stereo, clamped, 16-bit wav; `codec` may be a name an enumeration's member."""
        name = str(getattr(codec, "value", codec))
        depth = 24 if name == "flac" else None  # QUIRK(spleeter): ffmpeg makes 24-bit flac of float
        rates = {"bitrate": parse_bitrate(bitrate), "sample_rate": sample_rate}
        return cls(codec=name, bit_depth=depth, stereo=True, clip="clamp", **rates)

    @property
    def clips(self) -> bool:
        return is_integer_format(self.codec, self.bit_depth)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SongReport:
    """What became of one song; `error` is None if all is well."""

    source: str
    stems: Mapping[str, str] = field(default_factory=dict)
    duration_s: float = 0.0
    sample_rate: int = 0
    gain_db: float = 0.0
    peak: float = 0.0
    wall_s: float = 0.0
    notes: tuple[str, ...] = ()
    picture: str | None = None
    skipped: bool = False
    error: str | None = None
    exit_code: int = 0


def separate_file(
    source: str | Path,
    output: str | Path = ".",
    *,
    separator: Separator | None = None,
    output_format: OutputFormat | None = None,
    progress: Progress | None = None,
) -> SongReport:
    """Separate one file into `output/<its name>/<stem>.<codec>`.

    Args:
        source: any audio or video file that FFmpeg's libraries decode.
        output: folder, made if it is not there.
        separator: None for the embedded four-stem model.
        output_format: None for 16-bit wav at the input's sample rate.
        progress: called about once per second of audio and more.

    Returns:
        Paths of the stems, gain, speed and notes.

    Raises:
        StemwiseError: if the file cannot be read, separated or written; then nothing is left behind.
    """
    separator = separator or Separator()
    output_format = output_format or OutputFormat()
    (paths,) = output_paths([Song(Path(source))], separator.stems, Path(output), codec=output_format.codec)
    return separate_to(Path(source), paths, separator, output_format, progress=progress)


def separate_to(
    source: Path | BinaryIO,
    paths: Mapping[str, Path],
    separator: Separator,
    output_format: OutputFormat,
    *,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    read_rate: int | None = None,
    picture: Path | None = None,
    progress: Progress | None = None,
) -> SongReport:
    """Separate one song into the given files: all of them, or none.

    Args:
        source: path or binary file.
        paths: where each of the separator's stems goes.
        separator: model and options.
        output_format: codec and the rest.
        offset_s: where to begin, seconds.
        duration_s: how much to separate, seconds; None for all.
        read_rate: resample the input to this rate first (Hz), as Spleeter does; None to keep its own.
        picture: PNG file for the spectrograms.
        progress: see `separate_file`.

    Raises:
        StemwiseError: see `separate_file`.
    """
    start = time.perf_counter()
    name = str(source) if isinstance(source, Path) else str(getattr(source, "name", "stream"))
    with AudioReader(source, offset_s=offset_s, duration_s=duration_s, sample_rate=read_rate) as reader:
        wanted = output_format.sample_rate or reader.sample_rate
        rate = nearest_sample_rate(output_format.codec, wanted)
        song = _Song(reader, separator, output_format.stereo, progress)
        files = _StemFiles(paths, reader, output_format, song.n_channels, rate)
        gain = 1.0
        try:
            peak = song.write_to(files, gain)
            if peak > FULL_SCALE and output_format.clips and output_format.clip == "gain":
                files.discard()
                gain = FULL_SCALE / peak
                song.write_to(files, gain)
            if picture is not None:
                files.write_beside(picture, lambda path: save_picture(song.sketches, path, title=name))
            files.publish()
        except BaseException:
            files.discard()
            raise
        return SongReport(
            source=name,
            stems={name: str(path) for name, path in paths.items()},
            duration_s=song.n_samples / reader.sample_rate,
            sample_rate=rate,
            gain_db=20 * math.log10(gain),
            peak=peak,
            wall_s=time.perf_counter() - start,
            notes=tuple(_notes(reader, output_format, wanted, rate, peak, gain)),
            picture=str(picture) if picture else None,
        )


def _notes(
    reader: AudioReader, output_format: OutputFormat, wanted: int, rate: int, peak: float, gain: float
) -> Iterator[str]:
    """What the user should know of how this song was treated."""
    if reader.downmixed_from:
        yield f"{reader.info.n_channels} channels ({reader.downmixed_from}) were mixed down to stereo"
    if rate != wanted:
        yield f"{output_format.codec} cannot hold {wanted} Hz: written at {rate} Hz"
    if gain < 1:
        lowered_db = -20 * math.log10(gain)
        yield f"a stem would reach {peak:.2f} of full scale: all stems were lowered by {lowered_db:.1f} dB"
    elif peak > FULL_SCALE and output_format.clips:
        yield f"stems reach {peak:.2f} of full scale and were clamped"


class _Song:
    """The blocks of one song on their way through the separator."""

    def __init__(
        self, reader: AudioReader, separator: Separator, stereo: bool, progress: Progress | None
    ) -> None:
        self.reader, self.separator, self.progress = reader, separator, progress
        self.n_channels = 2 if stereo else reader.n_channels
        self.n_samples = 0
        self.sketches: dict[str, SpectrogramSketch] = {}

    def write_to(self, files: "_StemFiles", gain: float) -> float:
        """One pass: every stem times `gain` into its file. Returns the largest sample that was written."""
        files.open()
        stages = iter(
            ["listening"] * self.separator.mwf + ["separating" if gain == 1 else "separating again, softer"]
        )
        for name in ("mixture", *self.separator.stems):
            self.sketches[name] = SpectrogramSketch(self.reader.sample_rate)
        for stems in self.separator.restream(lambda: self._blocks(next(stages)), self.reader.sample_rate):
            for name, block in stems.items():
                files.writers[name].write((block * gain).cpu().numpy())
                self.sketches[name].push(block)
        return files.finish()

    def _blocks(self, stage: str) -> Iterator[Tensor]:
        rate, total = self.reader.sample_rate, self.reader.n_samples
        self.n_samples = 0
        self.sketches["mixture"] = SpectrogramSketch(rate)
        for samples in self.reader.blocks():
            block = torch.from_numpy(samples).expand(self.n_channels, -1)
            self.sketches["mixture"].push(block)
            yield block
            self.n_samples += block.shape[-1]
            if self.progress is not None:
                self.progress(stage, self.n_samples / rate, total and total / rate)


class _StemFiles:
    """One writer per stem; the files get their names together, or not at all."""

    def __init__(
        self,
        paths: Mapping[str, Path],
        reader: AudioReader,
        output_format: OutputFormat,
        n_channels: int,
        sample_rate: int,
    ) -> None:
        self.paths = paths
        self.writers: dict[str, AudioWriter] = {}
        self._made_folders: list[Path] = []
        self._beside: list[tuple[Path, Path]] = []
        self._new_writer = lambda path: AudioWriter(
            path,
            codec=output_format.codec,
            sample_rate=reader.sample_rate,
            n_channels=n_channels,
            bit_depth=output_format.bit_depth,
            bitrate=output_format.bitrate,
            tags=reader.info.tags,
            output_sample_rate=sample_rate,
            n_samples=reader.n_samples,
        )

    def open(self) -> None:
        for name, path in self.paths.items():
            self._make_folder(path.parent)
            self.writers[name] = self._new_writer(path)

    def finish(self) -> float:
        for writer in self.writers.values():
            writer.finish()
        return max((writer.peak for writer in self.writers.values()), default=0.0)

    def write_beside(self, path: Path, write: Callable[[Path], None]) -> None:
        """Another file of this song, made by `write` under a temporary name."""
        self._make_folder(path.parent)
        temporary = path.with_name(f".{path.name}.part")
        self._beside.append((temporary, path))
        write(temporary)

    def publish(self) -> None:
        for writer in self.writers.values():
            writer.publish()
        for temporary, path in self._beside:
            temporary.replace(path)

    def discard(self) -> None:
        for writer in self.writers.values():
            writer.discard()
        self.writers.clear()
        for temporary, _ in self._beside:
            temporary.unlink(missing_ok=True)
        for folder in reversed(self._made_folders):
            with suppress(OSError):  # somebody else's file lies in it
                folder.rmdir()
        self._made_folders.clear()

    def _make_folder(self, folder: Path) -> None:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EncodeError(f"folder {folder} cannot be made: {error.strerror}") from error
        self._made_folders += reversed(missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """How every song of a batch is treated; see `separate_to` for the fields."""

    output_format: OutputFormat = field(default_factory=OutputFormat)
    offset_s: float = 0.0
    duration_s: float | None = None
    read_rate: int | None = None
    skip_existing: bool = False


def separate_files(
    songs: Sequence[Song],
    plan: Sequence[Mapping[str, Path]],
    separator: Separator,
    batch: Batch,
    *,
    begin: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Iterator[SongReport]:
    """Separate songs one by one; a song that fails is reported, and the others are done.

    Args:
        songs: what to separate.
        plan: the files of every song's stems, as `naming.output_paths` gives them; a further name,
            `picture`, asks for the spectrograms.
        separator: model and options.
        batch: the rest.
        begin: called with the name of each song before it is read.
        progress: see `separate_file`; of the song at hand.

    Yields:
        A report for each song, in order, as soon as it is done.
    """
    for song, planned in zip(songs, plan, strict=True):
        paths = {name: path for name, path in planned.items() if name != PICTURE}
        picture = planned.get(PICTURE)
        if begin is not None:
            begin(song.path.name)
        if batch.skip_existing and all(path.exists() for path in planned.values()):
            yield SongReport(
                source=str(song.path), stems={name: str(path) for name, path in paths.items()}, skipped=True
            )
            continue
        try:
            yield separate_to(
                song.stream or song.path,
                paths,
                separator,
                batch.output_format,
                offset_s=batch.offset_s,
                duration_s=batch.duration_s,
                read_rate=batch.read_rate,
                picture=picture,
                progress=progress,
            )
        except StemwiseError as error:
            yield SongReport(source=str(song.path), error=str(error), exit_code=error.exit_code)
