"""Another sample rate, block by block, through FFmpeg's libswresample with its default filter.

The default filter is the one that `ffmpeg -ar` uses, so that files are resampled as Spleeter does it. It is
linear-phase and time-aligned; there and back, a signal below 0.8 of the lower Nyquist frequency keeps an SDR
of 90 dB (docs/numerics.md#resampling).
"""

import av
import numpy as np

from stemwise.audio.frames import Block, join, to_block, to_frame
from stemwise.errors import ConfigError, ShapeError

FILTER_LENGTH = 32  # taps of libswresample's default filter at the lower of the two rates


class Resampler:
    """Converts a stream of blocks from one sample rate to another.

    However the input is divided into blocks, the output is the same, bit for bit, and its total length is
    `ceil(samples * rate_out / rate_in)` once `flush` has been called. Not to be used after `flush`.

    Args:
        rate_in: Hz of the blocks given.
        rate_out: Hz of the blocks returned.
        n_channels: of both; channels are not mixed.

    Raises:
        ConfigError: if a rate or the number of channels is not positive.
    """

    def __init__(self, rate_in: int, rate_out: int, n_channels: int) -> None:
        for name, value in (("rate_in", rate_in), ("rate_out", rate_out), ("n_channels", n_channels)):
            if value < 1:
                raise ConfigError(f"{name} is {value}: it must be at least 1")
        self.rate_in, self.rate_out, self.n_channels = rate_in, rate_out, n_channels
        self._converter = av.AudioResampler(format="flt", rate=rate_out)
        self._n_in = self._n_out = 0

    def process(self, block: Block) -> Block:
        """What can be said so far: `(channels, samples)` in, `(channels, samples)` out, perhaps 0 samples.

        Raises:
            ShapeError: if the block does not have `n_channels` channels.
        """
        if block.ndim != 2 or block.shape[0] != self.n_channels:
            raise ShapeError(f"block has shape {block.shape}: it must be ({self.n_channels}, samples)")
        if self.rate_in == self.rate_out:
            return block
        self._n_in += block.shape[1]
        return self._convert(block)

    def flush(self) -> Block:
        """The rest of the output, `(channels, samples)`."""
        n_total = -(-self._n_in * self.rate_out // self.rate_in)
        n_missing = n_total - self._n_out
        if not n_missing:
            return join([], self.n_channels)
        # Below about one filter length libswresample gives nothing at all: let it see silence behind.
        n_least = 2 * FILTER_LENGTH * max(1, -(-self.rate_in // self.rate_out))
        silence = np.zeros((self.n_channels, max(0, n_least - self._n_in)), np.float32)
        rest = join([self._convert(silence), self._convert(None)], self.n_channels)[:, :n_missing]
        # It may also stop one sample short of the last instant of the input: hold the last value.
        return np.pad(rest, ((0, 0), (0, n_missing - rest.shape[1])), mode="edge")

    def _convert(self, block: Block | None) -> Block:
        if block is not None and not block.shape[1]:
            return block
        frame = None if block is None else to_frame(block, self.rate_in)
        converted = [to_block(out, self.n_channels) for out in self._converter.resample(frame)]
        result = join(converted, self.n_channels)
        self._n_out += result.shape[1]
        return result
