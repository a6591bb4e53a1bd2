"""What is said of songs, checked on songs whose figures are known; and what is said of two sets of them."""

import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

import soundfile
from likeness import column, compare, main, measure_songs, table
from measures import (
    CENTRES_HZ,
    MIXTURE,
    MONO_DB,
    OCTAVES,
    Audio,
    SongFigures,
    band_levels,
    crest_db,
    figures,
    flux,
    k_weighting,
    level_db,
    loudness,
    oracle_sdr,
    silent_share,
    width_db,
)
from notes import SAMPLE_RATE

SECOND = SAMPLE_RATE


def sine(frequency_hz: float, *, amplitude: float = 0.5, duration_s: float = 3.0) -> Audio:
    time = np.arange(round(duration_s * SECOND)) / SECOND
    return np.tile(amplitude * np.sin(2 * np.pi * frequency_hz * time), (2, 1)).astype(np.float32)


def noise(*, seed: int = 0, duration_s: float = 3.0, level: float = 0.1) -> Audio:
    samples = np.random.default_rng(seed).standard_normal((2, round(duration_s * SECOND)))
    return (level * samples).astype(np.float32)


def silence(duration_s: float = 3.0) -> Audio:
    return np.zeros((2, round(duration_s * SECOND)), np.float32)


def test_k_weighting_is_that_of_the_standard_at_its_own_rate() -> None:
    shelf, high_pass = k_weighting(48_000)  # ITU-R BS.1770-4, tables 1 and 2
    assert shelf.numerator == pytest.approx((1.53512485958697, -2.69169618940638, 1.19839281085285), abs=1e-9)
    assert shelf.denominator == pytest.approx((1, -1.69065929318241, 0.73248077421585), abs=1e-9)
    assert high_pass.numerator == (1, -2, 1)
    assert high_pass.denominator == pytest.approx((1, -1.99004745483398, 0.99007225036621), abs=1e-9)


def test_the_sine_of_the_standard_has_its_loudness() -> None:
    left = sine(997, amplitude=1.0, duration_s=10)
    left[1] = 0
    assert loudness(left) == pytest.approx(-3.01, abs=0.02)
    assert loudness(0.1 * left) == pytest.approx(-23.01, abs=0.02)


def test_pauses_do_not_make_a_sound_less_loud() -> None:
    sound = noise(duration_s=8)
    with_pause = np.concatenate([sound, silence(8)], axis=1)
    assert loudness(with_pause) == pytest.approx(loudness(sound), abs=0.2)
    assert crest_db(with_pause) == pytest.approx(crest_db(sound), abs=0.2)
    with_soft_part = np.concatenate([sound, 0.1 * sound], axis=1)
    assert loudness(with_soft_part) == pytest.approx(loudness(sound), abs=0.2)


def test_crest_factor_of_a_sine_and_of_clicks() -> None:
    assert crest_db(sine(1000)) == pytest.approx(3.01, abs=0.01)
    clicks = silence()
    clicks[:, :: SECOND // 10] = 1
    assert crest_db(clicks) == pytest.approx(10 * math.log10(SECOND / 10), abs=0.01)


def test_width_from_mono_to_opposite_channels() -> None:
    mono = sine(440)
    assert width_db(mono) == pytest.approx(MONO_DB, abs=0.01)
    assert width_db(mono * np.float32([[1], [-1]])) == pytest.approx(-MONO_DB, abs=0.01)
    assert width_db(noise()) == pytest.approx(0, abs=0.2)
    assert width_db(mono * np.float32([[1], [0]])) == pytest.approx(0, abs=0.01)


def test_level_is_that_of_the_energies() -> None:
    sound = noise()
    assert level_db(0.5 * sound, sound) == pytest.approx(-6.02, abs=0.01)


def test_silence_is_counted_in_tenths_of_a_second() -> None:
    sound = noise(duration_s=2)
    sound[:, SECOND:] = 1e-5
    assert silent_share(sound) == pytest.approx(0.5)
    assert silent_share(silence()) == 1
    assert silent_share(noise()) == 0


def test_flux_of_what_stays_and_of_what_changes() -> None:
    assert flux(sine(1000)) < 0.01
    assert flux(noise()) > 0.1
    on_and_off = sine(1000) * (np.arange(3 * SECOND) % (SECOND // 4) < SECOND // 8).astype(np.float32)
    assert flux(on_and_off) > 0.05
    fading = sine(1000) * np.exp(-5 * np.arange(3 * SECOND) / SECOND).astype(np.float32)
    assert flux(fading) < 0.01


@pytest.mark.parametrize("third", [3, 10, 16, 25])
def test_a_sine_is_in_its_own_third_octave(third: int) -> None:
    levels = band_levels(sine(CENTRES_HZ[third]))
    assert levels.argmax() == third
    assert levels[third] == pytest.approx(0, abs=0.05)


def test_white_noise_rises_by_its_bandwidth_and_octaves_hold_three_thirds() -> None:
    levels = band_levels(noise(duration_s=20))
    assert np.diff(levels[10:-1]) == pytest.approx(np.full(18, 1.0), abs=0.4)
    song = figures("noise", {"other": noise()}, noise())
    octaves = [song.values[f"octave of {octave} (dB)"]["other"] for octave in OCTAVES]
    assert sum(10 ** (octave / 10) for octave in octaves) == pytest.approx(1)


def test_stems_that_share_no_bin_are_easy_and_equal_ones_hard() -> None:
    low, high = sine(200), sine(5000)
    assert min(oracle_sdr({"bass": low, "other": high}, low + high).values()) > 40
    first, second = noise(seed=1), noise(seed=2)
    assert max(oracle_sdr({"bass": first, "other": second}, first + second).values()) < 10
    assert set(oracle_sdr({"bass": low, "other": silence()}, low)) == {"bass"}


@pytest.mark.parametrize("n_samples", [1, 100, 30_000])
def test_short_and_silent_songs_have_only_what_can_be_said(n_samples: int) -> None:
    sound, nothing = noise()[:, :n_samples], silence()[:, :n_samples]
    song = figures("short", {"vocals": nothing, "drums": sound}, sound)
    assert song.values["silent share"]["vocals"] == 1
    assert song.values["level in the mixture (dB)"] == {"drums": pytest.approx(0)}
    assert all(math.isfinite(value) for values in song.values.values() for value in values.values())


def song_of(crest: float, width: float) -> SongFigures:
    return SongFigures("song", {"crest": {"drums": crest}, "width": {"drums": width}}, {})


def test_the_largest_distance_comes_first() -> None:
    corpus = [song_of(10 + i / 10, i) for i in range(20)]
    reference = [song_of(30 + i, i) for i in range(20)]
    first, second = compare(corpus, reference)
    assert (first.statistic, first.signal, first.distance) == ("crest", "drums", 1.0)
    assert first.p < 0.001
    assert first.difference == pytest.approx(10.95 - 39.5)
    assert first.spread == pytest.approx(0.1)
    assert (second.statistic, second.distance, second.p) == ("width", 0.0, 1.0)
    lines = list(table([first, second]))
    assert "1.00* |" in lines[2]
    assert "0.00 |" in lines[3]


def test_what_a_song_has_not_is_left_out() -> None:
    songs = [song_of(10, 1), SongFigures("no drums", {"crest": {}}, {})]
    assert column(songs, "crest", "drums").tolist() == [10]
    assert compare(songs, [SongFigures("nothing", {}, {})]) == []


def write_songs(folder: Path, n_songs: int, *, level: float) -> None:
    for number in range(n_songs):
        song = folder / f"song{number}"
        song.mkdir(parents=True)
        for seed, stem in enumerate(("vocals", "drums", "bass", "other")):
            sound = noise(seed=10 * number + seed, level=level, duration_s=1)
            soundfile.write(song / f"{stem}.wav", sound.T, SAMPLE_RATE)


def test_the_command_writes_a_table_and_a_picture_of_every_statistic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    write_songs(tmp_path / "corpus", 3, level=0.1)
    write_songs(tmp_path / "real", 2, level=0.01)
    arguments = [tmp_path / "corpus", "-o", tmp_path / "out", "--reference", tmp_path / "real"]
    monkeypatch.setattr("sys.argv", ["likeness.py", *map(str, arguments)])
    main()
    assert "3 songs of the corpus, 2 real songs" in (tmp_path / "out" / "likeness.md").read_text()
    pictures = {path.stem for path in (tmp_path / "out").glob("*.png")}
    assert pictures == {
        *("crest_factor", "level_in_the_mixture", "loudness", "oracle_sdr"),
        *("side_to_mid", "silent_share", "spectral_flux", "spectrum"),
    }
    assert capsys.readouterr().out.startswith("| statistic |")


def test_of_many_songs_evenly_spread_ones_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_songs(tmp_path, 5, level=0.1)
    monkeypatch.setattr("likeness.MAX_SONGS", 2)
    songs = measure_songs(tmp_path)
    assert [song.name for song in songs] == ["song0", "song2"]
    assert MIXTURE in songs[0].values["loudness (LUFS)"]
