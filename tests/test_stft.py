import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stemwise.errors import ConfigError, ShapeError
from stemwise.stft import STFTConfig, istft, magnitudes, stft
from tolerances import FLOAT_ROUNDING, ROUND_TRIP

SMALL = STFTConfig(n_fft=64, hop_length=16)


def test_stft_is_the_windowed_fourier_sum(rng: torch.Generator) -> None:
    waveform = torch.randn(2, 64 + 2 * 16, generator=rng, dtype=torch.float64)
    n = np.arange(64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / 64)
    matrix = np.exp(-2j * np.pi * np.outer(np.arange(33), n) / 64)
    by_hand = np.stack(
        [matrix @ (window * waveform[1, 16 * i : 16 * i + 64].numpy()) for i in range(3)], axis=-1
    )
    np.testing.assert_allclose(stft(waveform, SMALL)[1].numpy(), by_hand, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(n_frames=st.integers(7, 40), per_frame=st.sampled_from([4, 8, 16]), channels=st.integers(1, 3))
def test_inverse_restores_every_sample_that_all_its_frames_hold(
    n_frames: int, per_frame: int, channels: int
) -> None:
    config = STFTConfig(n_fft=64, hop_length=64 // per_frame)
    n_samples = (n_frames - 1) * config.hop_length + 64
    waveform = torch.rand(channels, n_samples, generator=torch.Generator().manual_seed(n_frames)) - 0.5
    restored = istft(stft(waveform, config), config)
    assert restored.shape == waveform.shape
    inside = slice(64 - config.hop_length, n_samples - 64 + config.hop_length)
    torch.testing.assert_close(restored[:, inside], waveform[:, inside], atol=FLOAT_ROUNDING, rtol=0)


def test_agrees_with_torch_without_centring(rng: torch.Generator) -> None:
    waveform = torch.randn(20000, generator=rng)
    theirs = torch.stft(
        waveform, 4096, 1024, window=torch.hann_window(4096), center=False, return_complex=True
    )
    torch.testing.assert_close(stft(waveform, STFTConfig()), theirs, atol=ROUND_TRIP * 100, rtol=0)


def test_magnitudes_are_absolute_values(rng: torch.Generator) -> None:
    spectrum = stft(torch.randn(2, 20000, generator=rng), STFTConfig())
    torch.testing.assert_close(magnitudes(spectrum), spectrum.abs(), atol=0, rtol=1e-6)
    assert magnitudes(spectrum).stride() == spectrum.abs().stride()


@pytest.mark.parametrize(("n_fft", "hop_length"), [(100, 25), (4, 1), (64, 48), (64, 32), (64, 0)])
def test_impossible_configuration_is_refused(n_fft: int, hop_length: int) -> None:
    with pytest.raises(ConfigError, match="it must"):
        STFTConfig(n_fft=n_fft, hop_length=hop_length)


def test_less_than_a_frame_is_refused() -> None:
    with pytest.raises(ShapeError, match="63 samples: one frame needs 64"):
        stft(torch.zeros(63), SMALL)
