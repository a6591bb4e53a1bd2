"""Multisampled instruments in the SFZ format, played by sfizz.

sfizz draws the takes of a note from a generator of its own that cannot be seeded: two renderings of the same
part agree in all but that.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pysfizz._sfizz as sfizz
from notes import SAMPLE_RATE, Audio, Note

BLOCK = 512  # samples; notes begin on their sample within it, modulation is updated once per block
VOICES = 40  # bounds the cost of unison presets, of which each note takes up to nine
KEPT = 1  # presets in memory, where one takes up to 550 MB; loading takes 0.1 to 0.6 s
# Cubic interpolation. Off line, sfizz takes a sinc if not told otherwise: three to six times slower.
SAMPLE_QUALITY = 2


class Event(NamedTuple):
    """A note begins (`velocity` > 0) or ends (0), `time` in samples."""

    time: int
    velocity: int
    pitch: int


def events(notes: Sequence[Note], n_samples: int) -> list[Event]:
    """Beginnings and ends in the order in which a sampler wants them: ends first where two coincide."""
    on = [Event(max(0, round(note.start * SAMPLE_RATE)), note.velocity, note.pitch) for note in notes]
    off = [Event(round(note.end * SAMPLE_RATE), 0, note.pitch) for note in notes]
    return sorted(event for event in on + off if event.time < n_samples)


class SfzPreset(NamedTuple):
    """An SFZ file and how its controls are set.

    Attributes:
        path: the file.
        transpose: what it needs in semitones to sound at the pitch that is written.
        controls: MIDI controllers, each with the range that its value is drawn from before a part is played.
    """

    path: Path
    transpose: int
    controls: tuple[tuple[int, int, int], ...]

    def play(self, notes: Sequence[Note], n_samples: int, rng: np.random.Generator) -> Audio:
        """The part, `(2, n_samples)`; what rings on after it is cut."""
        synth = _load(self)
        for control, low, high in self.controls:
            synth.cc(0, control, int(rng.integers(low, high + 1)))
        audio = np.empty((2, -(-n_samples // BLOCK) * BLOCK), np.float32)
        queue = events(notes, n_samples)
        place = 0
        for start in range(0, audio.shape[1], BLOCK):
            while place < len(queue) and queue[place].time < start + BLOCK:
                time, velocity, pitch = queue[place]
                send = synth.note_on if velocity else synth.note_off
                send(time - start, pitch + self.transpose, velocity)
                place += 1
            audio[0, start : start + BLOCK], audio[1, start : start + BLOCK] = synth.render_block()
        _silence(synth, notes, self.transpose)
        return audio[:, :n_samples]


@lru_cache(maxsize=KEPT)
def _load(preset: SfzPreset) -> sfizz.Synth:
    """A sampler for this preset alone: controls that another one of the same file has set would stay."""
    synth = sfizz.Synth(SAMPLE_RATE, BLOCK)
    synth.enable_freewheeling()  # wait for samples from the disk instead of leaving them out
    synth.set_num_voices(VOICES)
    if not synth.load_sfz_file(str(preset.path)):
        raise ValueError(f"sfizz cannot read {preset.path}")
    synth.set_sample_quality(SAMPLE_QUALITY)
    return synth


def _silence(synth: sfizz.Synth, notes: Sequence[Note], transpose: int) -> None:
    """Leave nothing for the next part: neither held keys nor sounds."""
    for pitch in sorted({note.pitch for note in notes}):
        synth.note_off(0, pitch + transpose, 0)
    synth.render_block()
    synth.all_sound_off()
    synth.render_block()
