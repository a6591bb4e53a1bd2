import math

import pytest
import torch

from stemwise.data.augment import filters

RATE = 22050
N = 8192


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def impulses(batch: int, n_stems: int = 1) -> torch.Tensor:
    sources = torch.zeros(batch, n_stems, 1, N)
    sources[..., N // 2] = 1
    return sources


def response(filtered: torch.Tensor) -> torch.Tensor:
    return torch.fft.rfft(filtered.roll(-N // 2, -1))


HZ = torch.fft.rfftfreq(N, 1 / RATE)


def test_the_studys_filter_is_its_formula_without_delay() -> None:
    filtered = response(filters.inverse_gaussian_filter(impulses(200, 2), seeded(), sample_rate=RATE))[
        :, :, 0
    ]
    assert filtered.imag.abs().max() < 1e-4
    assert torch.allclose(filtered[:, 0], filtered[:, 1], atol=1e-6)  # all stems alike
    centres, widths = [], []
    for gain in filtered.real[:, 0]:
        centre = HZ[gain.argmin()].item()
        # 1 − exp(−½) at one width from the centre
        width = (HZ[gain < 1 - math.exp(-0.5)].amax() - centre).item()
        expected = 1 - torch.exp(-((HZ - centre) ** 2) / (2 * width**2))
        torch.testing.assert_close(gain, expected, atol=0.02, rtol=0)  # centre and width to a bin of 2.7 Hz
        centres.append(centre)
        widths.append(width)
    assert 0 <= min(centres) < 100
    assert 4300 < max(centres) < 4415
    assert 495 < min(widths) < 520
    assert 980 < max(widths) < 1005


def test_the_formula() -> None:
    hz, centre, width = torch.tensor([0.0, 900, 1000, 2000]), torch.tensor(1000.0), torch.tensor(500.0)
    expected = [1 - math.exp(-((f - 1000) ** 2) / (2 * 500**2)) for f in (0, 900, 1000, 2000)]
    assert filters.inverse_gaussian(hz, centre, width).tolist() == pytest.approx(expected, abs=1e-6)


def test_a_batch_is_filtered_as_its_examples_are() -> None:
    sources = torch.randn(3, 2, 2, 5000, generator=seeded())
    response = torch.rand(3, 1, 1, 4097, generator=seeded())
    whole = filters.apply_response(sources, response)
    for i in range(3):
        single = filters.apply_response(sources[i : i + 1], response[i : i + 1])
        torch.testing.assert_close(whole[i : i + 1], single)


def test_the_equaliser_has_seven_bands_of_at_most_nine_db_each_stem_its_own() -> None:
    responses = response(filters.equalise(impulses(50, 2), seeded(), sample_rate=44_100))
    levels = 20 * responses.abs().log10()[:, :, 0]
    hz = torch.fft.rfftfreq(N, 1 / 44_100)
    at_centres = torch.stack(
        [levels[..., (hz - centre).abs().argmin()] for centre in filters.EQUALISER_HZ[1:]], dim=-1
    )
    assert at_centres.abs().max() < 14  # a band, and what its neighbours add
    assert (at_centres.std(dim=0) > 3).all()
    assert (levels[:, 0] - levels[:, 1]).abs().amax(dim=-1).min() > 1


def test_one_band_is_the_cookbooks_filter() -> None:
    """Against its difference equation, sample by sample."""
    rate, centre, level = 8000, 940.0, 6.0
    omega = 2 * math.pi * centre / rate
    alpha, cosine, root = math.sin(omega) / 2, math.cos(omega), 10 ** (level / 40)
    b = [1 + alpha * root, -2 * cosine, 1 - alpha * root]
    a = [1 + alpha / root, -2 * cosine, 1 - alpha / root]
    x, y = [1.0] + [0.0] * 511, []
    for n in range(512):
        value = sum(b[k] * x[n - k] for k in range(3) if n >= k) - sum(
            a[k] * y[n - k] for k in (1, 2) if n >= k
        )
        y.append(value / a[0])
    hz = torch.fft.rfftfreq(512, 1 / rate)
    ours = torch.fft.irfft(filters.peak_response(hz, centre, torch.tensor(level), sample_rate=rate))
    torch.testing.assert_close(ours, torch.tensor(y), atol=1e-5, rtol=0)
    gain = filters.peak_response(torch.tensor([centre]), centre, torch.tensor(level), sample_rate=rate).abs()
    assert 20 * math.log10(gain.item()) == pytest.approx(level, abs=1e-3)


def test_bands_above_half_the_sample_rate_have_no_effect() -> None:
    sources = impulses(2)
    assert filters.equalise(sources, seeded(), sample_rate=100).equal(sources) or torch.allclose(
        filters.equalise(sources, seeded(), sample_rate=100), sources, atol=1e-6
    )
