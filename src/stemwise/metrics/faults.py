"""What is wrong with an estimate, one fault at a time: bleed, musical noise, smeared attacks.

A ratio of energies does not tell them apart. Each is measured where it is heard best: bleed and musical noise
where the others play alone, smear at the attacks of the reference.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from stemwise.errors import ShapeError

N_FFT, HOP_LENGTH = 2048, 512
ALONE = 100.0  # the others are 20 dB louder: what is heard there should not be
BLOCK_BINS, BLOCK_FRAMES = 16, 32  # musical noise comes and goes within 0.3 kHz and 0.4 s
AUDIBLE = 1e-6  # of the energy of the loudest block, or step
STEP_S = 0.005
STEPS_BEFORE, STEPS_AFTER, STEPS_APART = 6, 4, 20
ATTACK = 10**1.5  # 15 dB louder after than before


class Faults(NamedTuple):
    """Float64 scalars, each NaN where the song gives no opportunity to measure it.

    bleed: level in dB of what is left of the others where they play alone; 0 for the mixture, less is better.
    musical_noise: log10 of the kurtosis of the power there over what it is in the mixture; 0 where the rest
        is only softer, more where single bins are left standing.
    smear: by how many dB less attacks stand out of what is before them than in the reference.
    """

    bleed: Tensor
    musical_noise: Tensor
    smear: Tensor


def faults(reference: Tensor, estimate: Tensor, mixture: Tensor, *, sample_rate: int) -> Faults:
    """All three of a whole song.

    Args:
        reference: `(channels, samples)`.
        estimate: of the same shape.
        mixture: of the same shape; it less the reference is what the others play.
        sample_rate: Hz.

    Raises:
        ShapeError: if the shapes differ, or there is no sample.

    Source: the kurtosis ratio is that of Uemura et al., IWAENC 2008, here of blocks and with moments about
    zero; the other two are ours.
    """
    shapes = [tuple(signal.shape) for signal in (reference, estimate, mixture)]
    if len(set(shapes)) > 1 or reference.ndim != 2 or not reference.numel():
        raise ShapeError(
            f"reference, estimate and mixture are {shapes}: all must be the same (channels, samples), "
            "with at least one sample"
        )
    pieces = list(_pieces(torch.stack([reference, estimate, mixture - reference])))
    return Faults(_bleed(pieces), _musical_noise(pieces), _smear(reference, estimate, sample_rate))


class _Piece(NamedTuple):
    """`BLOCK_FRAMES` frames of a song."""

    bled: Tensor  # energies of estimate and rest where the rest is alone, (2,)
    energies: Tensor  # of reference and rest in each block, (2, blocks)
    kurtoses: Tensor  # of the power of estimate and rest, likewise


def _pieces(signals: Tensor) -> Iterator[_Piece]:
    """Of `(3, channels, samples)`: reference, estimate and rest."""
    window = torch.hann_window(N_FFT)
    n_samples = N_FFT + (BLOCK_FRAMES - 1) * HOP_LENGTH
    step = BLOCK_FRAMES * HOP_LENGTH
    for start in range(0, signals.shape[-1], step):
        samples = signals[..., start : start + n_samples].float()
        samples = torch.nn.functional.pad(samples, (0, n_samples - samples.shape[-1]))
        spectra = torch.fft.rfft(samples.unfold(-1, N_FFT, HOP_LENGTH) * window)
        power = (spectra.real.square() + spectra.imag.square()).sum(dim=1).double()  # (3, frames, bins)
        reference, estimate, rest = power
        alone = rest > ALONE * reference
        bands = power[..., : N_FFT // 2].unflatten(-1, (-1, BLOCK_BINS))  # (3, frames, blocks, bins)
        blocks = bands.movedim(1, -1).flatten(-2)
        moments = [blocks[1:].pow(order).mean(dim=-1) for order in (2, 4)]
        yield _Piece(
            bled=torch.stack([estimate[alone].sum(), rest[alone].sum()]),
            energies=blocks[::2].sum(dim=-1),
            kurtoses=moments[1] / moments[0].square(),
        )


def _bleed(pieces: list[_Piece]) -> Tensor:
    left, played = torch.stack([piece.bled for piece in pieces]).sum(dim=0)
    return 10 * torch.log10(left / played)


def _musical_noise(pieces: list[_Piece]) -> Tensor:
    reference, rest = torch.cat([piece.energies for piece in pieces], dim=-1)
    estimated, played = torch.cat([piece.kurtoses for piece in pieces], dim=-1)
    ratios = torch.log10(estimated / played)[(rest > ALONE * reference) & (rest > AUDIBLE * rest.max())]
    return ratios.nanmedian()


def _smear(reference: Tensor, estimate: Tensor, sample_rate: int) -> Tensor:
    step = max(round(STEP_S * sample_rate), 1)
    energies = torch.stack([_of_steps(signal, step) for signal in (reference, estimate)])
    if energies.shape[-1] < STEPS_BEFORE + STEPS_AFTER:
        return torch.tensor(torch.nan, dtype=torch.float64)
    floor = AUDIBLE * energies[0].max()
    before = energies[:, :-STEPS_AFTER].unfold(-1, STEPS_BEFORE, 1).mean(dim=-1).clamp(min=floor)
    after = energies[:, STEPS_BEFORE:].unfold(-1, STEPS_AFTER, 1).mean(dim=-1).clamp(min=floor)
    rises = after / before
    around = torch.nn.functional.max_pool1d(rises[:1], 2 * STEPS_APART + 1, stride=1, padding=STEPS_APART)[0]
    attacks = (rises[0] > ATTACK) & (rises[0] == around) & (after[0] > 100 * floor)
    return (10 * torch.log10(rises[0] / rises[1]))[attacks].nanmedian()


def _of_steps(signal: Tensor, step: int) -> Tensor:
    n_steps = signal.shape[-1] // step
    power = signal[:, : n_steps * step].double().square().sum(dim=0)
    return power.reshape(n_steps, step).sum(dim=-1)
