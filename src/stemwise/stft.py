"""Short-time Fourier transform and its inverse, on plain frames.

Frame `i` covers samples `[i * hop_length, i * hop_length + n_fft)`: no centring and no padding here.
The engine pads (see `stemwise.overlap`), and these two functions stay the linear maps they are.
Window: periodic Hann for analysis and synthesis, as Spleeter has it (docs/numerics.md#stft).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stemwise.errors import ConfigError, ShapeError


@dataclass(frozen=True, slots=True, kw_only=True)
class STFTConfig:
    """Frame length and step in samples; `hop_length` divides `n_fft` at least four times over.

    `gain` of a transform and its inverse is 1, but for models whose stems must agree with those of another
    implementation (docs/numerics.md#tensorflow-gain).
    """

    n_fft: int = 4096
    hop_length: int = 1024
    gain: float = 1.0

    def __post_init__(self) -> None:
        if self.n_fft < 8 or self.n_fft & (self.n_fft - 1):
            raise ConfigError(f"n_fft is {self.n_fft}: it must be a power of two, at least 8")
        if not 0 < self.gain < math.inf:
            raise ConfigError(f"gain is {self.gain}: it must be positive")
        if self.hop_length < 1 or self.n_fft % self.hop_length or self.n_fft < 4 * self.hop_length:
            raise ConfigError(
                f"hop_length is {self.hop_length}: it must divide n_fft / 4 = {self.n_fft // 4}"
            )

    @property
    def n_bins(self) -> int:
        return self.n_fft // 2 + 1

    @property
    def synthesis_gain(self) -> float:
        """`gain` over the overlapped squared windows: 2/3 at a hop of a quarter frame.

        Source: Σ_m w²(n − mH) = 3L / 8H for a periodic Hann window and L / H ≥ 3.
        """
        return self.gain * 8 * self.hop_length / (3 * self.n_fft)


def stft(waveform: Tensor, config: STFTConfig) -> Tensor:
    """Spectrum of every whole frame.

    Args:
        waveform: `(..., samples)`, samples >= n_fft.
        config: frame length and step.

    Returns:
        Complex `(..., bins, frames)` with `frames = 1 + (samples - n_fft) // hop_length`, unscaled.
        The memory order is frames-major: the last two axes are a transposed view.

    Raises:
        ShapeError: if there is less than one frame of samples.
    """
    if waveform.shape[-1] < config.n_fft:
        raise ShapeError(f"waveform has {waveform.shape[-1]} samples: one frame needs {config.n_fft}")
    window = torch.hann_window(config.n_fft, device=waveform.device, dtype=waveform.dtype)
    frames = waveform.unfold(-1, config.n_fft, config.hop_length) * window
    spectrum: Tensor = torch.fft.rfft(frames).transpose(-1, -2)
    return spectrum


def magnitudes(spectrum: Tensor) -> Tensor:
    """`spectrum.abs()`, in less than half the time: without its care for numbers beyond 1e19."""
    return spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag).sqrt_()


def istft(spectrum: Tensor, config: STFTConfig) -> Tensor:
    """Windowed overlap-add: the inverse of `stft` wherever all frames of a sample are present.

    Args:
        spectrum: complex `(..., bins, frames)`, frames >= 1.
        config: frame length and step.

    Returns:
        `(..., samples)` with `samples = (frames - 1) * hop_length + n_fft`. The first and last
        `n_fft - hop_length` samples are fade-in and fade-out, still to be overlapped.
    """
    window = torch.hann_window(config.n_fft, device=spectrum.device, dtype=spectrum.real.dtype)
    frames = torch.fft.irfft(spectrum.transpose(-1, -2), n=config.n_fft)
    frames = frames.mul_(window * config.synthesis_gain)
    n_frames, per_frame = frames.shape[-2], config.n_fft // config.hop_length
    parts = frames.unflatten(-1, (per_frame, config.hop_length))
    waveform = parts.new_zeros(*parts.shape[:-3], n_frames + per_frame - 1, config.hop_length)
    for shift in range(per_frame):
        waveform[..., shift : shift + n_frames, :] += parts[..., shift, :]
    whole: Tensor = waveform.flatten(-2)
    return whole
