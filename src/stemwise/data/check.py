"""What is wrong with a data set, before a model learns it by heart.

An error spoils training or evaluation; a warning is worth a look.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from stemwise.data import musdb
from stemwise.data.folders import is_audio_file
from stemwise.data.measure import SongFigures, SoundFigures, measure
from stemwise.data.track import MIXTURE, Track

SILENT_DB = -60.0  # peak below which a stem is called silent, of full scale
MOST_CLIPPED = 1e-4  # share of samples; lossy codecs overshoot here and there
TOLERANCE_S = 0.1  # by which lengths may differ
LEAST_SUM_DB = (
    15.0  # SDR from which the stems add up to the mixture; coded as AAC each, they reach 20 and more
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error or a warning: the song, the stem (None for the song as a whole), and what is the matter."""

    level: Literal["error", "warning"]
    song: str
    stem: str | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """Every song of a data set, and everything wrong with it."""

    songs: tuple[SongFigures, ...]
    problems: tuple[Problem, ...]

    @property
    def n_errors(self) -> int:
        return sum(problem.level == "error" for problem in self.problems)


def check(
    tracks: Sequence[Track],
    *,
    source: Path | None = None,
    report: Callable[[SongFigures], None] = lambda _: None,
) -> DataReport:
    """Decode every file of every song, several songs at a time, and look for what is wrong.

    Args:
        tracks: see `stemwise.data.tracks.find_tracks`.
        source: where they were found: audio files in a folder that no song uses are then told.
        report: called after each song.
    """
    songs = []
    with ThreadPoolExecutor() as pool:
        for song in pool.map(measure, tracks):
            songs.append(song)
            report(song)
    problems = [problem for song in songs for problem in _of_song(song)]
    unused = _unused(source, tracks) if source and source.is_dir() else ()
    return DataReport(songs=tuple(songs), problems=(*problems, *_same_audio(songs), *unused))


def is_silent(sound: SoundFigures) -> bool:
    return sound.peak_db is None or sound.peak_db < SILENT_DB


def _of_song(song: SongFigures) -> Iterator[Problem]:
    for stem, reason in song.failures.items():
        yield Problem(level="error", song=song.name, stem=stem, text=reason)
    longest = max((sound.duration_s for sound in song.sounds.values()), default=0.0)
    for stem, sound in song.sounds.items():
        for level, text in _of_sound(sound, longest):
            yield Problem(level=level, song=song.name, stem=stem, text=text)
    rates = sorted({sound.sample_rate for sound in song.sounds.values()})
    is_late = any(sound.lag_samples for sound in song.sounds.values())
    warnings = []
    if len(rates) > 1:
        warnings.append(f"its files have different sample rates, {', '.join(map(str, rates))} Hz")
    if song.sum_sdr_db is not None and song.sum_sdr_db < LEAST_SUM_DB and not is_late:
        warnings.append(
            f"its stems do not add up to its mixture: {song.sum_sdr_db:.1f} dB SDR,"
            f" where {LEAST_SUM_DB:.0f} would do; a stem is missing, upside down, or was processed otherwise"
        )
    if song.subset != "test" and _plain(song.name) in {_plain(name) for name in musdb.TEST_SONGS}:
        warnings.append(
            "is one of MUSDB18's test songs: a model that was trained on it must not be scored on them"
        )
    for text in warnings:
        yield Problem(level="warning", song=song.name, stem=None, text=text)


def _of_sound(sound: SoundFigures, longest_s: float) -> "Iterator[tuple[Literal['error', 'warning'], str]]":
    if not sound.duration_s:
        yield "error", "has no samples"
    elif is_silent(sound):
        yield "warning", "is silent"
    if sound.lag_samples:
        when = "late" if sound.lag_samples > 0 else "early"
        yield "error", f"is {abs(sound.lag_samples)} samples too {when} against the mixture"
    if sound.clipped > MOST_CLIPPED:
        yield "warning", f"clips: {sound.clipped:.2%} of its samples are at full scale"
    if sound.missing_s > TOLERANCE_S:
        yield "warning", f"is cut off: its header says {sound.missing_s:.1f} s more"
    elif sound.duration_s and longest_s - sound.duration_s > TOLERANCE_S:
        yield "warning", f"ends {longest_s - sound.duration_s:.1f} s before the longest file of the song"


def _same_audio(songs: Sequence[SongFigures]) -> Iterator[Problem]:
    """Stems that are equal sample by sample, silence aside; one problem for each pair of songs."""
    places = defaultdict[str, list[tuple[SongFigures, str]]](list)
    for song in songs:
        for stem, sound in song.sounds.items():
            if stem != MIXTURE and sound.duration_s and not is_silent(sound):
                places[sound.digest].append((song, stem))
    pairs = defaultdict[tuple[int, int], list[str]](list)
    order = {song.name: number for number, song in enumerate(songs)}
    for found in places.values():
        first, stem = found[0]
        for other, other_stem in found[1:]:
            named = stem if stem == other_stem else f"{stem} as {other_stem}"
            pairs[order[first.name], order[other.name]].append(named)
    for (i, j), stems in pairs.items():
        first, other = songs[i], songs[j]
        is_error = first is other or first.subset != other.subset
        where = "itself" if first is other else other.name
        subset = f" of subset {other.subset}" if first.subset != other.subset else ""
        yield Problem(
            level="error" if is_error else "warning",
            song=first.name,
            stem=None,
            text=f"has the same audio as {where}{subset}: {', '.join(stems)}",
        )


def _unused(folder: Path, tracks: Sequence[Track]) -> Iterator[Problem]:
    sounds = [sound for track in tracks for sound in (*track.files.values(), track.mixture) if sound]
    used = {sound.path for sound in sounds}
    unused = [path for path in sorted(folder.rglob("*")) if is_audio_file(path) and path not in used]
    for place, paths in groupby(unused, lambda path: path.parent):
        names = ", ".join(path.name for path in paths)
        song = str(place.relative_to(folder))
        yield Problem(level="warning", song=song, stem=None, text=f"no song uses {names}")


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
