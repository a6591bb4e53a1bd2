"""Compositions, as far as they need no ingredients: drums are patterns here."""

import numpy as np
import pytest
from accompaniment import BASS_LINES, CENTRES, CHORD_MANNERS, bass_line, chord_part
from form import STYLES, Form, draw_form
from grooves import _excerpt, programmed, thinned
from harmony import (
    JAZZ_PROGRESSIONS,
    MAJOR_PROGRESSIONS,
    MINOR_PROGRESSIONS,
    POWER_PROGRESSIONS,
    progression,
    voicing,
)
from melody import BREATH_S, sung_phrases


def form_of(style: str, seed: int = 0) -> Form:
    return draw_form(style, 60.0, np.random.default_rng(seed))


def test_progressions_are_read_as_written() -> None:
    assert progression("0 9m 10maj7 105", tonic=2) == [
        (2, (0, 4, 7)),
        (11, (0, 3, 7)),
        (0, (0, 4, 7, 11)),
        (0, (0, 7)),
    ]


@pytest.mark.parametrize(
    "text", MAJOR_PROGRESSIONS + MINOR_PROGRESSIONS + POWER_PROGRESSIONS + JAZZ_PROGRESSIONS
)
def test_every_progression_has_chords_that_exist(text: str) -> None:
    assert len(progression(text, 0)) == len(text.split())


@pytest.mark.parametrize("style", STYLES)
def test_sections_follow_each_other_and_chords_fill_them(style: str) -> None:
    for seed in range(20):
        form = form_of(style, seed)
        beat = 0.0
        for section in form.sections:
            assert section.start == beat
            beat += section.n_bars * form.beats_per_bar
            assert section.chords[0].start == section.start
            assert section.chords[-1].end == beat
            for chord, following in zip(section.chords, section.chords[1:], strict=False):
                assert chord.end == following.start
        assert abs(form.duration_s - 60) < 8 * 60 / form.tempo + 5


def test_swing_delays_what_lies_between_the_beats_and_no_beat() -> None:
    form = next(form for seed in range(50) if (form := form_of("jazz", seed)).swing > 0)
    beat_s = 60 / form.tempo
    assert form.seconds(3.0) == pytest.approx(3 * beat_s)
    assert form.seconds(3.5) == pytest.approx((3.5 + form.swing) * beat_s)
    moments = [form.seconds(b) for b in np.arange(0, 8, 0.125)]
    assert moments == sorted(moments)


def test_phrases_leave_time_to_breathe() -> None:
    for seed in range(30):
        form = form_of("pop", seed)
        phrases = sung_phrases(form, 62.0, False, np.random.default_rng(seed))
        for phrase in phrases:
            assert phrase == sorted(phrase)
            assert all(note.end > note.start for note in phrase)
            assert all(abs(note.pitch - 62) <= 20 for note in phrase)
        ends = [phrase[-1].end for phrase in phrases]
        starts = [phrase[0].start for phrase in phrases]
        assert all(start - end > BREATH_S / 2 for start, end in zip(starts[1:], ends, strict=False))


def test_nobody_sings_where_the_form_has_no_voice() -> None:
    forms = (form_of("pop", seed) for seed in range(99))
    form = next(form for form in forms if not all(s.has_vocals for s in form.sections))
    silent = [s for s in form.sections if not s.has_vocals]
    for phrase in sung_phrases(form, 62.0, False, np.random.default_rng(0)):
        for note in phrase:
            for section in silent:
                begin = form.seconds(section.start)
                assert not begin <= note.start < begin + section.n_bars * form.beats_per_bar * 60 / form.tempo


@pytest.mark.parametrize("manner", BASS_LINES)
def test_bass_lines_stay_within_the_section_and_low(manner: str) -> None:
    form = form_of("rock")
    section = form.sections[0]
    end = section.start + section.n_bars * form.beats_per_bar
    line = bass_line(manner, form, section, [0.0, 2.5], np.random.default_rng(0))
    assert line
    for beat, length, pitch, velocity in line:
        assert section.start <= beat < end
        assert length > 0
        assert 28 <= pitch <= 64
        assert 1 <= velocity <= 127


@pytest.mark.parametrize(("role", "manner"), [(r, m) for r, ms in CHORD_MANNERS.items() for m in set(ms)])
def test_every_way_to_accompany_gives_playable_notes(role: str, manner: str) -> None:
    form = form_of("soul")
    section = form.sections[0]
    notes = chord_part(role, manner, form, section, CENTRES[role][0], np.random.default_rng(1))
    assert notes
    assert all(note.end > note.start >= 0 and 1 <= note.velocity <= 127 for note in notes)
    assert all(20 <= note.pitch <= 110 for note in notes)


def test_a_voicing_has_the_tones_of_the_chord_near_its_place() -> None:
    chord = form_of("jazz").sections[0].chords[0]
    pitches = voicing(chord, 60, 4)
    assert {p % 12 for p in pitches} <= set(chord.pitch_classes)
    assert all(abs(p - 60) <= 18 for p in pitches)


def test_a_performance_is_repeated_in_time() -> None:
    hits = [(0.0, 36, 100), (1.0, 38, 90), (3.5, 42, 80)]
    assert _excerpt(hits, 0, 8, 10.0, 4) == [
        (10.0, 36, 100),
        (11.0, 38, 90),
        (13.5, 42, 80),
        (14.0, 36, 100),
        (15.0, 38, 90),
        (17.5, 42, 80),
    ]
    assert [beat for beat, *_ in _excerpt(hits, 1, 4, 0.0, 4)] == [0.0, 2.5, 3.0]


def test_patterns_are_the_same_for_the_same_seed_and_differ_for_another() -> None:
    form = form_of("electronic")
    first, again, other = (programmed(form, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert all(0 <= beat < form.n_beats for beat, *_ in first)


def test_quiet_sections_lose_drums_and_loud_ones_none() -> None:
    form = form_of("rock", 3)
    hits = programmed(form, np.random.default_rng(0))
    loud = [s for s in form.sections if s.energy >= 0.35]
    kept = thinned(hits, form.sections, np.random.default_rng(0))
    for section in loud:
        end = section.start + section.n_bars * form.beats_per_bar
        before, after = ([h for h in some if section.start <= h[0] < end] for some in (hits, kept))
        assert before == after
