"""Between our blocks, numpy `(channels, samples)`, and PyAV's frames, which are kept interleaved here.

Interleaved, because PyAV 18.1 reads past the list of planes when a planar frame has eight channels or more.
Decoded frames of fewer, of planar float32, are taken as they are.
"""

from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

SAFE_PLANES = 7  # channels
Block: TypeAlias = NDArray[np.float32]  # (channels, samples), full scale is 1


def to_frame(block: NDArray[Any], sample_rate: int, *, format: str = "flt", position: int = 0) -> AudioFrame:
    """Pack a block into a frame.

    Args:
        block: `(channels, samples)`, samples >= 1, of the type that `format` names.
        sample_rate: Hz.
        format: FFmpeg's name of an interleaved sample format: flt, s16, s32.
        position: number of the block's first sample in its stream.
    """
    n_channels = block.shape[0]
    layout = {1: "mono", 2: "stereo"}.get(n_channels, f"{n_channels} channels")
    packed = np.ascontiguousarray(block.T).reshape(1, -1)
    frame = AudioFrame.from_ndarray(packed, format=format, layout=layout)
    frame.sample_rate = sample_rate
    frame.time_base, frame.pts = Fraction(1, sample_rate), position
    return frame


def is_block(frame: AudioFrame) -> bool:
    """Whether `to_block` takes a frame as it is: planar float32, as most lossy codecs give."""
    return frame.format.name == "fltp" and frame.layout.nb_channels <= SAFE_PLANES


def to_block(frame: AudioFrame, n_channels: int) -> Block:
    """Unpack a frame of interleaved float32, or one that `is_block`, into a block of its own memory."""
    packed = frame.to_ndarray()
    if frame.format.is_planar:
        return np.asarray(packed, np.float32)
    return np.array(packed.reshape(-1, n_channels).T, dtype=np.float32, order="C")


def join(blocks: list[Block], n_channels: int) -> Block:
    return np.concatenate([np.zeros((n_channels, 0), np.float32), *blocks], axis=1)
