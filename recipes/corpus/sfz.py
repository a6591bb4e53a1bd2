"""Multisampled instruments in the SFZ format, played by sfizz.

sfizz draws the takes of a note from a generator of its own that cannot be seeded: two renderings of the same
part agree in all but that.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

import numpy as np
import pysfizz._sfizz as sfizz
from notes import SAMPLE_RATE, Audio, Note

BLOCK = 512  # samples; notes begin on their sample within it, modulation is updated once per block
VOICES = 40  # bounds the cost of unison presets, of which each note takes up to nine
KEPT = 1  # presets in memory, where one takes up to 550 MB; loading takes 0.1 to 0.6 s
# Cubic interpolation. Off line, sfizz takes a sinc if not told otherwise: three to six times slower.
SAMPLE_QUALITY = 2
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


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
        path: the file; with a "*", recordings of single notes, see `written`.
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
    with NamedTemporaryFile("w", suffix=".sfz", encoding="utf-8") as own:
        is_pattern = "*" in preset.path.name
        if is_pattern:
            own.write(written(sorted(preset.path.parent.glob(preset.path.name))))
            own.flush()
        if not synth.load_sfz_file(own.name if is_pattern else str(preset.path)):
            raise ValueError(f"sfizz cannot read {preset.path}")
    synth.set_sample_quality(SAMPLE_QUALITY)
    return synth


def written(files: Sequence[Path]) -> str:
    """An instrument of recordings of single notes that are named after them; others are left out.

    A name begins with a note ("A4", "Ds3", "gb2_vl4": s is sharp, b flat), or is a frequency in Hz, after a
    force perhaps ("127_110.000").
    Each recording plays the keys that are nearest to its pitch.
    """
    pitches = {round(pitch): (pitch, file) for file in files if (pitch := named_pitch(file.stem)) is not None}
    keys = sorted(pitches)
    edges = [0, *((low + high) // 2 + 1 for low, high in pairwise(keys)), 128]
    lines = ["<global> ampeg_release=0.25"]
    for key, (first, end) in zip(keys, pairwise(edges), strict=True):
        pitch, file = pitches[key]
        tune = round(100 * (key - pitch))
        place = f"lokey={first} hikey={end - 1} pitch_keycenter={key} tune={tune}"
        lines.append(f"<region> {place} sample={file}")
    return "\n".join(lines) + "\n"


def named_pitch(name: str) -> float | None:
    """The MIDI pitch that a file's name says, if it does."""
    if note := re.fullmatch(r"([A-Ga-g])([sS#b]?)(\d)(?:_.*)?", name):
        return 12.0 * (int(note[3]) + 1) + STEPS[note[1].upper()] + {"": 0, "b": -1}.get(note[2], 1)
    if hertz := re.fullmatch(r"(?:\d+_)?(\d+\.\d+)", name):
        return float(69 + 12 * np.log2(float(hertz[1]) / 440))
    return None


def _silence(synth: sfizz.Synth, notes: Sequence[Note], transpose: int) -> None:
    """Leave nothing for the next part: neither held keys nor sounds."""
    for pitch in sorted({note.pitch for note in notes}):
        synth.note_off(0, pitch + transpose, 0)
    synth.render_block()
    synth.all_sound_off()
    synth.render_block()
