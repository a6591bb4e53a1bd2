"""Recorded guitars in songs of the corpus."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("scipy")
import riffs
from form import draw_form
from harmony import SCALES
from notes import SAMPLE_RATE


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tone of 440 Hz for 20 s in place of every guitar."""
    time = np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
    tone = np.tile(0.3 * np.sin(2 * np.pi * 440 * time), (2, 1)).T
    for name in riffs.SONGS:
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "guitar.ogg", tone, SAMPLE_RATE)
    monkeypatch.setattr(riffs, "folder", lambda _: tmp_path)
    monkeypatch.setattr(riffs, "is_present", lambda _: True)


@pytest.mark.parametrize("semitones", [-4, 0, 3])
def test_a_recording_is_moved_like_a_tape(semitones: int, recordings: None) -> None:
    riff = riffs.Riff(name="Feelings", first_bar=1, semitones=semitones)
    n = 3 * SAMPLE_RATE
    sound = riff.play(n)
    assert sound.shape == (2, n)
    hertz = np.argmax(np.abs(np.fft.rfft(sound[0] * np.hanning(n)))) / 3
    assert hertz == pytest.approx(440 * 2 ** (semitones / 12), abs=0.7)
    assert riff.tempo == pytest.approx(95 * 2 ** (semitones / 12), rel=1e-3)
    assert abs(sound[:, -100:]).max() < 0.01


def test_after_its_end_a_recording_is_silent(recordings: None) -> None:
    sound = riffs.Riff(name="Metal madness", first_bar=10, semitones=0).play(6 * SAMPLE_RATE)
    assert sound[:, 2 * SAMPLE_RATE].any()
    assert not sound[:, 4 * SAMPLE_RATE + 1 :].any()


def test_the_song_takes_tempo_and_key_of_the_recording(recordings: None) -> None:
    draws = [riffs.draw_riff("metal", np.random.default_rng(seed)) for seed in range(40)]
    drawn = [riff for riff in draws if riff]
    assert 4 < len(drawn) < 30
    for riff in drawn:
        form = draw_form("jazz", 60.0, np.random.default_rng(0), riff)
        assert (form.tempo, form.tonic, form.scale) == (riff.tempo, riff.tonic, SCALES[riff.scale])
        assert (form.beats_per_bar, form.swing) == (4, 0)


def test_without_recordings_there_are_no_riffs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(riffs, "is_present", lambda _: False)
    assert not any(riffs.draw_riff("metal", np.random.default_rng(seed)) for seed in range(20))
