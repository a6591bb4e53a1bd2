"""How close estimates come to their references: pure functions `metric(reference, estimate)` of waveforms."""

from stemwise.metrics.bsseval import BSSEval, bss_eval, window_sdr
from stemwise.metrics.faults import Faults, faults
from stemwise.metrics.ratios import SIRatios, sdr, si_ratios, si_sdr
from stemwise.metrics.spectral import Bleeding, bleeding

__all__ = [
    "BSSEval",
    "Bleeding",
    "Faults",
    "SIRatios",
    "bleeding",
    "bss_eval",
    "faults",
    "sdr",
    "si_ratios",
    "si_sdr",
    "window_sdr",
]
