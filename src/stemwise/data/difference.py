"""The voice as the difference of a song and its instrumental version: pure functions of waveforms.

Source: Prétet et al., "Singing voice separation: a study on training data", ICASSP 2019, section 2 (the data
set "Catalog"): recordings aligned by correlation, their loudness equalised, the voice estimated as the
half-wave rectified difference of the spectrograms. The phase is the mixture's.
"""

import numpy as np
import torch

from stemwise.audio.frames import Block
from stemwise.data.alignment import PIECE, Alignment
from stemwise.stft import STFTConfig, istft, stft

STFT = STFTConfig()
CHUNK_FRAMES = 512  # transformed at a time


def common_part(mixture: Block, instrumental: Block) -> tuple[Block, Block, int] | None:
    """Where the two play the same: both cut to equal length, sample on sample.

    Returns:
        The parts, and by how many samples the instrumental was late; None if they have nothing in common.
    """
    alignment = Alignment()
    for start in range(0, min(mixture.shape[1], instrumental.shape[1]), PIECE):
        alignment.add(mixture[:, start : start + PIECE], instrumental[:, start : start + PIECE])
    lag = alignment.lag()
    if lag is None:
        return None
    mixture, instrumental = mixture[:, max(0, -lag) :], instrumental[:, max(0, lag) :]
    n_samples = min(mixture.shape[1], instrumental.shape[1])
    return mixture[:, :n_samples], instrumental[:, :n_samples], lag


def gain_in(mixture: Block, instrumental: Block) -> float:
    """Gain with which the instrumental is as loud as the same music in the mixture, by least squares.

    It is negative if one of them is upside down, and 0 if the instrumental is silent. A voice that has
    nothing in common with the instrumental does not change it; equal loudness of the two recordings as
    wholes would take the voice for a louder band.
    """
    energy = float(np.vdot(instrumental, instrumental))
    return float(np.vdot(mixture, instrumental)) / energy if energy else 0.0


def voice(mixture: Block, instrumental: Block) -> Block:
    """`max(|M| - |I|, 0)` in every bin of the transform, with the phase of M; of the mixture's shape."""
    n_samples, hop = mixture.shape[1], STFT.hop_length
    start = STFT.n_fft - hop  # of silence, so that the first sample lies in as many frames as all others
    n_frames = -(-(start + n_samples) // hop)
    padding = ((0, 0), (start, n_frames * hop - n_samples))
    both = torch.from_numpy(np.stack([np.pad(mixture, padding), np.pad(instrumental, padding)]))
    waveform = torch.zeros_like(both[0])
    for first in range(0, n_frames, CHUNK_FRAMES):
        n_chunk = min(CHUNK_FRAMES, n_frames - first)
        part = slice(first * hop, (first + n_chunk - 1) * hop + STFT.n_fft)
        spectrum, other = stft(both[..., part], STFT)
        magnitude = spectrum.abs()
        share = (magnitude - other.abs()).clamp(min=0) / magnitude.clamp(min=1e-20)
        waveform[:, part] += istft(spectrum * share, STFT)
    estimate: Block = waveform[:, start : start + n_samples].numpy()
    return estimate
