"""The corpus builder's synthesizers, effects and master."""

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("pedalboard")

import effects
import master
import produce
from chains import STYLES
from notes import SAMPLE_RATE, Note
from rooms import SPACES
from synth import draw_patch
from synth.harmonic import Pitch, Tone
from synth.shapes import Envelope
from synth.waves import pulse, saw
from thump import thump

ROLES = ("bass", "lead", "pad", "keys", "organ", "kit", "fx")
N = 2 * SAMPLE_RATE
CHORD = [Note(0.1, 0.9, 40, 100), Note(0.1, 1.2, 44, 60), Note(1.0, 1.5, 36, 127)]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def song(rng):
    """Noise that comes and goes, as four stems."""
    swell = np.abs(np.sin(np.arange(N) / 9000)).astype(np.float32)
    return {
        name: (0.1 * swell * rng.standard_normal((2, N))).astype(np.float32)
        for name in ("vocals", "drums", "bass", "other")
    }


@pytest.mark.parametrize("role", ROLES)
def test_patches_sound_at_one_loudness_and_repeat_themselves(role):
    for seed in range(12):
        first, second = (
            draw_patch(role, np.random.default_rng(seed)).play(CHORD, N, np.random.default_rng(1))
            for _ in range(2)
        )
        assert first.shape == (2, N)
        assert first.dtype == np.float32
        assert np.array_equal(first, second)
        assert -30 < effects.loudness(first) < -15
        assert np.abs(first).max() <= 0.91
        assert abs(first.mean()) < 0.02


@pytest.mark.parametrize("role", ROLES)
def test_patches_without_notes_are_silent(role, rng):
    outside = [Note(-1.0, -0.5, 40, 100), Note(5.0, 6.0, 40, 100)]
    for notes in ([], outside):
        assert not draw_patch(role, rng).play(notes, N, rng).any()
    assert draw_patch(role, rng).play(CHORD, 100, rng).shape == (2, 100)


def test_unknown_roles_are_refused(rng):
    with pytest.raises(ValueError, match="'kazoo'"):
        draw_patch("kazoo", rng)


@pytest.mark.parametrize("spectrum", [saw(), pulse(0.3)])
@pytest.mark.parametrize("pitch", [33, 69, 100, 115])
def test_oscillators_do_not_alias(spectrum, pitch, rng):
    tone = Tone(spectrum=spectrum, envelope=Envelope(attack=0.001, decay=1, sustain=1), pitch=Pitch())
    sound = tone.note(pitch, 1.2, 1.0, 0.0, 0.0, rng)[0, 4410 : 4410 + 32768]
    spectrum = np.abs(np.fft.rfft(sound * np.blackman(len(sound)))) ** 2
    frequencies = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    away = np.abs(frequencies - hertz * np.round(frequencies / hertz))
    foreign = spectrum[(away > 8) | (frequencies > 18_000) | (frequencies < hertz / 2)].sum()
    assert 10 * np.log10(foreign / spectrum.sum()) < -60


def test_mono_patches_end_a_note_where_the_next_begins(rng):
    lead = next(patch for patch in (draw_patch("bass", rng) for _ in range(50)) if patch.engine.mono)
    alone = lead.play([Note(0.0, 0.5, 40, 100)], N, np.random.default_rng(0))
    assert not alone[:, int(1.2 * SAMPLE_RATE) :].any()


def test_only_kicks_are_given_weight_and_it_is_below_them(rng):
    kicks = [Note(0.1, 0.2, 36, 100), Note(0.9, 1.0, 35, 60)]
    sound = thump([*kicks, Note(0.5, 0.6, 38, 100)], N, rng)
    assert sound.shape == (2, N)
    assert not sound[:, : int(0.1 * SAMPLE_RATE)].any()
    spectrum = np.abs(np.fft.rfft(sound[0])) ** 2
    assert spectrum[: int(150 * N / SAMPLE_RATE)].sum() > 0.95 * spectrum.sum()
    assert not thump([Note(0.5, 0.6, 38, 100)], N, rng).any()


@pytest.mark.parametrize("kind", SPACES)
def test_rooms_have_unit_energy_and_die_away(kind):
    taps = SPACES[kind](np.random.default_rng(2))
    assert np.mean(np.sum(taps**2, axis=-1)) == pytest.approx(1, rel=1e-3)
    quarter = taps.shape[-1] // 4
    assert np.sum(taps[:, -quarter:] ** 2) < np.sum(taps[:, : 3 * quarter] ** 2)


@pytest.mark.parametrize("length", [1, 700, 5000, 100_000])
def test_convolution_by_blocks_is_convolution(length, rng):
    sound = rng.standard_normal((2, 70_000)).astype(np.float32)
    taps = (rng.standard_normal((2, length)) / np.sqrt(length)).astype(np.float32)
    size = 1 << 18
    expected = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(taps, size), size)[:, :70_000]
    np.testing.assert_allclose(effects.convolve(sound, taps), expected, atol=1e-4)  # float32 transforms


def test_equalizers_have_the_response_they_were_asked_for():
    bands = [
        effects.Band("bell", 1000, 6, 1),
        effects.Band("high shelf", 6000, -5),
        effects.Band("low cut", 80, 12),
    ]
    frequencies = np.array([100.0, 1000.0, 4000.0, 15_000.0])
    asked = np.abs(effects.response(bands, frequencies))
    taps = effects.impulse(bands)[0]
    phases = np.exp(-2j * np.pi * np.outer(frequencies, np.arange(len(taps))) / SAMPLE_RATE)
    got = np.abs(phases @ taps)
    assert 20 * np.log10(got / asked) == pytest.approx(np.zeros(4), abs=1.0)


@pytest.mark.parametrize("place", [-1.0, -0.3, 0.0, 0.7])
def test_the_balance_is_where_the_sound_was_panned(place, rng):
    sound = rng.standard_normal((1, N)).astype(np.float32)
    assert effects.balance(effects.pan(sound, place)) == pytest.approx(place, abs=1e-3)
    assert effects.balance(np.zeros((2, N), np.float32)) == 0


@pytest.mark.parametrize("stem", ["vocals", "drums", "bass", "other"])
def test_production_keeps_shape_and_level_and_repeats_itself(stem, song):
    role = {"vocals": "lead", "drums": "kit", "bass": "bass", "other": "guitar"}[stem]
    parts = [(role, song[stem]), (role, np.zeros_like(song[stem]))]
    for seed, style in enumerate(STYLES):
        first, record = produce.produce(stem, parts, style, np.random.default_rng(seed))
        second, _ = produce.produce(stem, parts, style, np.random.default_rng(seed))
        assert first.shape == (2, N)
        assert first.dtype == np.float32
        assert np.array_equal(first, second)
        assert len(record["parts"]) == 1
        assert effects.loudness(first) == pytest.approx(produce.REFERENCE, abs=0.2)


@pytest.mark.parametrize("role", ["double", "harmony", "backing", "spoken", "lead"])
def test_production_of_silence_is_silence(role, rng):
    sound, record = produce.produce("vocals", [(role, np.zeros((2, N), np.float32))], "pop", rng)
    assert not sound.any()
    assert record["parts"] == []


def test_production_refuses_parts_of_several_lengths(rng):
    parts = [("keys", np.zeros((2, 10), np.float32)), ("pad", np.zeros((2, 11), np.float32))]
    with pytest.raises(ValueError, match="one length"):
        produce.produce("other", parts, "pop", rng)


def test_dynamics_are_one_curve_for_all_stems(song, rng):
    finished = master.dynamics(song, STYLES["metal"], {}, rng)
    heard = np.all([np.abs(sound) > 1e-3 for sound in song.values()], axis=0)
    curves = [finished[name][heard] / song[name][heard] for name in song]
    for curve in curves[1:]:
        np.testing.assert_allclose(curve, curves[0], rtol=1e-5)
    assert np.abs(master.total(finished)).max() <= master.CEILING * 1.0001


def test_gentle_masters_leave_the_peaks_as_they_are(song):
    crests = {True: [], False: []}
    for seed in range(20):
        record = {}
        mix = master.total(master.dynamics(song, STYLES["metal"], record, np.random.default_rng(seed)))
        crests[record["gentle"]].append(effects.decibels(np.abs(mix).max()) - effects.loudness(mix))
    assert min(map(len, crests.values())) > 4
    assert np.median(crests[True]) > np.median(crests[False]) + 2


@pytest.mark.parametrize("stem", ["vocals", "other"])
def test_voices_are_nearer_to_the_middle_than_the_rest(stem, song):
    factors = [
        produce.produce(stem, [("lead", song[stem])], "pop", np.random.default_rng(seed))[1]["width"]
        for seed in range(40)
    ]
    median = np.median(factors)
    assert (median < 0.4) if stem == "vocals" else (0.7 < median < 1.1)


def test_a_limiter_keeps_its_ceiling_and_leaves_what_is_below(rng):
    mix = (2 * rng.standard_normal((2, N))).astype(np.float32)
    for reach in (0.0001, 0.003, 0.04):
        assert np.abs(mix * master.limiter_curve(mix, 0.9, reach)).max() <= 0.9 * 1.0001
        assert np.all(master.limiter_curve(mix, 100.0, reach) == 1)


@pytest.mark.parametrize("silent", [(), ("vocals",), ("drums",), ("vocals", "drums", "bass", "other")])
def test_masters_stay_within_the_peak_and_silence_stays_silent(silent, song):
    for name in silent:
        song[name] = np.zeros_like(song[name])
    for seed, style in enumerate(STYLES):
        finished, record = master.master(song, style, np.random.default_rng(seed))
        again, _ = master.master(song, style, np.random.default_rng(seed))
        assert np.abs(master.total(finished)).max() <= master.PEAK * 1.0001
        assert set(record["levels"]) == set(song)
        for name, sound in finished.items():
            assert sound.shape == (2, N)
            assert sound.dtype == np.float32
            assert sound.any() == (name not in silent)
            assert np.isfinite(sound).all()
            assert np.array_equal(sound, again[name])


@pytest.mark.parametrize(
    "code",
    [
        lambda x: master.vorbis(x, "96 kbps"),
        lambda x: master.coded({"a": x}, {}, np.random.default_rng(0))["a"],
    ],
)
def test_codecs_keep_the_time(code):
    t = np.arange(N) / SAMPLE_RATE
    sound = np.repeat((0.3 * np.sin(2 * np.pi * (200 + 300 * t) * t))[None], 2, axis=0).astype(np.float32)
    decoded = code(sound)
    assert decoded.shape == sound.shape
    middle = slice(N // 4, 3 * N // 4)
    error = np.mean((decoded[:, middle] - sound[:, middle]) ** 2) / np.mean(sound[:, middle] ** 2)
    assert error < 0.05
