from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from stemwise.data.audition import audition, hear
from stemwise.data.augment import axis
from stemwise.data.tracks import StemFile, Track, read_mixture
from stemwise.errors import ConfigError

RATE = 8000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tone(hz: float, seconds: float = 4.0) -> np.ndarray:
    wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    return np.stack([wave, wave], axis=1)


@pytest.fixture
def track(tmp_path: Path) -> Track:
    """Two tones, the second in the second half only."""
    high = tone(1200)
    high[: len(high) // 2] = 0
    files = {"vocals": tone(400), "drums": high}
    for stem, samples in files.items():
        soundfile.write(tmp_path / f"{stem}.wav", samples, RATE, subtype="FLOAT")
    return Track(name="song", files={stem: StemFile(path=tmp_path / f"{stem}.wav") for stem in files})


def frequency(sound: torch.Tensor) -> float:
    spectrum = torch.fft.rfft(sound * torch.hann_window(len(sound))).abs()
    return spectrum.argmax().item() * RATE / len(sound)


def test_before_is_the_excerpt_and_its_mixture(track: Track) -> None:
    heard = audition(track, ["scale"], seeded(), offset_s=2.5, duration_s=0.5)
    assert list(heard.before) == list(heard.after) == ["mixture", "vocals", "drums"]
    assert (heard.sample_rate, heard.start_s, heard.duration_s) == (RATE, 2.5, 0.5)
    expected = torch.from_numpy(tone(400)[20_000:24_000].T).float()
    torch.testing.assert_close(heard.before["vocals"], expected)
    torch.testing.assert_close(heard.before["mixture"], heard.before["vocals"] + heard.before["drums"])
    gain = heard.after["vocals"][0, 3] / heard.before["vocals"][0, 3]
    for name in heard.after:
        torch.testing.assert_close(heard.after[name], gain * heard.before[name])


def test_without_an_offset_it_is_the_middle_and_no_longer_than_the_song(track: Track) -> None:
    heard = audition(track, ["swap"], seeded(), offset_s=None, duration_s=1.0)
    assert heard.start_s == 1.5
    heard = audition(track, ["swap"], seeded(), offset_s=None, duration_s=100.0)
    assert (heard.start_s, heard.duration_s) == (0, 4)
    heard = audition(track, ["tempo"], seeded(), offset_s=3.9, duration_s=12.0)
    assert heard.duration_s == pytest.approx(0.1)


@pytest.mark.parametrize(("offset_s", "duration_s"), [(4.0, 1.0), (9.0, 1.0), (0.0, 0.0)])
def test_an_empty_excerpt_is_an_error(track: Track, offset_s: float, duration_s: float) -> None:
    with pytest.raises(ConfigError, match=r"the excerpt is empty: song lasts 4\.0 s, the excerpt begins at"):
        audition(track, ["swap"], seeded(), offset_s=offset_s, duration_s=duration_s)


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["offset_s", "duration_s"])
def test_times_that_cannot_be_are_errors(track: Track, name: str, wrong: float) -> None:
    with pytest.raises(ConfigError, match=rf"{name} is {wrong}: it must be 0 or more seconds"):
        audition(track, ["swap"], seeded(), **{"offset_s": 0.0, "duration_s": 1.0, name: wrong})


def test_a_shift_is_heard_at_the_frequency_that_training_gets(track: Track) -> None:
    heard = audition(track, ["shift"], seeded(3), offset_s=2.0, duration_s=2.0)
    factor = axis.draw_factors(torch.zeros(1, 1, 1), seeded(3)).item()
    assert not 0.9 < factor < 1.1
    assert frequency(heard.after["vocals"][0]) == pytest.approx(400 * factor, rel=0.02)
    assert frequency(heard.after["drums"][1]) == pytest.approx(1200 * factor, rel=0.02)


def test_a_stretch_keeps_the_frequency_and_moves_the_onset(track: Track) -> None:
    heard = audition(track, ["stretch"], seeded(3), offset_s=0.6, duration_s=2.0)
    factor = axis.draw_factors(torch.zeros(1, 1, 1), seeded(3)).item()
    assert frequency(heard.after["vocals"][0]) == pytest.approx(400, rel=0.02)
    for name, place in (("before", 1.4), ("after", 1 + factor * 0.4)):
        drums = getattr(heard, name)["drums"][0]
        onset = (drums.abs() > 0.1).float().argmax().item() / RATE
        assert onset == pytest.approx(place, abs=0.15), name  # a frame lasts half a second here
    vocals = heard.after["vocals"][0].unflatten(0, (20, -1)).square().mean(dim=1)
    assert vocals.min() > 0.3 * vocals.max()  # no silence comes in from the ends of the excerpt


def test_several_are_made_in_their_order_those_of_magnitudes_last(track: Track) -> None:
    heard = audition(track, ["shift", "remix"], seeded(1), offset_s=2.0, duration_s=1.0)
    rng = seeded(1)
    gains = 10 ** ((18 * torch.rand(2, generator=rng) - 9) / 20)
    factor = axis.draw_factors(torch.zeros(1, 1, 1), rng).item()
    assert frequency(heard.after["vocals"][0]) == pytest.approx(400 * factor, rel=0.02)
    middle = slice(2000, -2000)
    for name, gain in zip(("vocals", "drums"), gains, strict=True):
        levels = [sounds[name][0, middle].square().mean().sqrt() for sounds in (heard.after, heard.before)]
        assert (levels[0] / levels[1]).item() == pytest.approx(gain.item(), rel=0.25)


def test_the_songs_own_mixture_is_heard(track: Track, tmp_path: Path) -> None:
    rest = 0.1 * np.random.default_rng(0).standard_normal((4 * RATE, 2))
    stems = sum(soundfile.read(file.path)[0] for file in track.files.values())
    soundfile.write(tmp_path / "mixture.wav", stems + rest, RATE, subtype="FLOAT")
    own = Track(name="song", files=track.files, mixture=StemFile(path=tmp_path / "mixture.wav"))
    heard = audition(own, ["swap"], seeded(), offset_s=0.0, duration_s=4.0)
    assert list(heard.after) == ["mixture", "vocals", "drums"]
    expected = torch.from_numpy((stems + rest).T).float()
    torch.testing.assert_close(heard.before["mixture"], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(heard.after["mixture"], expected.flip(0), atol=1e-6, rtol=0)


def test_one_song_cannot_be_mixed_with_others() -> None:
    with pytest.raises(ConfigError, match=r"cross_song .* does nothing to one song"):
        hear(torch.zeros(2, 2, 100), ["cross_song"], seeded(), sample_rate=RATE, n_samples=100)


def test_an_accompaniment_beside_its_parts_is_heard_once(track: Track, tmp_path: Path) -> None:
    parts = {"bass": tone(100), "other": tone(200)}
    parts["accompaniment"] = soundfile.read(tmp_path / "drums.wav")[0] + sum(parts.values())
    for stem, samples in parts.items():
        soundfile.write(tmp_path / f"{stem}.wav", samples, RATE, subtype="FLOAT")
    files = {stem: StemFile(path=tmp_path / f"{stem}.wav") for stem in (*track.files, *parts)}
    whole = Track(name="song", files=files)
    heard = audition(whole, [], seeded(), offset_s=0.0, duration_s=4.0)
    expected = torch.from_numpy(read_mixture(whole, sample_rate=RATE))
    torch.testing.assert_close(heard.before["mixture"], expected, atol=1e-6, rtol=0)
    assert list(heard.before) == ["mixture", *files]
