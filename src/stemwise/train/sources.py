"""From a run's configuration to its excerpts: which songs and files are trained on, which are held out."""

from pathlib import Path

from stemwise.data.dataset import Excerpts, MixConfig
from stemwise.data.tracks import Samples, decode_all, find_tracks
from stemwise.errors import ConfigError
from stemwise.train.config import TrainConfig

HELD_OUT_EVERY = 20  # of the single files: they have no song whose name could be given


def load_excerpts(config: TrainConfig) -> tuple[Excerpts, Excerpts | None]:
    """Excerpts to train on, and excerpts of the held-out songs; None if there are none.

    Raises:
        ConfigError: if a song to be held out is not there, or two songs have one name.
        DecodeError: for a file that holds no sound that can be read.
    """
    data, model = config.data, config.model
    mix = MixConfig(
        excerpt_samples=model.stft.n_fft + (data.excerpt_frames - 1) * model.stft.hop_length,
        pool_shares=data.pool_shares,
        drive_shares=data.drive_shares,
        song_weights=data.song_weights,
    )
    songs, singles = _songs(config), _singles(config)
    for stem in model.stems:
        share = data.pool_shares.get(stem, 0.0)
        in_songs, in_singles = any(stem in song for song in songs.values()), bool(singles.get(stem))
        if (share < 1 and not in_songs) or (share > 0 and not in_singles):
            raise ConfigError(f"there is nothing to draw {stem!r} from; its share of single files is {share}")
    missing = set(data.validation) - set(songs)
    if missing:
        raise ConfigError(f"validation names {sorted(missing)}: the songs are {sorted(songs)}")
    held = {name: songs.pop(name) for name in data.validation}
    held_singles = {stem: files[::HELD_OUT_EVERY] for stem, files in singles.items()} if held else {}
    if held:
        singles = {
            stem: [f for i, f in enumerate(files) if i % HELD_OUT_EVERY] for stem, files in singles.items()
        }
    training = Excerpts(songs, singles, stems=model.stems, config=mix)
    return training, Excerpts(held, held_singles, stems=model.stems, config=mix) if held else None


def _songs(config: TrainConfig) -> dict[str, dict[str, Samples]]:
    tracks = [
        track for folder in config.data.songs for track in find_tracks(Path(folder), config.model.stems)
    ]
    songs: dict[str, dict[str, Samples]] = {}
    for track in tracks:
        if track.name in songs:
            raise ConfigError(f"two songs are named {track.name!r}: names must differ in {config.data.songs}")
        songs[track.name] = dict(zip(track.files, _decoded(list(track.files.values()), config), strict=True))
    return songs


def _singles(config: TrainConfig) -> dict[str, list[Samples]]:
    return {
        stem: _decoded(sorted(path for path in Path(folder).iterdir() if path.is_file()), config)
        for stem, folder in config.data.singles.items()
    }


def _decoded(paths: list[Path], config: TrainConfig) -> list[Samples]:
    return decode_all(paths, sample_rate=config.model.sample_rate, cache=Path(config.data.cache))
