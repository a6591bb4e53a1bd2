"""A data set out of songs and their instrumental versions, as record companies have them.

A manifest lists recordings. Those of one artist and title are a pair, as far as one is an instrumental; each
pair becomes a song with a `mixture`, an `accompaniment` (the instrumental) and estimated `vocals`, in a
folder of its own, as `stemwise.data.folders` reads them.

    path,artist,title,kind
    blue.mp3,Ann,Blue,mixture
    karaoke/17.mp3,Ann,Blue (Instrumental),

Only `path` must be there, relative to the manifest. An artist or title that is left empty is taken from the
file's tags; without a kind, what says so at the end of its title is an instrumental: "(Instrumental)",
"- Karaoke Version", in brackets or behind a dash.

Source: Prétet et al., ICASSP 2019: see `stemwise.data.difference`. There songs were matched by metadata and
fingerprints, here by metadata alone.
"""

import codecs
import csv
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from stemwise.audio import AudioReader, AudioWriter
from stemwise.audio.frames import Block
from stemwise.data.difference import common_part, gain_in, voice
from stemwise.data.tables import read_table
from stemwise.data.track import StemFile, read_stereo
from stemwise.errors import ConfigError, DecodeError, EncodeError
from stemwise.naming import LONGEST_NAME, portable_name
from stemwise.replacing import replacing, temporary_beside

KINDS = ("mixture", "instrumental")
MAX_DIFFERENCE_S = 2.0  # between the durations of a pair
MAX_DURATION_S = 300.0  # of a recording
REPORT = "catalogue.csv"
# the end of a title from a bracket or dash on, if it says so: "Blue (Instrumental)", "Blue - Karaoke Version"
_MARK = re.compile(r"[(\[–-][^(\[–-]*\b(instrumental|karaoke|playback|backing track)\b.*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A line of the manifest, completed from the tags of its file; kind is "mixture" or "instrumental"."""

    path: Path
    artist: str
    title: str
    kind: str

    @property
    def song(self) -> tuple[str, str]:
        """Artist and title, without what marks an instrumental."""
        return self.artist, _MARK.sub("", self.title).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two recordings of one song."""

    mixture: Recording
    instrumental: Recording

    @property
    def name(self) -> str:
        return " - ".join(self.mixture.song)

    @property
    def folder(self) -> str:
        return portable_name(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a song.

    Attributes:
        song: artist and title, or the path of a recording that is in no pair.
        mixture: path of the recording.
        instrumental: likewise.
        dropped: why the song was not made; empty if it was.
        lag_samples: by which the instrumental was late, at the mixture's sample rate.
        gain_db: that was put on the instrumental.
        is_inverted: whether the instrumental was upside down, and has been turned.
    """

    song: str
    mixture: str = ""
    instrumental: str = ""
    dropped: str = ""
    lag_samples: int | None = None
    gain_db: float | None = None
    is_inverted: bool | None = None


def find_pairs(manifest: Path) -> tuple[list[Pair], list[Outcome]]:
    """The pairs of a manifest, in its order, and what is dropped of it.

    Of several mixtures or instrumentals of one song the first is taken; so it is of several songs that would
    have one folder.

    Raises:
        ConfigError: if the manifest is no table with a column `path`, or a kind is neither mixture nor
            instrumental.
    """
    songs: dict[tuple[str, ...], dict[str, Recording]] = {}
    dropped = []
    for number, row in enumerate(read_table(manifest), start=2):
        if not row.get("path"):
            raise ConfigError(f"{manifest}, line {number}: path is empty: it must name a recording")
        try:
            recording = _recording(manifest, number, row)
        except DecodeError as error:
            dropped.append(Outcome(song=row["path"], dropped=str(error)))
            continue
        if not recording.title:
            reason = "it has no title, in the manifest or in its tags"
            dropped.append(Outcome(song=str(recording.path), dropped=reason))
            continue
        song = songs.setdefault(tuple(map(_plain, recording.song)), {})
        first = song.setdefault(recording.kind, recording)
        if first is not recording:
            reason = f"the song has another {first.kind} before it, {first.path}"
            dropped.append(Outcome(song=str(recording.path), dropped=reason))
    pairs: dict[str, Pair] = {}
    for recordings in songs.values():
        if len(recordings) < len(KINDS):
            (recording,) = recordings.values()
            (other,) = set(KINDS) - set(recordings)
            dropped.append(Outcome(song=str(recording.path), dropped=f"there is no {other} of it"))
            continue
        pair = Pair(**recordings)
        if len(os.fsencode(pair.folder)) > LONGEST_NAME:
            reason = f"its folder would have a name longer than {LONGEST_NAME} bytes"
            dropped.append(_outcome(pair, dropped=reason))
            continue
        before = pairs.setdefault(pair.folder.casefold(), pair)
        if before is not pair:
            reason = f"its folder would have the name of another song's before it, {before.folder}"
            dropped.append(_outcome(pair, dropped=reason))
    return list(pairs.values()), dropped


def make_songs(pairs: Sequence[Pair], folder: Path) -> Iterator[Outcome]:
    """Make a song of every pair that is one, several at a time; memory is bounded by `MAX_DURATION_S`.

    A song appears in the folder when it is whole. One that is there already is left as it is, so that an
    interrupted run can be taken up again.

    Raises:
        EncodeError: if a song cannot be written, as on a full disk.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EncodeError(f"{folder}: cannot be made: {error.strerror}") from error
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda pair: _make(pair, folder), pairs)


def write_report(folder: Path, outcomes: Sequence[Outcome]) -> Path:
    """A table of what became of every song, `catalogue.csv`."""
    path = folder / REPORT
    with replacing(path) as file:
        writer = csv.DictWriter(codecs.getwriter("utf-8")(file), [column.name for column in fields(Outcome)])
        writer.writeheader()
        writer.writerows(asdict(outcome) for outcome in outcomes)
    return path


def _recording(manifest: Path, number: int, row: Mapping[str, str]) -> Recording:
    path = manifest.parent / row["path"]
    artist, title, kind = (row.get(column, "").strip() for column in ("artist", "title", "kind"))
    if kind and kind not in KINDS:
        raise ConfigError(f"{manifest}, line {number}: kind is {kind!r}: it must be {' or '.join(KINDS)}")
    if not artist or not title:
        with AudioReader(path) as reader:
            tags = reader.info.tags.fields
        artist, title = artist or tags.get("artist", ""), title or tags.get("title", "")
    kind = kind or ("instrumental" if _MARK.search(title) else "mixture")
    return Recording(path=path, artist=artist, title=title, kind=kind)


def _outcome(pair: Pair, *, dropped: str = "") -> Outcome:
    return Outcome(
        song=pair.name,
        mixture=str(pair.mixture.path),
        instrumental=str(pair.instrumental.path),
        dropped=dropped,
    )


def _make(pair: Pair, folder: Path) -> Outcome:
    outcome, target = _outcome(pair), folder / pair.folder
    if target.is_dir():
        return outcome
    try:
        mixture, instrumental, sample_rate = _read(pair)
    except DecodeError as error:
        return replace(outcome, dropped=str(error))
    reason = _why_no_pair(mixture.shape[1] / sample_rate, instrumental.shape[1] / sample_rate)
    if reason:
        return replace(outcome, dropped=reason)
    if not (np.isfinite(mixture).all() and np.isfinite(instrumental).all()):
        return replace(outcome, dropped="a recording holds NaN or infinity")
    common = common_part(mixture, instrumental)
    if common is None:
        return replace(outcome, dropped="the two recordings have nothing in common")
    mixture, instrumental, lag = common
    gain = gain_in(mixture, instrumental)
    instrumental = np.float32(gain) * instrumental
    sounds = {
        "mixture": mixture, "accompaniment": instrumental, "vocals": voice(mixture, instrumental)
    }  # fmt: skip
    _write(target, sounds, sample_rate)
    return replace(outcome, lag_samples=lag, gain_db=20 * math.log10(abs(gain)), is_inverted=gain < 0)


def _read(pair: Pair) -> tuple[Block, Block, int]:
    """Both at the mixture's sample rate, a little more than may be at most."""
    with AudioReader(pair.mixture.path) as reader:
        sample_rate = reader.sample_rate
    mixture, instrumental = (
        read_stereo(StemFile(path=recording.path, duration_s=MAX_DURATION_S + 1), sample_rate=sample_rate)
        for recording in (pair.mixture, pair.instrumental)
    )
    return mixture, instrumental, sample_rate


def _why_no_pair(*durations_s: float) -> str:
    if max(durations_s) > MAX_DURATION_S:
        return f"it is longer than {MAX_DURATION_S / 60:.0f} minutes"
    if max(durations_s) - min(durations_s) > MAX_DIFFERENCE_S:
        durations = " and ".join(f"{duration:.1f}" for duration in durations_s)
        return f"durations differ by more than {MAX_DIFFERENCE_S:g} s: {durations} s"
    return ""


def _write(target: Path, sounds: Mapping[str, Block], sample_rate: int) -> None:
    """All files or none; one gain for all if one would clip."""
    gain = 1 / max(1.0, *(float(np.abs(sound).max()) for sound in sounds.values()))
    temporary = temporary_beside(target)
    try:
        temporary.mkdir()
        for stem, sound in sounds.items():
            path = temporary / f"{stem}.flac"
            with AudioWriter(path, codec="flac", sample_rate=sample_rate, n_channels=2) as writer:
                for start in range(0, sound.shape[1], sample_rate):
                    writer.write(gain * sound[:, start : start + sample_rate])
                writer.finish()
                writer.publish()
        temporary.rename(target)
    except OSError as error:
        raise EncodeError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
