"""Songs in, files of stems out: decode, separate, encode, one song after the other.

A stem's file appears under its name only when every stem of the song is whole and synced to disk. Stems are
never scaled one by one: if one would clip, all of them get one gain, and the report says so.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from stemwise.audio import AudioReader
from stemwise.errors import DecodeError, StemwiseError
from stemwise.naming import PICTURE, Song, output_paths
from stemwise.outputs import FULL_SCALE, OutputFormat, StemFiles
from stemwise.plots.spectrograms import SpectrogramSketch, save_picture
from stemwise.separate import Separator
from stemwise.types import Progress

CUT_OFF_S = 1.0  # some headers tell a length to about this much only


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
    with AudioReader(source, offset_s=offset_s, duration_s=duration_s, sample_rate=read_rate) as reader:
        rate = output_format.file_rate(reader.sample_rate)
        song = _Song(reader, separator, output_format.stereo, picture is not None, progress)
        files = StemFiles(
            paths,
            output_format,
            sample_rate=reader.sample_rate,
            n_channels=song.n_channels,
            tags=reader.info.tags,
        )
        gain = 1.0
        try:
            peak = song.write_to(files, gain)
            if offset_s > 0 and song.n_samples == 0:
                raise DecodeError(f"{reader.name}: ends before the offset of {offset_s:g} s")
            if peak > FULL_SCALE and output_format.clips and output_format.clip == "gain":
                files.discard()
                gain = FULL_SCALE / peak
                song.write_to(files, gain)
            if picture is not None:
                files.write_beside(
                    picture, lambda path: save_picture(song.sketches, path, title=Path(reader.name).name)
                )
            files.publish()
        except BaseException:
            files.discard()
            raise
        return SongReport(
            source=reader.name,
            stems={name: str(path) for name, path in paths.items()},
            duration_s=song.n_samples / reader.sample_rate,
            sample_rate=rate,
            gain_db=20 * math.log10(gain),
            peak=peak,
            wall_s=time.perf_counter() - start,
            notes=tuple(_notes(song, output_format, peak, gain)),
            picture=str(picture) if picture else None,
        )


def _notes(song: "_Song", output_format: OutputFormat, peak: float, gain: float) -> Iterator[str]:
    """What the user should know of how this song was treated."""
    reader = song.reader
    wanted = output_format.sample_rate or reader.sample_rate
    rate = output_format.file_rate(reader.sample_rate)
    if reader.downmixed_from:
        yield f"its layout ({reader.downmixed_from}) was mixed down to stereo"
    missing_s = ((reader.n_samples or 0) - song.n_samples) / reader.sample_rate
    if missing_s > CUT_OFF_S:
        yield f"the file ends {missing_s:.1f} s before its header says: it may have been cut off"
    if rate != wanted:
        yield f"{output_format.codec} cannot hold {wanted} Hz: written at {rate} Hz"
    if gain < 1:
        lowered_db = -20 * math.log10(gain)
        yield f"a stem would reach {peak:.2f} of full scale: all stems were lowered by {lowered_db:.1f} dB"
    elif peak > FULL_SCALE and output_format.clips:
        yield f"stems reach {peak:.2f} of full scale and were clamped"


class _Song:
    """The blocks of one song on their way through the separator, seen by whoever draws or counts them."""

    def __init__(
        self, reader: AudioReader, separator: Separator, stereo: bool, drawn: bool, progress: Progress | None
    ) -> None:
        self.reader, self.separator, self.progress = reader, separator, progress
        self.n_channels = 2 if stereo else reader.n_channels
        self.n_samples = 0
        self.sketches: dict[str, SpectrogramSketch] = {}
        self._drawn = ("mixture", *separator.stems) if drawn else ()

    def write_to(self, files: "StemFiles", gain: float) -> float:
        """One pass: every stem times `gain` into its file. Returns the largest sample that was written."""
        files.open()
        stages = ["listening"] * self.separator.mwf + [
            "separating" if gain == 1 else "separating again, softer"
        ]
        passes = iter(stages)
        rate = self.reader.sample_rate
        for stems in self.separator.restream(lambda: self._blocks(next(passes)), rate):
            for name, block in stems.items():
                files.write(name, (block if gain == 1 else block * gain).cpu().numpy())
                self._draw(name, block)
        return files.finish()

    def _blocks(self, stage: str) -> Iterator[Tensor]:
        rate, total = self.reader.sample_rate, self.reader.n_samples
        self.n_samples = 0
        self.sketches = {name: SpectrogramSketch(rate) for name in self._drawn}
        for samples in self.reader.blocks():
            block = torch.from_numpy(samples).expand(self.n_channels, -1)
            self._draw("mixture", block)
            yield block
            self.n_samples += block.shape[-1]
            if self.progress is not None:
                self.progress(stage, self.n_samples / rate, total and total / rate)

    def _draw(self, name: str, block: Tensor) -> None:
        if name in self.sketches:
            self.sketches[name].push(block)


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
        if batch.skip_existing and all(os.path.exists(path) for path in planned.values()):
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
