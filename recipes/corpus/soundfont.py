"""Soundfonts, played by FluidSynth.

The library is called through ctypes: the program of the same name would have to open the soundfont for every
part, and decode compressed samples again, which takes longer than playing.
"""

import ctypes
from collections import OrderedDict
from collections.abc import Sequence
from ctypes.util import find_library
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from notes import SAMPLE_RATE, Audio, Note
from sfz import events

POLYPHONY = 128
CHANNELS = 8  # programs whose samples stay in memory
MARGIN = 0.25  # gain of the synthesizer: many voices at once stay below full scale
KITS = 128  # bank of the drum kits


class SoundfontError(RuntimeError):
    """FluidSynth is missing, or does not do what it is asked for."""


@cache
def _library() -> ctypes.CDLL:
    name = find_library("fluidsynth")
    if name is None:
        raise SoundfontError("FluidSynth's library is not on this machine: apt-get install fluidsynth")
    library = ctypes.CDLL(name)
    for function in ("new_fluid_settings", "new_fluid_synth"):
        getattr(library, function).restype = ctypes.c_void_p
    return library


class Soundfont:
    """One file in one synthesizer without effects, of which the last `CHANNELS` programs are kept ready."""

    def __init__(self, path: Path) -> None:
        self._fluid = _library()
        settings = ctypes.c_void_p(self._fluid.new_fluid_settings())
        for name, value in {
            "synth.reverb.active": 0,
            "synth.chorus.active": 0,
            "synth.dynamic-sample-loading": 1,
            "synth.polyphony": POLYPHONY,
        }.items():
            self._fluid.fluid_settings_setint(settings, name.encode(), value)
        rate, gain = ctypes.c_double(SAMPLE_RATE), ctypes.c_double(MARGIN)
        self._fluid.fluid_settings_setnum(settings, b"synth.sample-rate", rate)
        self._fluid.fluid_settings_setnum(settings, b"synth.gain", gain)
        self._synth = ctypes.c_void_p(self._fluid.new_fluid_synth(settings))
        self._font = self._fluid.fluid_synth_sfload(self._synth, str(path).encode(), 0)
        if self._font < 0:
            raise SoundfontError(f"FluidSynth cannot read {path}")
        self._channels: OrderedDict[tuple[int, int], int] = OrderedDict()

    def play(self, bank: int, program: int, notes: Sequence[Note], n_samples: int) -> Audio:
        """A part on one program, `(2, n_samples)`."""
        channel = self._channel(bank, program)
        self._fluid.fluid_synth_all_sounds_off(self._synth, -1)
        audio = np.zeros((2, n_samples), np.float32)
        time = 0
        for event in events(notes, n_samples):
            self._render(audio, time, event.time)
            time = event.time
            if event.velocity:
                self._fluid.fluid_synth_noteon(self._synth, channel, event.pitch, event.velocity)
            else:
                self._fluid.fluid_synth_noteoff(self._synth, channel, event.pitch)
        self._render(audio, time, n_samples)
        return audio

    def _channel(self, bank: int, program: int) -> int:
        """The channel on which that program is, or now replaces the one that was not used for longest."""
        wanted = (bank, program)
        if wanted in self._channels:
            self._channels.move_to_end(wanted)
            return self._channels[wanted]
        if len(self._channels) < CHANNELS:
            channel = len(self._channels)
        else:
            _, channel = self._channels.popitem(last=False)
        is_kit = bank == KITS
        self._fluid.fluid_synth_set_channel_type(self._synth, channel, int(is_kit))
        selected = self._fluid.fluid_synth_program_select(self._synth, channel, self._font, bank, program)
        if selected != 0:
            raise SoundfontError(f"the soundfont has no program {program} in bank {bank}")
        self._channels[wanted] = channel
        return channel

    def _render(self, audio: Audio, start: int, end: int) -> None:
        if end > start:
            left, right = (ctypes.c_void_p(row.ctypes.data) for row in audio)
            self._fluid.fluid_synth_write_float(self._synth, end - start, left, start, 1, right, start, 1)


@cache
def _open(path: Path) -> Soundfont:
    return Soundfont(path)


class Program(NamedTuple):
    """A program of a soundfont."""

    path: Path
    bank: int
    program: int

    def play(self, notes: Sequence[Note], n_samples: int, rng: np.random.Generator) -> Audio:
        """The part, `(2, n_samples)`; what rings on after it is cut. Nothing in it is left to chance."""
        return _open(self.path).play(self.bank, self.program, notes, n_samples)
