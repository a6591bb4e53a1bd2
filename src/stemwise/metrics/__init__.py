"""How close estimates come to their references: pure functions `metric(reference, estimate)` of waveforms."""

from stemwise.metrics.bsseval import BSSEval, bss_eval, window_sdr
from stemwise.metrics.ratios import SIRatios, sdr, si_ratios, si_sdr
from stemwise.metrics.spectral import Bleeding, bleeding

__all__ = [
    "BSSEval",
    "Bleeding",
    "SIRatios",
    "bleeding",
    "bss_eval",
    "sdr",
    "si_ratios",
    "si_sdr",
    "window_sdr",
]
