"""Instruments of the corpus: what can be said without their recordings."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
import soundfile
from notes import SAMPLE_RATE, Note

oneshots = pytest.importorskip("oneshots")
recordings = pytest.importorskip("recordings")

CORPUS = Path(__file__).parents[1] / "recipes" / "corpus"
KICK, CLOSED, OPEN = 36, 42, 46
BALANCE = {"close": (0.0, 0.0), "overhead": (-6.0, -6.0)}


@pytest.fixture
def sounds(tmp_path):
    """Strokes of a second of noise: two forces, two takes, a close microphone and a pair above."""
    noise = np.random.default_rng(0)
    for force, peak in ((1, 0.1), (2, 0.5)):
        for take in (1, 2):
            for microphone in ("top", "left", "right"):
                stroke = peak * noise.uniform(-1, 1, SAMPLE_RATE)
                soundfile.write(tmp_path / f"{microphone}_vl{force}_rr{take}.wav", stroke, SAMPLE_RATE)
    return tmp_path


@pytest.fixture
def drum(sounds):
    groups = {"close": ["top"], "overhead": ["left", "right"]}
    return recordings._layered(sounds, "{}_vl*_rr*.wav", groups)


def kit(drums, *, is_machine=False):
    return oneshots.Kit(drums=drums, balance=BALANCE, is_machine=is_machine)


def strokes(*times, pitch=KICK):
    return [Note(time, time + 0.1, pitch, 100) for time in times]


def rms(audio):
    return float(np.sqrt((audio**2).mean()))


def test_patterns_find_forces_takes_and_microphones(drum):
    assert [len(layer) for layer in drum.layers] == [2, 2]
    take = drum.layers[1][0]
    assert [path.name for path in take["overhead"]] == ["left_vl2_rr1.wav", "right_vl2_rr1.wav"]


def test_a_take_without_one_of_a_pair_lacks_the_pair(sounds):
    (sounds / "left_vl1_rr1.wav").unlink()
    drum = recordings._layered(sounds, "{}_vl*_rr*.wav", {"close": ["top"], "overhead": ["left", "right"]})
    assert set(drum.layers[0][0]) == {"close"}


def test_forces_are_sorted_as_numbers(tmp_path):
    for force in (2, 10):
        soundfile.write(tmp_path / f"{force}-a.wav", np.full(100, force / 20), SAMPLE_RATE)
    drum = recordings._layered(tmp_path, "*-{}.wav", {"close": ["a"]})
    assert [layer[0]["close"][0].name for layer in drum.layers] == ["2-a.wav", "10-a.wav"]


def test_a_stroke_begins_on_its_sample(drum):
    audio = kit({KICK: drum}).play(strokes(0.5), SAMPLE_RATE, np.random.default_rng(0))
    assert audio.shape == (2, SAMPLE_RATE)
    assert audio.dtype == np.float32
    assert not audio[:, : SAMPLE_RATE // 2].any()
    assert rms(audio[:, SAMPLE_RATE // 2 : SAMPLE_RATE // 2 + 500]) > 0.01


def test_the_same_draw_gives_the_same_part_and_another_one_another(drum):
    parts = [
        kit({KICK: drum}).play(strokes(0, 0.3), SAMPLE_RATE, np.random.default_rng(n)) for n in (1, 1, 2)
    ]
    assert np.array_equal(parts[0], parts[1])
    assert not np.array_equal(parts[0], parts[2])


def test_a_closed_hat_stops_an_open_one(drum):
    hats = kit({CLOSED: drum, OPEN: drum})
    notes = [*strokes(0, pitch=OPEN), *strokes(0.2, pitch=CLOSED)]
    ends = hats._ends([(note, note.pitch) for note in notes], SAMPLE_RATE)
    assert ends == [round(0.2 * SAMPLE_RATE), SAMPLE_RATE]


def test_only_a_machine_cuts_a_drum_that_is_struck_again(drum):
    twice = [(note, KICK) for note in strokes(0, 0.25)]
    assert kit({KICK: drum})._ends(twice, SAMPLE_RATE) == [SAMPLE_RATE] * 2
    assert kit({KICK: drum}, is_machine=True)._ends(twice, SAMPLE_RATE)[0] == round(0.25 * SAMPLE_RATE)


def test_a_cut_stroke_fades_and_is_silent_after():
    audio = np.zeros((2, 10_000), np.float32)
    oneshots._add(audio, np.ones((2, 10_000), np.float32), 100, 2000, 0.5)
    assert np.all(audio[:, 100:2000] == 0.5)
    assert np.all(np.diff(audio[0, 2000 : 2000 + oneshots.FADE]) <= 0)
    assert not audio[:, 2000 + oneshots.FADE :].any()


def test_a_stroke_that_is_shorter_than_its_fade_keeps_its_place():
    audio = np.zeros((2, 1000), np.float32)
    oneshots._add(audio, np.ones((2, 50), np.float32), 100, 120, 1.0)
    assert not audio[:, :100].any()
    assert np.all(audio[:, 100:120] == 1)
    assert not audio[:, 150:].any()


def test_what_a_kit_lacks_is_played_on_its_relative_or_left_out(drum):
    bass_drum = kit({KICK: drum})
    assert bass_drum.play(strokes(0, pitch=35), 1000, np.random.default_rng(0)).any()
    assert not bass_drum.play(strokes(0, pitch=56), 1000, np.random.default_rng(0)).any()


def test_no_notes_are_silence(drum):
    assert not kit({KICK: drum}).play([], 1000, np.random.default_rng(0)).any()


@pytest.mark.parametrize("name", ["presets", "programs"])
def test_lists_are_sound(name):
    rows = json.loads((CORPUS / f"{name}.json").read_text())
    known = json.loads((CORPUS / "ingredients.json").read_text())
    assert len({(row["name"], row["role"]) for row in rows}) == len(rows)
    for row in rows:
        assert row["ingredient"] in known
        assert 0 <= row["low"] < row["high"] <= 127


def test_kits_name_known_sets_and_ingredients():
    listed = json.loads((CORPUS / "kits.json").read_text())
    known = json.loads((CORPUS / "ingredients.json").read_text())
    assert len({(entry["name"], entry["role"]) for entry in listed["kits"]}) == len(listed["kits"])
    assert {name for entry in listed["kits"] for name in entry["sets"]} == set(listed["sets"])
    assert {entry["ingredient"] for entry in listed["sets"].values()} <= set(known)


def test_ends_come_before_beginnings_and_nothing_after_the_end():
    sfz = pytest.importorskip("sfz")
    second = SAMPLE_RATE
    events = sfz.events([Note(0, 1, 60, 90), Note(1, 2, 60, 80), Note(3, 4, 60, 80)], 2 * second)
    assert events == [(0, 90, 60), (second, 0, 60), (second, 80, 60)]


@pytest.mark.parametrize(
    ("name", "pitch"),
    [
        ("A4", 69),
        ("Ds1", 27),
        ("FS2", 42),
        ("C#5", 73),
        ("440.000", 69),
        ("127_220.0", 57),
        ("gb2_vl4_rr1_2", 42),
        ("b3_soft", 59),
        ("G4S", None),
        ("", None),
    ],
)
def test_single_notes_are_named_after_their_pitch(name, pitch):
    sfz = pytest.importorskip("sfz")
    assert sfz.named_pitch(name) == pitch


def test_single_notes_share_all_keys_among_them():
    sfz = pytest.importorskip("sfz")
    files = [CORPUS / f"{name}.wav" for name in ("readme", "A4", "446.1", "C3")]
    _, low, high = sfz.written(files).splitlines()
    assert low == f"<region> lokey=0 hikey=58 pitch_keycenter=48 tune=0 sample={CORPUS / 'C3.wav'}"
    assert high == f"<region> lokey=59 hikey=127 pitch_keycenter=69 tune=-24 sample={CORPUS / '446.1.wav'}"


def test_an_unknown_role_is_refused():
    instruments = pytest.importorskip("instruments")
    with pytest.raises(ValueError, match="theremin"):
        instruments.instruments("theremin")


def test_pitch_is_measured_in_semitones():
    pytest.importorskip("pysfizz")
    audition = pytest.importorskip("audition")
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = np.tile(0.3 * np.sin(2 * np.pi * 220 * time), (2, 1)).astype(np.float32)
    assert audition.pitch_error(tone, 57) == pytest.approx(0, abs=0.05)
    assert audition.pitch_error(tone, 56) == pytest.approx(1, abs=0.05)
    assert audition.rms_db(tone) == pytest.approx(20 * np.log10(0.3 / np.sqrt(2)), abs=0.1)
