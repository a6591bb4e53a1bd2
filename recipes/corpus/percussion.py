"""Hand percussion: a pattern over the whole song."""

import numpy as np
from form import Form
from notes import Note

# Numbers of General MIDI's percussion map.
SOUNDS = {
    "tambourine": (54,),
    "shaker": (70, 82),
    "bongos": (60, 61),
    "congas": (62, 63, 64),
    "timbales": (65, 66),
    "claves": (75,),
    "woodblocks": (76, 77),
    "cowbell": (56,),
    "guiro": (73, 74),
}
STEADY = ("tambourine", "shaker")


def shaken(form: Form, rng: np.random.Generator) -> list[Note]:
    """One or two percussion instruments, in some of the sections."""
    chosen = [str(name) for name in rng.choice(list(SOUNDS), size=int(rng.integers(1, 3)), replace=False)]
    notes = []
    for name in chosen:
        pitches = SOUNDS[name]
        each = float(rng.choice([0.25, 0.5]))
        n_steps = round(form.beats_per_bar / each)
        chance = rng.uniform(0.75, 1) if name in STEADY else rng.uniform(0.2, 0.55)
        pattern = [int(rng.choice(pitches)) if rng.random() < chance else 0 for _ in range(n_steps)]
        loudness = rng.uniform(60, 100)
        for section in form.sections:
            if section.energy < 0.3 or rng.random() < 0.2:
                continue
            for bar in range(section.n_bars):
                for step, pitch in enumerate(pattern):
                    beat = section.start + bar * form.beats_per_bar + step * each
                    accent = 12 if beat % 1 == 0.5 else 0
                    velocity = int(np.clip(loudness + accent + rng.normal(0, 8), 20, 127))
                    start = max(0.0, form.seconds(beat) + float(rng.normal(0, 0.004)))
                    if pitch:
                        notes.append(Note(start, start + 0.1, pitch, velocity))
    return sorted(notes)
