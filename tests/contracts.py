"""What every member of a family must do, whatever else it does."""

from pathlib import Path

import numpy as np

from sounds import read, sdr_db
from stemwise.audio import AudioReader
from stemwise.audio.frames import Block


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
