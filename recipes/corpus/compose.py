"""A composition: everything that is played and sung in a song, as notes."""

from dataclasses import dataclass, replace

import numpy as np
from accompaniment import CENTRES, CHORD_MANNERS, bass_line, chord_part
from accompaniment import timed as timed_line
from form import STYLE_SHARES, STYLES, Form, draw_form
from grooves import KICK, Hits, played, programmed, thinned
from grooves import timed as timed_hits
from melody import sung_phrases
from notes import Note
from riffs import Riff, draw_riff


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one instrument plays.

    Attributes:
        role: see `instruments`.
        manner: how it does, for the manifest.
        notes: in order of time.
    """

    role: str
    manner: str
    notes: list[Note]


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """A song as notes.

    Attributes:
        form: its style, tempo, key, sections.
        drums: General MIDI percussion.
        groove: the performance that the drums come from, "" if a pattern.
        bass: one voice at a time; empty if the song has no bass.
        accompaniment: the parts of the stem "other".
        phrases: of the lead voice; none in an instrumental.
        is_rap: whether they are spoken in rhythm.
        riff: a recorded guitar that plays along.
    """

    form: Form
    drums: list[Note]
    groove: str
    bass: Part
    accompaniment: list[Part]
    phrases: list[list[Note]]
    is_rap: bool
    riff: Riff | None = None


def compose(duration_s: float, rng: np.random.Generator, style: str | None = None) -> Composition:
    """A song of about `duration_s` seconds, in a random style unless one is given."""
    if style is None:
        shares = np.array(list(STYLE_SHARES.values()))
        style = str(rng.choice(list(STYLE_SHARES), p=shares / shares.sum()))
    riff = draw_riff(style, rng)
    form = draw_form(style, duration_s, rng, riff)
    hits, groove, drums = _drums(form, rng)
    is_rap = (style == "hiphop" and rng.random() < 0.6) or rng.random() < 0.03
    phrases = sung_phrases(form, float(rng.uniform(55, 69)), bool(is_rap), rng)
    return Composition(
        form=form,
        drums=drums,
        groove=groove,
        bass=_bass(form, hits, rng),
        accompaniment=_accompaniment(form, rng),
        phrases=phrases,
        is_rap=bool(is_rap),
        riff=riff,
    )


def _drums(form: Form, rng: np.random.Generator) -> tuple[Hits, str, list[Note]]:
    """The hits in beats, the performance they come from, and the notes."""
    if rng.random() < 0.05:
        return [], "", []
    if rng.random() < STYLES[form.style].human:
        hits, groove = played(form, rng)
        hits = thinned(hits, form.sections, rng)
        return hits, groove, timed_hits(hits, replace(form, swing=0.0), 0.0, rng)
    hits = thinned(programmed(form, rng), form.sections, rng)
    return hits, "", timed_hits(hits, form, float(rng.choice([0.0, 0.002, 0.005])), rng)


def _bass(form: Form, hits: Hits, rng: np.random.Generator) -> Part:
    manners = STYLES[form.style].bass
    manner, other = (str(m) for m in rng.choice(manners, size=2))
    kicks = [beat for beat, pitch, _ in hits if pitch in (KICK, 35)]
    transposed = 12 if rng.random() < 0.08 else 0
    notes: list[Note] = []
    for section in form.sections:
        if rng.random() < (0.3 if section.energy < 0.35 else 0.02):
            continue
        line = bass_line(other if section.kind == "chorus" else manner, form, section, kicks, rng)
        notes += timed_line([(b, n, p + transposed, v) for b, n, p, v in line], form, rng)
    return Part(role="bass", manner=manner, notes=_one_at_a_time(notes))


def _one_at_a_time(notes: list[Note]) -> list[Note]:
    """The same notes, each ended where the next one begins."""
    ordered = sorted(notes)
    following = [note.start for note in ordered[1:]] + [float("inf")]
    return [
        note._replace(end=min(note.end, limit))
        for note, limit in zip(ordered, following, strict=True)
        if limit - note.start > 0.02
    ]


def _accompaniment(form: Form, rng: np.random.Generator) -> list[Part]:
    weights = STYLES[form.style].accompaniment
    shares = np.array(list(weights.values())) / sum(weights.values())
    roles = [str(role) for role in rng.choice(list(weights), size=int(rng.integers(2, 6)), p=shares)]
    parts = []
    for index, role in enumerate(roles):
        manners = CHORD_MANNERS[role]
        verse, chorus = (str(m) for m in rng.choice(manners, size=2))
        if form.style == "metal" and role == "guitar" and rng.random() < 0.7:
            verse = "chug"
        if form.style == "reggae" and role in ("guitar", "keys", "organ") and rng.random() < 0.7:
            verse = chorus = "offbeat"
        low, high = CENTRES[role]
        centre = float(rng.uniform(low, high))
        threshold = rng.uniform(0, 0.8) if index else 0.0  # the first part is there from the beginning
        notes: list[Note] = []
        for section in form.sections:
            if section.energy < threshold or rng.random() < 0.08:
                continue
            manner = chorus if section.kind == "chorus" else verse
            notes += chord_part(role, manner, form, section, centre, rng)
        parts.append(Part(role=role, manner=verse, notes=sorted(notes)))
    return parts
