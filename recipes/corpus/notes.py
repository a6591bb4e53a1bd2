"""What a part is made of."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 44_100
Audio = NDArray[np.float32]  # (2, samples) at SAMPLE_RATE


class Note(NamedTuple):
    """A note of a part.

    Attributes:
        start: in seconds.
        end: in seconds, after `start`.
        pitch: MIDI number, 60 is middle C; of a drum, its number in General MIDI's percussion map.
        velocity: 1 to 127.
    """

    start: float
    end: float
    pitch: int
    velocity: int
