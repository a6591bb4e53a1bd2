import pytest
import torch

from stemwise.audio import round_trip
from stemwise.data.augment import bus

RATE = 44_100


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def music(batch: int = 2, n_samples: int = 30_000) -> torch.Tensor:
    """Two tones and low noise, which every codec keeps."""
    time = torch.arange(n_samples) / RATE
    tones = torch.stack([torch.sin(2 * torch.pi * hz * time) for hz in (220.0, 660.0)])
    noise = torch.randn(1, n_samples, generator=seeded()).cumsum(dim=-1).diff(n=1, prepend=torch.zeros(1, 1))
    smooth = torch.nn.functional.avg_pool1d(noise, 15, stride=1, padding=7)
    sources = torch.cat([tones, smooth])[:, None] * torch.tensor([[0.2], [0.1]])
    return sources.expand(batch, *sources.shape).contiguous()


def test_soft_clipping_is_a_hyperbolic_tangent_of_the_mixture() -> None:
    sources = music()
    changed = bus.soft_clip(sources, seeded(), p=1.0)
    for given, clipped in zip(sources.sum(dim=1), changed.sum(dim=1), strict=True):
        ratios = (clipped / given)[given.abs() > 0.01]
        peak = given.abs().max()
        depth = 20 * torch.log10(peak / ceiling_of(given, clipped))
        assert 0 <= depth <= 9
        expected = ceiling_of(given, clipped) * torch.tanh(given / ceiling_of(given, clipped))
        torch.testing.assert_close(clipped, expected, atol=2e-3, rtol=0)
        assert ratios.max() <= 1 + 1e-6


def ceiling_of(given: torch.Tensor, clipped: torch.Tensor) -> torch.Tensor:
    """By bisection at the loudest sample."""
    loudest = given.abs().flatten().argmax()
    x, y = given.flatten()[loudest].abs().double(), clipped.flatten()[loudest].abs().double()
    low, high = 1e-3 * x, 1e3 * x
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if middle * torch.tanh(x / middle) < y else (low, middle)
    return middle.float()


@pytest.mark.parametrize("change", ["soft_clip", "compress"])
def test_each_stem_keeps_its_share_of_every_moment(change: str) -> None:
    sources = music()
    options = {"sample_rate": RATE} if change == "compress" else {}
    changed = getattr(bus, change)(sources, seeded(), p=1.0, **options)
    gains = changed / sources
    heard = (sources.abs() > 1e-2).all(dim=1)
    torch.testing.assert_close(gains[:, 0][heard], gains[:, 1][heard])
    assert (gains[:, 0][heard] < 0.9).any()


def test_the_compressor_makes_four_db_of_one_and_takes_its_time() -> None:
    """A tone 12 dB above the threshold for half a second, then 20 dB softer."""
    time = torch.arange(RATE) / RATE
    tone = torch.sin(2 * torch.pi * 1000 * time) * torch.where(time < 0.5, 1.0, 0.1)
    gain = bus.compression_gain(
        tone.expand(1, 1, 2, RATE), torch.full((1, 1, 1, 1), 10 ** (-12 / 20)), sample_rate=RATE
    )
    level = 20 * gain.log10()[0, 0, 0]
    assert level[int(0.4 * RATE)].item() == pytest.approx(-9, abs=0.05)  # 12 dB · (1 − 1 / 4)
    assert level[int(0.010 * RATE)].item() == pytest.approx(-9 * (1 - 2.718**-1), abs=2)
    assert level[int(0.7 * RATE)].item() == pytest.approx(-9 / 2.718, abs=0.5)
    assert level.diff().abs().max() < 0.05  # no steps


def test_a_batch_is_compressed_as_its_examples_are() -> None:
    mixture = music(3).sum(dim=1, keepdim=True) * torch.tensor([0.5, 1, 2])[:, None, None, None]
    threshold = torch.tensor([0.1, 0.2, 0.05])[:, None, None, None]
    whole = bus.compression_gain(mixture, threshold, sample_rate=RATE)
    for i in range(3):
        single = bus.compression_gain(mixture[i : i + 1], threshold[i : i + 1], sample_rate=RATE)
        torch.testing.assert_close(whole[i : i + 1], single)
        alone = bus.compression_gain(mixture[i, 0], threshold[i, 0], sample_rate=RATE)
        torch.testing.assert_close(whole[i, 0], alone)


@pytest.mark.parametrize("codec", bus.LOSSY)
@pytest.mark.parametrize("sample_rate", [44_100, 8000])
def test_the_codec_is_heard_and_aligned_to_the_sample(codec: str, sample_rate: int) -> None:
    sources = music()
    changed = bus.codec(sources, seeded(), sample_rate=sample_rate, codecs=(codec,), p=1.0)
    heard, mixture = changed.sum(dim=1), sources.sum(dim=1)
    shifted = torch.stack([(heard * mixture.roll(move, -1)).sum() for move in range(-20, 21)])
    assert shifted.argmax() == 20
    assert not torch.allclose(heard, mixture, atol=1e-4)
    assert sdr_db(mixture, heard) > 10


def test_what_is_heard_is_the_decoded_mixture() -> None:
    sources = music(1)
    mixture = sources[0].sum(dim=0)
    decoded = torch.from_numpy(round_trip(mixture.numpy(), codec="mp3", sample_rate=RATE, bitrate=64_000))
    heard = bus.follow(sources, decoded[None]).sum(dim=1)[0]
    assert sdr_db(decoded, heard) > sdr_db(decoded, mixture) + 10
    same = bus.follow(sources, mixture[None])
    torch.testing.assert_close(same, sources, atol=1e-5, rtol=0)


def sdr_db(reference: torch.Tensor, estimate: torch.Tensor) -> float:
    return (10 * torch.log10(reference.square().sum() / (reference - estimate).square().sum())).item()
