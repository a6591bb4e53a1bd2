"""From a run's configuration to its excerpts: which songs and files are trained on, which are held out."""

from dataclasses import dataclass
from pathlib import Path

from stemwise.data.cache import Cache, Samples
from stemwise.data.dataset import BatchSource, Excerpts
from stemwise.data.singles import find_singles
from stemwise.data.spleeter_csv import read_csv
from stemwise.data.track import ACCOMPANIMENT, MIXTURE, UNSPLIT, StemFile, Track
from stemwise.data.tracks import find_tracks
from stemwise.errors import ConfigError
from stemwise.train.config import TrainConfig
from stemwise.train.sections import DataConfig
from stemwise.types import STEMS

Songs = dict[str, dict[str, Samples]]


@dataclass(frozen=True, slots=True)
class Sources:
    """What a run learns from.

    Attributes:
        excerpts: of the songs and single files that are trained on.
        songs: the names of those songs.
        n_singles: how many those single files are.
        held_out: songs that are listened to and not trained on, `name -> stem -> samples`.
    """

    excerpts: BatchSource
    songs: tuple[str, ...]
    n_singles: int
    held_out: Songs


def load_sources(config: TrainConfig) -> Sources:
    """Find and decode everything.

    Raises:
        ConfigError: if a folder or a song to be held out is not there, two songs have one name, or there is
            nothing to draw a stem from.
        DecodeError: for a file that holds no sound that can be read.
    """
    data, model = config.data, config.model
    training, held_out = split(data, model.stems)
    cache = Cache(Path(data.cache), sample_rate=model.sample_rate)
    mix = data.mix_config(config.drawn_samples, model.sample_rate)
    singles = {stem: cache.load(find_singles(Path(folder))) for stem, folder in data.singles.items()}
    songs = _decoded(training, cache, model.stems, as_they_are=mix.plain)
    excerpts = Excerpts(songs, singles, stems=model.stems, config=mix)
    passages = _decoded(held_out, cache, model.stems, as_they_are=True)
    n_singles = sum(map(len, singles.values()))
    return Sources(excerpts=excerpts, songs=tuple(songs), n_singles=n_singles, held_out=passages)


def split(data: DataConfig, stems: tuple[str, ...]) -> tuple[list[Track], list[Track]]:
    """The songs to train on, and those to hold out. Songs of a subset "test" are neither.

    Raises:
        ConfigError: if a song to be held out is not there, or two songs have one name.
    """
    tracks = [track for source in data.songs for track in _tracks(source, data, stems)]
    held_out = [track for source in data.validation_songs for track in _tracks(source, data, stems)]
    training = []
    for track in tracks:
        if track.name in data.validation or track.subset == "valid":
            held_out.append(track)
        elif track.subset != "test":
            training.append(track)
    missing = set(data.validation) - {track.name for track in held_out}
    if missing:
        names = sorted(track.name for track in tracks)
        raise ConfigError(f"validation names {sorted(missing)}: the songs are {names}")
    seen: set[str] = set()
    for track in (*training, *held_out):
        if track.name in seen:
            raise ConfigError(f"two songs are named {track.name!r}: names must differ in all of songs")
        seen.add(track.name)
    return training, held_out


def _tracks(source: str, data: DataConfig, stems: tuple[str, ...]) -> list[Track]:
    if source.lower().endswith(".csv"):
        root = Path(data.root) if data.root else Path(source).parent
        return read_csv(Path(source), stems, root=root, names=data.names)
    # asked for or not, a mixture holds them
    known = tuple(dict.fromkeys((*STEMS, *data.names.values())))
    if ACCOMPANIMENT in stems:  # where it has no file, it is what the others leave
        return find_tracks(Path(source), tuple(dict.fromkeys((*stems, *known))), names=data.names)
    return find_tracks(Path(source), stems, names=data.names, beside=known)


def _decoded(tracks: list[Track], cache: Cache, stems: tuple[str, ...], *, as_they_are: bool) -> Songs:
    files = {
        (track.name, name): file
        for track in tracks
        for name, file in _needed(track, stems, as_it_is=as_they_are).items()
    }
    songs: Songs = {}
    for (song, name), samples in zip(files, cache.load(list(files.values())), strict=True):
        songs.setdefault(song, {})[name] = samples
    return songs


def _needed(track: Track, stems: tuple[str, ...], *, as_it_is: bool) -> dict[str, StemFile]:
    """The files that are heard: in a song's own mixture, its other stems are already."""
    if track.mixture is None:
        return track.files
    files = track.files
    if as_it_is and ACCOMPANIMENT not in stems:
        files = {stem: file for stem, file in files.items() if stem in (*stems, UNSPLIT)}
    return {**files, MIXTURE: track.mixture}
