"""What every member of a family must do, whatever else it does."""

from pathlib import Path

import numpy as np

from sounds import read, sdr_db
from stemwise.audio import AudioReader
from stemwise.audio.frames import Block
from stemwise.data.cache import Cache
from stemwise.data.tracks import Track, read_mixture, read_sources


def check_reader(path: Path, sound: Block, *, least_sdr_db: float = 100.0, exact_length: bool = True) -> None:
    """A file of this sound is read whole, in blocks, again and again, and in slices equal to the whole."""
    with AudioReader(path) as reader:
        blocks = list(reader.blocks())
        again = list(reader.blocks())
        rate = reader.sample_rate
    whole = np.concatenate(blocks, axis=1)
    n_samples = sound.shape[1]
    assert whole.dtype == np.float32
    assert reader.n_channels == reader.info.n_channels == len(sound) == len(whole)
    assert whole.shape[1] == n_samples if exact_length else whole.shape[1] >= n_samples
    assert all(block.shape[1] <= rate + 4096 and block.flags.writeable for block in blocks)
    assert sdr_db(sound, whole[:, :n_samples]) > least_sdr_db
    np.testing.assert_array_equal(whole, np.concatenate(again, axis=1))
    for offset_s, duration_s in ((0.0, 0.1), (0.0123, 0.5), (0.7, None), (1e6, 1.0)):
        start = round(offset_s * rate)
        stop = whole.shape[1] if duration_s is None else start + round(duration_s * rate)
        part = read(path, offset_s=offset_s, duration_s=duration_s)
        np.testing.assert_array_equal(part, whole[:, start:stop])


def check_track_source(
    tracks: list[Track],
    songs: dict[str, dict[str, Block]],
    *,
    folder: Path,
    sample_rate: int,
    least_sdr_db: float,
) -> None:
    """Songs of known stems, stereo and of one length, are found and read: each stem its own, to the sample.

    The mixture is the sum of the stems, whether the song brings its own or not, and what training reads from
    the cache (made in `folder`) is what evaluation reads.
    """
    assert [track.name for track in tracks] == list(songs)
    for track in tracks:
        expected = songs[track.name]
        assert set(track.files) == set(expected)
        assert track.subset in (None, "train", "valid", "test")
        sources = read_sources(track, sample_rate=sample_rate)
        assert set(sources) == set(expected)
        for stem, source in sources.items():
            assert (source.dtype, source.shape) == (np.float32, expected[stem].shape)
            assert sdr_db(expected[stem], source) > least_sdr_db
        mixture = read_mixture(track, sample_rate=sample_rate)
        assert mixture.dtype == np.float32
        assert sdr_db(np.sum(list(expected.values()), axis=0), mixture) > least_sdr_db
        cached = Cache(folder, sample_rate=sample_rate).load(list(track.files.values()))
        for stem, samples in zip(track.files, cached, strict=True):
            np.testing.assert_array_equal(samples, sources[stem].astype(np.float16))
        halved = read_sources(track, sample_rate=sample_rate // 2)
        (n_halved,) = {source.shape[1] for source in halved.values()}
        assert abs(2 * n_halved - mixture.shape[1]) <= 1
