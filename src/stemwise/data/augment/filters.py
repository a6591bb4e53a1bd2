"""Frequencies raised and lowered by linear filters."""

import math

import torch
from torch import Tensor

from stemwise.data.augment.draws import from_db, next_power_of_two, per_example, per_stem

EQUALISER_HZ = (60.0, 150.0, 375.0, 940.0, 2350.0, 5900.0, 14_700.0)  # a factor of 2.5 apart
EQUALISER_Q = 1.0  # neighbours meet at about half their gain
RING_S = 0.15  # more than the impulse responses of these filters last, before and after the impulse together


def inverse_gaussian_filter(
    sources: Tensor,
    rng: torch.Generator,
    *,
    sample_rate: int,
    max_centre_hz: float = 4410.0,
    min_width_hz: float = 500.0,
    max_width_hz: float = 1000.0,
) -> Tensor:
    """A band taken out of all stems of an example alike, without any delay.

    Args:
        sources: `(batch, stems, channels, samples)`.
        rng: draws two numbers per example.
        sample_rate: Hz.
        max_centre_hz: the centre of the band is drawn evenly between 0 Hz and this.
        min_width_hz: the standard deviation of the Gaussian is drawn evenly between this ...
        max_width_hz: ... and this.

    Source: Prétet et al. 2019 (arXiv 1906.02618), "filter".
    """
    centre = per_example(rng, sources, 0, max_centre_hz)
    width = per_example(rng, sources, min_width_hz, max_width_hz)
    hz = _frequencies(sample_rate, sources)
    return apply_response(sources, inverse_gaussian(hz, centre, width))


def inverse_gaussian(hz: Tensor, centre: Tensor, width: Tensor) -> Tensor:
    """`1 − exp(−(f − µ)² / 2σ²)`: the gain at frequencies f for a centre µ and a width σ, all in Hz."""
    return -torch.expm1(-0.5 * ((hz - centre) / width).square())


def equalise(
    sources: Tensor, rng: torch.Generator, *, sample_rate: int, low_db: float = -9.0, high_db: float = 9.0
) -> Tensor:
    """Seven bands of each stem raised or lowered, as by an equaliser in a mixing desk.

    Args:
        sources: `(batch, stems, channels, samples)`.
        rng: draws seven numbers per stem.
        sample_rate: Hz; bands that do not fit below half of it have no effect.
        low_db: lowest gain of a band, dB.
        high_db: highest gain of a band, dB.
    """
    hz = _frequencies(sample_rate, sources)
    response = torch.ones_like(hz, dtype=torch.complex64)
    for centre in EQUALISER_HZ:
        level = per_stem(rng, sources, low_db, high_db)
        if centre < 0.45 * sample_rate:
            response = response * peak_response(hz, centre, level, sample_rate=sample_rate)
    return apply_response(sources, response)


def peak_response(hz: Tensor, centre: float, level_db: Tensor, *, sample_rate: int) -> Tensor:
    """Complex gain of a second-order peaking filter.

    Source: R. Bristow-Johnson, "Cookbook formulae for audio equalizer biquad filter coefficients", peakingEQ.
    """
    omega = 2 * math.pi * centre / sample_rate
    alpha, cosine = math.sin(omega) / (2 * EQUALISER_Q), math.cos(omega)
    amplitude = from_db(level_db / 2)
    z = torch.polar(torch.ones_like(hz), -2 * math.pi * hz / sample_rate)  # a delay of one sample
    numerator = (1 + alpha * amplitude) - 2 * cosine * z + (1 - alpha * amplitude) * z.square()
    return numerator / ((1 + alpha / amplitude) - 2 * cosine * z + (1 - alpha / amplitude) * z.square())


def _frequencies(sample_rate: int, like: Tensor) -> Tensor:
    """Those at which `apply_response` takes gains, Hz."""
    hz: Tensor = torch.fft.rfftfreq(next_power_of_two(math.ceil(RING_S * sample_rate)), 1 / sample_rate)
    return hz.to(like.device)


def apply_response(sources: Tensor, response: Tensor) -> Tensor:
    """Sources `(..., samples)` through a filter of gains `(..., bins)`, from 0 Hz to half the sample rate.

    The filter's impulse response has `2 (bins − 1)` samples, half of them before the impulse.
    """
    n_taps, n_samples = 2 * (response.shape[-1] - 1), sources.shape[-1]
    n_fft = next_power_of_two(n_samples + n_taps)
    impulse = torch.fft.irfft(response, n_taps).roll(n_taps // 2, -1)
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(sources, n_fft) * torch.fft.rfft(impulse, n_fft), n_fft)
    return filtered[..., n_taps // 2 : n_taps // 2 + n_samples]
