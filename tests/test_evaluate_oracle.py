import pytest
import torch

from conftest import song
from stemwise.evaluate.oracle import ratio_mask_oracle
from stemwise.metrics import sdr
from stemwise.stft import STFTConfig

CONFIG = STFTConfig(n_fft=1024, hop_length=256)


def test_estimates_sum_to_the_mixture_whatever_its_length() -> None:
    for n_samples in (1, 1000, 300_000):
        sources = {name: song(n_samples, seed=seed) for seed, name in enumerate("ab")}
        mixture = sources["a"] + sources["b"]
        estimates = ratio_mask_oracle(mixture, sources, CONFIG)
        torch.testing.assert_close(estimates["a"] + estimates["b"], mixture, atol=2e-6, rtol=0)


def test_sources_in_bands_of_their_own_come_back() -> None:
    time = torch.arange(100_000) / 44100
    sources = {str(hz): torch.sin(2 * torch.pi * hz * time).expand(2, -1) for hz in (440, 4400)}
    estimates = ratio_mask_oracle(sum(sources.values()), sources, CONFIG)
    assert all(sdr(source, estimates[name]) > 30 for name, source in sources.items())


def test_masks_share_power_not_amplitude() -> None:
    whole = song(50_000)
    estimates = ratio_mask_oracle(whole, {"strong": 0.8 * whole, "weak": 0.2 * whole}, CONFIG)
    share = 0.8**2 / (0.8**2 + 0.2**2)
    torch.testing.assert_close(estimates["strong"], share * whole, atol=1e-5, rtol=0)


def test_pieces_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = {name: song(60_000, seed=seed) for seed, name in enumerate("ab")}
    mixture = sources["a"] + sources["b"]
    whole = ratio_mask_oracle(mixture, sources, CONFIG)["a"]
    monkeypatch.setattr("stemwise.evaluate.oracle.PIECE_SAMPLES", 7000)
    monkeypatch.setattr("stemwise.evaluate.oracle.PIECE_FRAMES", 5)
    torch.testing.assert_close(ratio_mask_oracle(mixture, sources, CONFIG)["a"], whole, atol=1e-6, rtol=0)
