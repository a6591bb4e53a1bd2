"""Sound through a lossy codec and back, in memory: what a listener to the encoded file would hear."""

import io

import numpy as np

from stemwise.audio.codecs import find_codec, nearest_sample_rate
from stemwise.audio.decode import AudioReader
from stemwise.audio.frames import Block, join
from stemwise.audio.mux import EncoderConfig, FFmpegEncoder
from stemwise.audio.resample import Resampler
from stemwise.audio.tags import Tags
from stemwise.errors import ConfigError


def round_trip(block: Block, *, codec: str, sample_rate: int, bitrate: int) -> Block:
    """The block encoded and decoded, every sample where it was.

    Args:
        block: `(channels, samples)`, 1 or 2 channels.
        codec: "mp3", "m4a" or "opus": those whose files state their length to the sample.
        sample_rate: Hz; where the codec cannot hold it, the nearest one that it can is used on the way.
        bitrate: bit/s.

    Returns:
        As the block.

    Raises:
        ConfigError: if the codec is another one.
    """
    if codec not in ("mp3", "m4a", "opus"):
        raise ConfigError(f"codec is {codec!r}: for a round trip it must be mp3, m4a or opus")
    n_channels, n_samples = block.shape
    if not n_samples:
        return block
    coded_rate = nearest_sample_rate(codec, sample_rate)
    resampler = Resampler(sample_rate, coded_rate, n_channels)
    file = io.BytesIO()
    config = EncoderConfig(
        codec=find_codec(codec),
        sample_rate=coded_rate,
        n_channels=n_channels,
        bit_depth=None,
        bitrate=bitrate,
        tags=Tags(),
    )
    encoder = FFmpegEncoder(file, config)
    for part in (resampler.process(block), resampler.flush()):
        if part.shape[1]:
            encoder.write(part)
    encoder.close()
    with AudioReader(file, sample_rate=sample_rate) as reader:
        decoded = join(list(reader.blocks()), n_channels)[:, :n_samples]
    return np.pad(decoded, ((0, 0), (0, n_samples - decoded.shape[1])))
