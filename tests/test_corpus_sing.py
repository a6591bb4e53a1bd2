"""The singers of the corpus, as far as they need no recordings: a synthetic vowel stands for the banks."""

import json
import unicodedata
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

pytest.importorskip("parselmouth")
pytest.importorskip("pyworld", exc_type=ImportError)

import banks
import pool
import psola
import sing
import throats
import voice
import world
from banks import ANY, SILENCE, Bank, Unit, read_oto
from contour import Manner, loosen, loudness_contour, pitch_contour
from notes import SAMPLE_RATE, Note
from psola import HOP, Recording, Syllable, Texture

STEADY = Texture(jitter=0.0, shimmer=0.0)
MAJOR = (0, 2, 4, 5, 7, 9, 11)


def vowel(hz: float, seconds: float = 0.8, resonance_hz: float = 900.0) -> np.ndarray:
    """Pulses through one resonance."""
    out = np.zeros(int(seconds * SAMPLE_RATE), np.float32)
    time = np.arange(800) / SAMPLE_RATE
    ring = np.sin(2 * np.pi * resonance_hz * time) * np.exp(-500 * time)
    for start in np.arange(100, len(out) - 800, SAMPLE_RATE / hz):
        out[int(start) : int(start) + 800] += 0.3 * ring
    return out


def recorded(hz: float) -> Recording:
    return psola.analyse(vowel(hz), 0.67 * hz, 1.5 * hz)


def pitch_of(samples: np.ndarray) -> float:
    """The median pitch in Hz, by Praat."""
    import parselmouth

    found = parselmouth.Sound(samples.astype(float), SAMPLE_RATE).to_pitch_ac(
        pitch_floor=60, pitch_ceiling=700
    )
    values = found.selected_array["frequency"]
    return float(np.median(values[values > 0]))


def resonance_of(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    return float((spectrum * hz).sum() / spectrum.sum())


def phrase(*pitches: int, length: float = 0.4) -> list[Note]:
    return [Note(0.6 + i * length, 0.6 + (i + 1) * length, pitch, 90) for i, pitch in enumerate(pitches)]


def toy_bank(vowels: str, before: str = ANY) -> Bank:
    syllables = {
        (before, v): [Unit(Path(f"{c}{v}.wav"), f"{c}{v}", before, v, 0, 0.1, 0, 0.05, 0.02) for c in "kmst"]
        for v in vowels
    }
    held = {
        v: [Unit(Path(f"{v}.wav"), v, before, v, 0, 0.1, 0, 0.05, 0.02)] if v in vowels else []
        for v in "aiueon"
    }
    return Bank("toy", "toy", 60, syllables, held, [])


def test_the_pitch_marks_are_one_period_apart() -> None:
    recording = recorded(150.0)
    distances = np.diff(recording.marks[recording.voiced])
    assert np.median(distances) == pytest.approx(SAMPLE_RATE / 150, abs=1)
    assert recording.voiced.mean() > 0.8


def test_noise_and_silence_have_marks_but_no_pitch() -> None:
    for samples in (np.zeros(9000, np.float32), np.zeros(1, np.float32)):
        recording = psola.analyse(samples, 80, 400)
        assert len(recording.marks) > 0
        assert not recording.voiced.any()
        assert recording.level > 0


@pytest.mark.parametrize("renderer", [psola.sing_phrase, world.sing_phrase])
@pytest.mark.parametrize("hz", [110.0, 150.0, 247.0])
def test_the_wanted_pitch_is_sung_and_resonances_stay(renderer, hz) -> None:
    whole = Syllable(recorded(150.0), 0.0, 1.5, 0.0, 0.1, 0.01, 0.01)
    sound = renderer([whole], np.full(300, hz), STEADY, np.random.default_rng(0))
    assert len(sound) == int(300 * HOP * SAMPLE_RATE)
    assert pitch_of(sound) == pytest.approx(hz, rel=0.01)
    assert resonance_of(sound) == pytest.approx(resonance_of(vowel(150.0)), rel=0.12)
    assert 0.4 < np.sqrt((sound[9000:50000] ** 2).mean()) < 2.0


@pytest.mark.parametrize("renderer", [psola.sing_phrase, world.sing_phrase])
def test_a_shorter_throat_raises_the_resonances_alone(renderer) -> None:
    whole = Syllable(recorded(150.0), 0.0, 0.8, 0.0, 0.1, 0.01, 0.01)
    low, high = (
        renderer(
            [whole], np.full(160, 150.0), Texture(formant=f, jitter=0, shimmer=0), np.random.default_rng(0)
        )
        for f in (0.85, 1.15)
    )
    assert resonance_of(high) / resonance_of(low) == pytest.approx(1.15 / 0.85, rel=0.12)
    assert pitch_of(high) == pytest.approx(150.0, rel=0.01)


def test_at_its_own_pitch_and_pace_psola_changes_nothing() -> None:
    recording = recorded(150.0)
    sound = pool.perform(recording, 0.001, 1.0, STEADY, np.random.default_rng(0)) * recording.level
    # Its marks are on a grid of their own: up to a period late.
    excerpt = recording.samples[9000:20000]
    likeness = [np.corrcoef(sound[9000 + lag :][:11000], excerpt)[0, 1] for lag in range(-300, 300)]
    assert max(likeness) > 0.95
    as_it_is = pool.perform(recording, 0, 1.0, pool.AS_RECORDED, np.random.default_rng(0))
    np.testing.assert_allclose(as_it_is * recording.level, recording.samples, atol=1e-6)


@pytest.mark.parametrize("pace", [0.8, 1.25])
def test_a_phrase_sung_at_another_pace_keeps_its_pitch(pace) -> None:
    sound = pool.perform(recorded(150.0), 0, pace, STEADY, np.random.default_rng(0))
    assert len(sound) == pytest.approx(0.8 * SAMPLE_RATE / pace, rel=0.02)
    assert pitch_of(sound) == pytest.approx(150.0, rel=0.01)


def test_a_whisper_has_no_pitch_and_a_growl_has_half_of_it() -> None:
    whole = Syllable(recorded(200.0), 0.0, 1.5, 0.0, 0.1, 0.01, 0.01)
    rng = np.random.default_rng(0)
    whisper = psola.sing_phrase([whole], np.full(300, 200.0), Texture(whisper=True), rng)
    growl = psola.sing_phrase([whole], np.full(300, 200.0), Texture(growl=0.9), rng)
    lag = SAMPLE_RATE // 200
    assert abs(np.corrcoef(whisper[5000:-lag], whisper[5000 + lag :])[0, 1]) < 0.3
    one, two = (
        np.corrcoef(growl[5000 : -2 * lag], growl[5000 + k * lag :][: len(growl) - 5000 - 2 * lag])[0, 1]
        for k in (1, 2)
    )
    assert two > one


def test_an_oto_is_read_in_any_encoding_and_normal_form(tmp_path) -> None:
    for name in ("ががぎ.wav", "br.wav"):
        soundfile.write(tmp_path / unicodedata.normalize("NFD", name), np.zeros(100), SAMPLE_RATE)
    lines = [
        "ががぎ.wav=a がA4,1000,300,-700,250,100",
        "ががぎ.wav=- ギS,1,300,500,250,-3",
        "ががぎ.wav=a R,1,1,1,1,1",
    ]
    lines += ["absent.wav=a か,1,1,1,1,1", "br.wav=br,1,1,1,1,1", "ががぎ.wav=e が,,,,,", "", "nonsense"]
    (tmp_path / "oto.ini").write_text("\r\n".join(lines), encoding="cp932")
    first, second = read_oto(tmp_path, "cp932", "kana")
    assert (first.text, first.before, first.after, first.cutoff) == ("が", "a", "a", -0.7)
    assert (second.text, second.before, second.after, second.overlap) == ("ぎ", SILENCE, "i", 0.0)
    with pytest.raises(UnicodeDecodeError):
        read_oto(tmp_path, "utf-8", "kana")


@pytest.mark.parametrize(
    ("naming", "alias", "parsed"),
    [
        ("letters", "nyo", ("nyo", ANY, "o")),
        ("letters", "a R", None),
        ("mandarin", "- tao_A4", ("tao", SILENCE, "o")),
        ("mandarin", "ka_D5", ("ka", ANY, "a")),
        ("mandarin", "an x_A4", None),
        ("mandarin", "rui+_A4", None),
        ("kana", "o じゅSA4", ("じゅ", "o", "u")),
        ("kana", "- ヴォ", ("ゔぉ", SILENCE, "o")),
    ],
)
def test_aliases(naming, alias, parsed) -> None:
    assert banks._parse(alias, naming) == parsed


def test_the_tables_name_ingredients_and_chances() -> None:
    listed = json.loads((Path(banks.__file__).parent / "ingredients.json").read_text(encoding="utf-8"))
    assert {entry["ingredient"] for entry in banks.table().values()} <= set(listed)
    assert pool.INGREDIENT in listed
    for chances in sing.arrangements().values():
        assert all(0 <= chance <= 1 for chance in chances.values())


def test_two_banks_sing_the_same_vowels_and_an_ooh_is_one_vowel() -> None:
    notes = phrase(60, 62, 64, 65, 67, 65, 64, 62)
    spelled = [
        [u.after for u in voice.spell(bank, notes, "aiueo", np.random.default_rng(4))]
        for bank in (toy_bank("aiueo"), toy_bank("aiueo", SILENCE))
    ]
    assert spelled[0] == spelled[1]
    assert len(set(spelled[0])) > 1
    assert {u.text for u in voice.spell(toy_bank("aiueo"), notes, "u", np.random.default_rng(4))} == {"u"}
    assert {u.after for u in voice.spell(toy_bank("aiueo"), notes, "n", np.random.default_rng(4))} == {"a"}


@pytest.mark.parametrize("length", [0.08, 0.2, 1.5])
def test_syllables_leave_no_gap_between_tied_notes(monkeypatch, length) -> None:
    monkeypatch.setattr(voice, "recording", lambda unit, pitch: recorded(150.0))
    notes = phrase(60, 62, 64, 65, length=length)
    bank = toy_bank("aiueo")
    units = voice.spell(bank, notes, "aiueo", np.random.default_rng(0))
    syllables = voice.place(bank, units, notes)
    for before, after in pairwise(syllables):
        assert before.end == pytest.approx(after.start + after.fade_in, abs=0.005)
        assert before.fade_out == pytest.approx(after.fade_in)
    assert syllables[-1].end >= notes[-1].end


def test_loosened_notes_stay_in_order_and_audible() -> None:
    notes = phrase(*range(60, 80), length=0.05)
    loose = loosen(notes, Manner(looseness=0.05), np.random.default_rng(0))
    assert [note.pitch for note in loose] == [note.pitch for note in notes]
    for before, after in pairwise(loose):
        assert before.start + 0.0599 <= before.end <= after.start + 1e-9


def test_the_contours_follow_the_notes() -> None:
    notes = phrase(60, 67, length=1.0)
    plain = Manner(scoop=0, fall=0, vibrato_depth=0, drift=0, detune=0.1)
    pitch = pitch_contour(notes, 600, plain, np.random.default_rng(0))
    assert pitch[int(1.2 / HOP)] == pytest.approx(60.1, abs=0.02)
    assert pitch[int(2.3 / HOP)] == pytest.approx(67.1, abs=0.02)
    loudness = loudness_contour(notes, pitch, plain, np.random.default_rng(0))
    assert loudness.shape == (600,)
    assert np.abs(loudness[120:480]).max() < 15


def test_growls_sound_on_the_notes_and_pause_with_them(tmp_path, monkeypatch) -> None:
    for kind in ("vowels", "consonants"):
        (tmp_path / "samples" / kind).mkdir(parents=True)
        soundfile.write(tmp_path / "samples" / kind / "a.wav", vowel(90.0, 2.0), SAMPLE_RATE)
    monkeypatch.setattr(sing, "folder", lambda _: tmp_path)
    phrases = [phrase(60, 62), [Note(3.0, 3.4, 60, 90), Note(3.05, 3.4, 62, 90)]]
    cast = sing.Cast(5 * SAMPLE_RATE)
    sing._growler(cast, SimpleNamespace(phrases=phrases), np.random.default_rng(0))
    ((role, sound),) = cast.parts
    assert role == "lead"
    levels = np.abs(sound[0].reshape(50, -1)).max(axis=1)
    assert (levels[[7, 8, 11, 12, 31, 32]] > 0.01).all()
    assert (levels[[0, 4, 17, 25, 38, 48]] == 0).all()
    assert cast.credits[0]["ingredient"] == sing.GROWLS


def test_harmonies_stay_in_the_scale() -> None:
    assert [n.pitch for n in sing.harmonized(phrase(60, 62, 71), MAJOR, 2)] == [64, 65, 74]
    assert [n.pitch for n in sing.harmonized(phrase(61), MAJOR, -2)] == [57]


def test_phrases_are_moved_to_the_key_by_the_shortest_way() -> None:
    rng = np.random.default_rng(0)
    d_major = {(p + 2) % 12 for p in MAJOR}
    assert pool.transposition(MAJOR, d_major, rng) == 2
    assert pool.transposition(MAJOR, {9, 11, 0, 2, 4, 5, 7}, rng) == 0
    assert pool.transposition((), d_major, rng) == 0


@pytest.mark.parametrize(
    ("own", "wanted", "pace"), [(0, 100, 1.0), (120, 240, 1.0), (120, 132, 1.1), (100, 145, 0.8)]
)
def test_phrases_are_paced_to_the_tempo_within_reason(own, wanted, pace) -> None:
    assert pool._pace(own, wanted) == pytest.approx(pace)


def test_phrases_are_strung_together_in_key_and_an_octave_lower_if_asked(monkeypatch) -> None:
    phrase = pool.Phrase(Path("ah.wav"), "she", "sung", frozenset(), 0.0)
    monkeypatch.setattr(pool, "phrases", lambda: {"she": [phrase]})
    monkeypatch.setattr(pool, "load", lambda path: psola.analyse(vowel(320), 75, 800))
    setting = pool.Setting((), 120, 2 * SAMPLE_RATE)
    own, lower = (
        pool.string_together(
            "she", [0.0, 1.0], setting, pool.AS_RECORDED, np.random.default_rng(0), octaves=octaves
        )
        for octaves in (0, -1)
    )
    assert len(own) == len(lower) == 2 * SAMPLE_RATE
    assert pitch_of(lower) == pytest.approx(pitch_of(own) / 2, rel=0.02)


def others(hz: float) -> list[np.ndarray]:
    """A vowel from twelve other throats."""
    recording = psola.analyse(vowel(hz), 75, 800)
    return [throats.other_throat(recording, np.random.default_rng(seed)) for seed in range(12)]


def test_a_woman_sings_once_more_as_a_man_and_a_man_as_a_woman() -> None:
    women = others(320)
    pitches = np.array([pitch_of(sound) for sound in women])
    assert 6 <= (pitches < 260).sum() < 12  # a fourth lower or more; some stay women
    assert pitches.min() > 75  # an octave lower, and a growl an octave below that
    assert resonance_of(women[int(pitches.argmin())]) < 0.95 * resonance_of(vowel(320))
    men = others(120)
    assert 135 < np.median([pitch_of(sound) for sound in men]) < 215
    assert all(np.abs(man).max() == pytest.approx(throats.PEAK) for man in men)


def test_silence_and_a_click_from_another_throat_are_finite() -> None:
    click = np.eye(1, 2000, 50, dtype=np.float32)[0]
    for samples in (np.zeros(1, np.float32), np.zeros(4000, np.float32), click):
        sound = throats.other_throat(psola.analyse(samples, 75, 800), np.random.default_rng(1))
        assert np.isfinite(sound).all()


def test_a_pool_of_throats_is_whole_and_the_same_again(tmp_path, monkeypatch) -> None:
    (tmp_path / "pool").mkdir()
    soundfile.write(tmp_path / "pool" / "ah.wav", vowel(300), SAMPLE_RATE)
    for name in ("one", "two"):
        arguments = ["throats.py", str(tmp_path / "pool"), str(tmp_path / name), "--times", "2"]
        monkeypatch.setattr("sys.argv", arguments)
        throats.main()
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {"ah.wav", "ah_throat0.flac", "ah_throat1.flac"}
    first, second = ((tmp_path / "one" / f"ah_throat{n}.flac").read_bytes() for n in (0, 1))
    assert first != second
    assert first == (tmp_path / "two" / "ah_throat0.flac").read_bytes()
