"""Mixing many channels down to stereo.

Recommendation ITU-R BS.775-3 (08/2012), Annex 4, for 3/2 source signals to 2/0: `L + 0.7071 C + 0.7071 Ls`
on the left, the mirror image on the right, nothing of the low-frequency channel, and no normalisation, so
that the sum may exceed full scale. What it does not list follows its pattern: every surround or height
channel of one side at −3 dB; one in the middle at −3 dB and shared by both sides like the centre, so −6 dB.
"""

import numpy as np
from av.audio.layout import AudioLayout

from stemwise.audio.frames import Block

_HALF_POWER = 0.5**0.5  # −3 dB

# FFmpeg's channel names; (left, right). Names that are missing here carry no position.
GAINS: dict[str, tuple[float, float]] = {
    "FL": (1, 0),
    "FR": (0, 1),
    "FC": (_HALF_POWER, _HALF_POWER),
    "LFE": (0, 0),
    "LFE2": (0, 0),
    "FLC": (1, 0),
    "FRC": (0, 1),
    "WL": (1, 0),
    "WR": (0, 1),
    "DL": (1, 0),
    "DR": (0, 1),
    "BC": (0.5, 0.5),
    "TC": (0.5, 0.5),
    "TFC": (0.5, 0.5),
    "TBC": (0.5, 0.5),
    "BFC": (0.5, 0.5),
    **{name: (_HALF_POWER, 0) for name in ("BL", "SL", "SDL", "SSL", "TTL", "TFL", "TBL", "TSL", "BFL")},
    **{name: (0, _HALF_POWER) for name in ("BR", "SR", "SDR", "SSR", "TTR", "TFR", "TBR", "TSR", "BFR")},
}


def stereo_matrix(names: list[str]) -> Block:
    """Gains from each channel to left and right.

    Channels without positions (a wav file without a channel mask, say) count as the usual layout of their
    number: 3 as 2.1, 4 as 4.0, 5 as 5.0, 6 as 5.1, 7 as 6.1, 8 as 7.1. Where there is none (more than eight,
    or ambisonics), both sides get the mean of all channels.

    Args:
        names: FFmpeg's names of the channels, in order; more than two.

    Returns:
        float32 `(2, channels)`.
    """
    if not all(name in GAINS for name in names):
        if len(names) > 8 or any(name.startswith("AMBI") for name in names):
            return np.full((2, len(names)), 1 / len(names), np.float32)
        names = [channel.name for channel in AudioLayout(f"{len(names)}c").channels]
    return np.array([GAINS[name] for name in names], np.float32).T
