"""Weight for kick drums: a short falling sine under every stroke, as producers layer it."""

from collections.abc import Sequence

import numpy as np
from notes import SAMPLE_RATE, Audio, Note
from synth.drums import seconds, swept

KICKS = (35, 36)  # numbers of General MIDI's percussion map
SHARES = {"jazz": 0.15, "folk": 0.25, "latin": 0.3, "soul": 0.5}  # of a style's songs; of others 0.7


def has_thump(style: str, rng: np.random.Generator) -> bool:
    """Whether the kick of a song gets one."""
    return bool(rng.random() < SHARES.get(style, 0.7))


def thump(notes: Sequence[Note], n_samples: int, rng: np.random.Generator) -> Audio:
    """The layer under the kicks of a drum part, one pitch and length for the song, `(2, n_samples)`."""
    hertz, octaves = rng.uniform(30, 50), rng.uniform(0.3, 1.5)
    decay = float(np.exp(rng.uniform(np.log(0.06), np.log(0.35))))
    t = seconds(4 * decay)
    hit = swept(t, hertz, octaves, rng.uniform(0.01, 0.05)) * np.exp(-t / decay)
    hit *= np.minimum(1, t / 0.003) * np.minimum(1, (t[-1] - t) / (0.1 * t[-1]))
    sound = np.zeros(n_samples, np.float32)
    for note in notes:
        first = int(note.start * SAMPLE_RATE)
        if note.pitch in KICKS and 0 <= first < n_samples:
            piece = hit[: n_samples - first]
            sound[first : first + len(piece)] += (note.velocity / 127) ** 1.3 * piece
    return np.stack([sound, sound])
