"""How much later a sound is in one recording than in another, in constant memory.

Cross-correlation with phases only: the cross-spectrum is averaged over pieces of the recordings, each bin
scaled to magnitude 1, and transformed back. What the recordings have in common makes one sharp peak at its
lag, however loud the rest is.

Source: Knapp and Carter, "The generalized correlation method for estimation of time delay", IEEE Trans. ASSP
24(4), 1976 (the phase transform, PHAT).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stemwise.audio.frames import Block

PIECE = 2**18  # samples, 6 s at 44.1 kHz: lags up to half of it are found
ENOUGH = 10  # pieces: more do not make it clearer
AUDIBLE = 1e-3  # peak of a piece that is taken, -60 dB
CLEAR = 10.0  # peak, as a multiple of the root mean square, from which a lag is believed; of chance it is 5
AS_GOOD = 0.9  # of the peak: no lag at all is believed then, for low notes do not tell a few samples apart


class Alignment:
    """Feed pieces of two recordings that begin together, `(channels, PIECE)` each, then ask for the lag."""

    def __init__(self) -> None:
        self._sum: NDArray[np.complex128] = np.zeros(PIECE // 2 + 1, np.complex128)
        self._n_pieces = 0

    def add(self, reference: Block, other: Block) -> None:
        """The next piece of both, of the same channels; what only one of them has does not count."""
        n_samples = min(reference.shape[1], other.shape[1])
        pieces = reference[:, :n_samples], other[:, :n_samples]
        if self._n_pieces == ENOUGH or not all(np.any(np.abs(piece) > AUDIBLE) for piece in pieces):
            return
        self._n_pieces += 1
        window = _window(n_samples)  # or else the edges are what they have in common
        spectra = [np.fft.rfft(window * piece, PIECE) for piece in pieces]
        cross = spectra[1] * spectra[0].conj()
        self._sum += cross.sum(axis=0)

    def lag(self) -> int | None:
        """Samples by which `other` is later than `reference`; None if nothing clear is common to both."""
        magnitude = np.abs(self._sum)
        loud = magnitude > 1e-6 * magnitude.max()  # the rest is rounding
        phases = np.divide(self._sum, magnitude, out=np.zeros_like(self._sum), where=loud)
        correlation = np.abs(np.fft.irfft(phases, PIECE))  # one of the two may be upside down
        peak = int(correlation.argmax())
        if not correlation[peak] > CLEAR * np.sqrt(np.mean(np.square(correlation))):
            return None
        if correlation[0] > AS_GOOD * correlation[peak]:
            return 0
        return peak if peak < PIECE // 2 else peak - PIECE


@lru_cache(maxsize=4)
def _window(n_samples: int) -> NDArray[np.float32]:
    return np.hanning(n_samples).astype(np.float32)
