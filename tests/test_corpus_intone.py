"""Speech that is sung: a row of synthetic vowels stands for what somebody says."""

from itertools import pairwise

import numpy as np
import pytest
import soundfile

pytest.importorskip("parselmouth")

import intone
import psola
from notes import SAMPLE_RATE
from psola import Recording

from test_corpus_sing import pitch_of, vowel

N_SYLLABLES = 5
SPOKEN_HZ = 110.0


def spoken(*, n_syllables: int = N_SYLLABLES, pauses: tuple[int, ...] = ()) -> np.ndarray:
    """Syllables of a quarter of a second each, some of them followed by half a second of silence."""
    shape = np.sin(np.linspace(0, np.pi, SAMPLE_RATE // 4)) ** 2
    said = []
    for index in range(n_syllables):
        said.append(vowel(SPOKEN_HZ, 0.25)[: len(shape)] * shape)
        if index in pauses:
            said.append(np.zeros(SAMPLE_RATE // 2))
    return np.concatenate(said).astype(np.float32)


def recorded(samples: np.ndarray) -> Recording:
    return psola.analyse(samples, 75, 800)


def sung(n: int = 12) -> list[np.ndarray]:
    """One phrase by so many draws; those that are left as spoken are left out."""
    phrase = recorded(spoken())
    sounds = (intone.intone(phrase, np.random.default_rng(seed)) for seed in range(n))
    return [sound for sound in sounds if len(sound) != len(phrase.samples)]


def test_every_syllable_is_found_between_its_bounds() -> None:
    nuclei, bounds = intone.syllables_of(recorded(spoken()))
    np.testing.assert_allclose(nuclei, 0.25 * np.arange(N_SYLLABLES) + 0.125, atol=0.03)
    np.testing.assert_allclose(bounds, 0.25 * np.arange(N_SYLLABLES + 1), atol=0.03)


def test_noise_is_no_syllable(rng) -> None:
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
    bursts = noise * (np.sin(2 * np.pi * 4 * np.arange(SAMPLE_RATE) / SAMPLE_RATE) > 0)
    nuclei, _ = intone.syllables_of(recorded(0.1 * bursts))
    assert len(nuclei) < 2


def test_phrases_end_at_pauses() -> None:
    phrases = list(intone.phrases_of(recorded(spoken(n_syllables=9, pauses=(3,)))))
    assert [round(phrase.seconds, 1) for phrase in phrases] == pytest.approx([1.0, 1.3], abs=0.2)


def test_melodies_move_by_steps_of_a_scale_above_the_speaker() -> None:
    for seed in range(20):
        pitches = intone.melody(30, 45.0, np.random.default_rng(seed))
        assert max(abs(b - a) for a, b in pairwise(pitches)) <= 9
        assert len({pitch % 12 for pitch in pitches}) <= 7
        assert min(pitches) >= 40
        assert max(pitches) <= 45 + 12 + 7


def test_it_is_sung_higher_and_longer_than_spoken() -> None:
    sounds = sung()
    assert len(sounds) >= 8
    assert np.median([pitch_of(sound) for sound in sounds]) > 1.2 * SPOKEN_HZ
    assert all(len(sound) > N_SYLLABLES * 0.25 * SAMPLE_RATE for sound in sounds)
    assert all(np.abs(sound).max() == pytest.approx(intone.PEAK) for sound in sounds)


def test_notes_are_held() -> None:
    """Half of the time the pitch stays within a semitone for an eighth of a second: nobody speaks so."""
    import parselmouth

    for sound in sung():
        found = parselmouth.Sound(sound.astype(float), SAMPLE_RATE).to_pitch_ac(
            time_step=0.025, pitch_floor=60, pitch_ceiling=700
        )
        hz = found.selected_array["frequency"]
        held = [
            np.ptp(12 * np.log2(part)) < 1
            for part in (hz[i : i + 5] for i in range(len(hz) - 5))
            if part.min() > 0
        ]
        assert np.mean(held) > 0.5


def test_a_single_syllable_makes_no_phrase() -> None:
    assert intone.intone(recorded(spoken(n_syllables=1)), np.random.default_rng(0)) is None
    assert list(intone.phrases_of(recorded(np.zeros(SAMPLE_RATE, np.float32)))) == []


def test_narrow_speech_becomes_full_band(tmp_path) -> None:
    soundfile.write(tmp_path / "narrow.wav", vowel(110, 1.0, 4500)[::3], SAMPLE_RATE // 3)
    soundfile.write(tmp_path / "wide.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 9000), SAMPLE_RATE)

    def air(samples: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(samples)) ** 2
        return float(power[len(power) // 2 :].sum() / power.sum())

    assert air(intone.load(tmp_path / "narrow.wav").samples) < 1e-6
    assert 1e-4 < air(intone.spoken_file(tmp_path / "narrow.wav").samples) < 0.2
    wide = intone.load(tmp_path / "wide.wav")
    assert intone.spoken_file(tmp_path / "wide.wav") is wide


def test_a_folder_of_speech_becomes_the_same_pool_each_time(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "speech" / "ann").mkdir(parents=True)
    soundfile.write(tmp_path / "speech" / "ann" / "one.wav", spoken(n_syllables=9, pauses=(3,)), SAMPLE_RATE)
    for name in ("first", "second"):
        arguments = ["intone.py", str(tmp_path / "speech"), str(tmp_path / name), "--times", "2"]
        monkeypatch.setattr("sys.argv", arguments)
        intone.main()
    files = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("first", "second")]
    assert files[0] == files[1] == [f"ann_one_{n}_{take}.flac" for n in (0, 1) for take in (0, 1)]
    for name in files[0]:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    monkeypatch.setattr("sys.argv", ["intone.py", str(tmp_path / "first" / "none"), str(tmp_path / "third")])
    with pytest.raises(SystemExit, match="none has no audio file"):
        intone.main()
