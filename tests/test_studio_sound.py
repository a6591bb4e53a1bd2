"""The studio's page in a real browser, with the real server behind it: what is heard."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from studio import NEEDS, RATE, StudioServer, heard, listen_for, now, open_song, play, play_on, set_fader

pytestmark = NEEDS
STEMS = ("vocals", "drums", "bass", "other")
TONES_HZ = {"vocals": 440.0, "drums": 1000.0, "bass": 110.0, "other": 3000.0}
PERIOD = 4410  # samples from impulse to impulse
IMPULSES = {"vocals": 0.1, "drums": 0.2, "bass": 0.05, "other": 0.4}
SUM = sum(IMPULSES.values())
# What the clock shows and the time of the audio graph, read at once, after the page has drawn.
CLOCK = """() => new Promise((done) => requestAnimationFrame(() =>
  done([document.querySelector("#clock").textContent, heard.context.currentTime])))"""


def tone(hz: float, seconds: float) -> NDArray[np.float64]:
    wave = 0.1 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)
    return np.stack([wave, wave], axis=1)


@pytest.fixture(scope="module")
def tones(studio_server: StudioServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A song whose stems are one tone each."""
    stems = {stem: tone(hz, 40) for stem, hz in TONES_HZ.items()}
    return studio_server.prepare(tmp_path_factory.mktemp("tones"), "Four tones", stems)


@pytest.fixture(scope="module")
def impulses(studio_server: StudioServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A song whose stems have impulses at the same samples, each as high as no sum of the others."""
    comb = (np.arange(14 * RATE) % PERIOD == 0).astype(float)[:, None].repeat(2, axis=1)
    stems = {stem: level * comb for stem, level in IMPULSES.items()}
    return studio_server.prepare(tmp_path_factory.mktemp("impulses"), "Impulses", stems)


def levels(sound: NDArray[np.float32]) -> dict[str, float]:
    """Amplitude of each stem's tone in what was heard."""
    wave = sound.mean(axis=0) * np.hanning(sound.shape[1])
    turns = np.arange(len(wave)) / RATE * 2j * np.pi
    return {stem: float(abs(wave @ np.exp(-hz * turns)) * 4 / len(wave)) for stem, hz in TONES_HZ.items()}


def audible(sound: NDArray[np.float32]) -> list[str]:
    return [stem for stem, level in levels(sound).items() if level > 1e-3]


def test_solo_mute_and_karaoke_change_what_is_heard(page: Any, tones: str) -> None:
    open_song(page, tones)
    play(page)
    assert audible(listen_for(page, 0.5)) == list(STEMS)
    page.get_by_role("button", name="Solo drums").click()
    assert audible(listen_for(page, 0.5)) == ["drums"]
    page.keyboard.press("3")
    assert audible(listen_for(page, 0.5)) == ["drums", "bass"]
    page.keyboard.press("Shift+Digit3")
    assert audible(listen_for(page, 0.5)) == ["drums"]
    page.keyboard.press("0")
    page.keyboard.press("k")
    assert page.get_by_role("button", name="Karaoke").get_attribute("aria-pressed") == "true"
    assert audible(listen_for(page, 0.5)) == ["drums", "bass", "other"]
    page.keyboard.press("k")
    assert audible(listen_for(page, 0.5)) == list(STEMS)


def test_volume_and_pan_are_what_they_say(page: Any, tones: str) -> None:
    open_song(page, tones)
    play(page)
    set_fader(page, "Volume of bass", -20)
    set_fader(page, "Pan of vocals", -1)
    set_fader(page, "Pan of drums", 0.5)
    sound = listen_for(page, 1.0)
    left, right = (levels(np.stack([side, side])) for side in sound)
    assert left["bass"] == pytest.approx(0.01, rel=0.02)
    assert left["vocals"] == pytest.approx(0.1, rel=0.02)
    assert right["vocals"] < 1e-4
    assert left["drums"] == pytest.approx(0.05, rel=0.02)
    assert right["drums"] == pytest.approx(0.1, rel=0.02)


def check_impulses(sound: NDArray[np.float32]) -> NDArray[np.int64]:
    """Every impulse is one sample, at which all stems are; lower in the fade of a seek, in all alike."""
    assert np.array_equal(sound[0], sound[1])
    at = np.flatnonzero(np.abs(sound[0]) > 1e-5)
    assert len(at) > 0
    assert (np.diff(at) > 1).all()
    whole = np.abs(sound[0, at] - SUM) < 1e-3
    assert whole.mean() > 0.8
    return at[whole]


def test_stems_coincide_to_the_sample_after_seeks(page: Any, impulses: str) -> None:
    open_song(page, impulses)
    play(page)
    rng = np.random.default_rng(5)
    box = page.locator('.lane[data-stem="drums"] .track').bounding_box()
    since = now(page)
    for place in rng.uniform(0.02, 0.8, 20):
        page.mouse.click(box["x"] + place * box["width"], box["y"] + 20)
        play_on(page, 0.25)
    first, sound = heard(page, since)
    at = check_impulses(sound[:, since - first :])
    steps = np.diff(at)
    assert (steps == PERIOD).sum() >= 10
    assert (steps % PERIOD != 0).sum() >= 10  # it did go elsewhere


def test_a_loop_is_exact_to_the_sample(page: Any, impulses: str) -> None:
    open_song(page, impulses)
    page.keyboard.press("l")
    for name, text in (("Loop from", "0:01"), ("Loop to", "0:01.75")):
        page.get_by_label(name).fill(text)
        page.get_by_label(name).press("Enter")
    page.get_by_label("Loop to").blur()
    page.keyboard.press("Home")
    play(page)
    at = check_impulses(listen_for(page, 5.0))
    # 7.5 periods: impulses at 0, 1, … 7, and half a period to the loop's end
    steps = np.diff(at)
    assert set(steps) == {PERIOD, PERIOD // 2}
    seams = np.flatnonzero(steps == PERIOD // 2)
    assert len(seams) >= 5
    assert set(np.diff(seams)) == {8}


def test_a_loop_time_stays_while_it_is_typed(page: Any, impulses: str) -> None:
    open_song(page, impulses)
    page.keyboard.press("l")
    start, end = page.get_by_label("Loop from"), page.get_by_label("Loop to")
    for field, text in ((start, "0:01.5"), (end, "0:02")):
        field.fill(text)
        set_fader(page, "Volume of all", -3)  # draws the page anew
        page.wait_for_timeout(100)
        field.press("Enter")
    assert (start.input_value(), end.input_value()) == ("0:01.5", "0:02.0")
    for text in ("nonsense", "2"):  # what is no time, and the same time in other words
        end.fill(text)
        end.press("Enter")
        assert end.input_value() == "0:02.0"


def test_changing_the_loop_does_not_interrupt(page: Any, impulses: str) -> None:
    open_song(page, impulses)
    play(page)
    since = now(page)
    for _ in range(10):  # on and off: what sounds goes on as it was
        page.keyboard.press("l")
        page.wait_for_timeout(150)
    first, sound = heard(page, since)
    assert set(np.diff(check_impulses(sound[:, since - first :]))) == {PERIOD}


def test_speed_leaves_the_key_and_key_the_speed(page: Any, tones: str) -> None:
    def loudest_hz(sound: NDArray[np.float32]) -> float:
        power = np.abs(np.fft.rfft(sound.mean(axis=0) * np.hanning(sound.shape[1]), 1 << 18))
        return float(power.argmax() * RATE / (1 << 18))

    def clock() -> tuple[float, float]:
        text, context_s = page.evaluate(CLOCK)
        return float(text[2:]), context_s

    open_song(page, tones)
    page.keyboard.press("1")
    for _ in range(6):
        page.keyboard.press("-")
    page.wait_for_function("() => window.isTuned")
    play(page)
    page.wait_for_function("() => document.querySelector('#clock').textContent !== '0:00.0'")
    start, began = clock()
    play_on(page, 2.5)
    assert loudest_hz(listen_for(page, 0.5)) == pytest.approx(440, abs=4)
    end, ended = clock()
    assert (end - start) / (ended - began) == pytest.approx(0.7, abs=0.08)
    page.get_by_role("button", name="Speed 70 %, reset").click()
    for _ in range(12):
        page.keyboard.press("ArrowUp")
    play_on(page, 0.5)
    assert loudest_hz(listen_for(page, 0.5)) == pytest.approx(880, abs=8)
    page.keyboard.press("Space")


def test_the_mix_is_the_sum_as_it_sounds(page: Any, studio_server: StudioServer, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    stems = {stem: rng.uniform(-0.2, 0.2, (6 * RATE, 2)) for stem in STEMS}
    id = studio_server.prepare(tmp_path, "Noises", stems)
    open_song(page, id)
    set_fader(page, "Volume of drums", -7.5)
    set_fader(page, "Pan of bass", 0.4)
    page.get_by_role("button", name="Mute other").click()
    page.keyboard.press("l")
    for name, text in (("Loop from", "0:01.5"), ("Loop to", "0:04")):
        page.get_by_label(name).fill(text)
        page.get_by_label(name).press("Enter")
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Mix").click()
    assert download.value.suggested_filename == "Noises (mix).wav"
    download.value.save_as(tmp_path / "mix.wav")
    mix, rate = soundfile.read(tmp_path / "mix.wav")
    part = {stem: samples[int(1.5 * RATE) : 4 * RATE] for stem, samples in stems.items()}
    expected = part["vocals"] + 10 ** (-7.5 / 20) * part["drums"] + part["bass"] * [0.6, 1.0]
    assert (rate, mix.shape) == (RATE, expected.shape)
    error = np.sqrt(np.mean((mix - expected) ** 2) / np.mean(expected**2))
    assert 20 * np.log10(error) < -60
    page.keyboard.press("Escape")
    page.get_by_label("Loop to").blur()
    page.keyboard.press("Home")
    play(page)  # and so it sounds: the loop's mix, over and over
    sound = listen_for(page, 6.0)
    spectrum = np.fft.rfft(expected[:, 0], 1 << 19).conj() * np.fft.rfft(sound[0], 1 << 19)
    start = int(np.fft.irfft(spectrum)[: sound.shape[1] - len(expected)].argmax())
    difference = sound[:, start : start + len(expected)].T - expected
    assert 20 * np.log10(np.sqrt(np.mean(difference**2) / np.mean(expected**2))) < -60
