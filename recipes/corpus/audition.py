"""Play every instrument, measure it, and say what is wrong with it."""

import argparse
import json
import sys
import time
from typing import NamedTuple

import numpy as np
from instruments import DRUMS, PRESETS, PROGRAMS, ROLES, Instrument, instruments, rows
from notes import SAMPLE_RATE, Audio, Note
from numpy.typing import NDArray
from parselmouth import Sound

N_PITCHES = 7  # over the range of an instrument
VELOCITY = 96
LENGTH_S, REST_S = 1.0, 3.0  # of a test note, and what is waited for it to die away
TARGET_DB = -22.0  # level of a test note, RMS of its loudest 400 ms
SPREAD_DB = 12.0  # what an instrument may differ from the target, and its notes from their median
SILENCE_DB = -70.0
HANGING_DB = -25.0  # of what is left after the rest, against the note
CENTS = 60.0  # of the median note's pitch, octaves aside
REGISTERS = ("organ", "pad", "mallet")  # roles in whose sounds octaves, fifths and partials may prevail
BEAT = {
    36: (0.0, 1.0, 2.5),
    38: (0.5, 1.5),
    42: (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.75),
    46: (1.5,),
    49: (2.0,),
}
HANDS = {60: (0.0, 0.75, 1.5), 61: (0.25, 1.0), 63: (0.5, 1.75), 64: (1.25, 2.25), 54: (2.0, 2.5)}


class Finding(NamedTuple):
    """What was measured: levels in dB, pitch in semitones off, cost in seconds of work per second."""

    level_db: float
    lowest_db: float
    pitch: float
    rest_db: float
    cost: float
    faults: tuple[str, ...]


def rms_db(audio: Audio) -> float:
    """RMS of the loudest 400 ms."""
    width = round(0.4 * SAMPLE_RATE)
    power = np.concatenate([[0.0], np.cumsum((audio.astype(np.float64) ** 2).mean(axis=0))])
    return float(10 * np.log10(np.max(power[width:] - power[:-width]) / width + 1e-18))


def pitch_error(audio: NDArray[np.float32], pitch: int) -> float:
    """How far the sound of a note is from its pitch in semitones, nan if it has no pitch."""
    expected = 440 * 2 ** ((pitch - 69) / 12)
    middle = audio.mean(axis=0)[round(0.1 * SAMPLE_RATE) : round(LENGTH_S * SAMPLE_RATE)].astype(np.float64)
    track = Sound(middle, SAMPLE_RATE).to_pitch_ac(
        time_step=0.02, pitch_floor=max(18.0, expected / 2.3), pitch_ceiling=min(8000.0, expected * 2.3)
    )
    voiced = track.selected_array["frequency"]
    voiced = voiced[voiced > 0]
    return float(12 * np.log2(np.median(voiced) / expected)) if voiced.size else float("nan")


def audition(instrument: Instrument) -> Finding:
    """Play an instrument over its range, a kit a beat, and judge it."""
    rng = np.random.default_rng(0)
    if instrument.role in DRUMS:
        return _drummed(instrument, rng)
    pitches = np.linspace(instrument.low, instrument.high, N_PITCHES).round().astype(int)
    step = LENGTH_S + REST_S
    notes = [Note(i * step, i * step + LENGTH_S, int(pitch), VELOCITY) for i, pitch in enumerate(pitches)]
    started = time.process_time()
    audio = instrument.play(notes, round(len(notes) * step * SAMPLE_RATE), rng)
    cost = (time.process_time() - started) / (len(notes) * step)
    each = np.split(audio, len(notes), axis=1)
    levels = np.array([rms_db(one) for one in each])
    rests = [rms_db(one[:, -round(0.4 * SAMPLE_RATE) :]) for one in each] - np.maximum(levels, SILENCE_DB)
    errors = np.array([pitch_error(one, pitch) for one, pitch in zip(each, pitches, strict=True)])
    error = float(np.nanmedian(errors)) if np.isfinite(errors).any() else float("nan")
    return Finding(
        float(np.median(levels)), float(levels.min()), error, float(rests.max()), cost,
        _faults(levels, 0.0 if instrument.role in REGISTERS else error, float(rests.max()), audio),
    )  # fmt: skip


def _drummed(instrument: Instrument, rng: np.random.Generator) -> Finding:
    pattern = BEAT if instrument.role == "kit" else HANDS
    notes = [Note(at, at + 0.1, pitch, VELOCITY) for pitch, times in pattern.items() for at in times]
    started = time.process_time()
    audio = instrument.play(sorted(notes), 12 * SAMPLE_RATE, rng)
    cost = (time.process_time() - started) / 12
    level = rms_db(audio)
    rest = rms_db(audio[:, -round(0.4 * SAMPLE_RATE) :]) - max(level, SILENCE_DB)
    return Finding(level, level, float("nan"), rest, cost, _faults(np.array([level]), 0.0, rest, audio))


def _faults(levels: NDArray[np.float64], error: float, rest: float, audio: Audio) -> tuple[str, ...]:
    level = float(np.median(levels))
    octaves_aside = abs(error - 12 * round(error / 12)) if np.isfinite(error) else 0.0
    found = {
        "not finite": not np.isfinite(audio).all(),
        "silent": level < SILENCE_DB,
        "gaps": level >= SILENCE_DB and levels.min() < level - 2 * SPREAD_DB,
        "level": level >= SILENCE_DB and abs(level - TARGET_DB) > SPREAD_DB,
        "uneven": level >= SILENCE_DB and levels.min() < level - SPREAD_DB,
        "out of tune": octaves_aside * 100 > CENTS,
        "octave": np.isfinite(error) and abs(error) > 6 and octaves_aside * 100 <= CENTS,
        "hangs": rest > HANGING_DB,
    }
    return tuple(name for name, is_so in found.items() if is_so)


def store(gains: dict[tuple[str, str], float]) -> None:
    """Write what was measured into the lists: the gain that brings an instrument to `TARGET_DB`."""
    for path in (PRESETS, PROGRAMS):
        listed = rows(path)
        for row in listed:
            row["gain_db"] = gains.get((row["name"], row["role"]), row["gain_db"])
        lines = ",\n".join("  " + json.dumps(row) for row in listed)
        path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def main() -> None:
    """The command: a table; exit status 1 if an instrument has a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", action="store_true", help="bring all to one level: write their gains")
    parser.add_argument("--role", choices=ROLES, action="append", help="only these")
    arguments = parser.parse_args()
    gains, n_faulty = {}, 0
    print(
        f"{'instrument':48} {'level':>6} {'lowest':>6} {'pitch':>6} {'rest':>6} {'x real time':>11}  faults"
    )
    for role in arguments.role or ROLES:
        known = instruments(role)
        print(f"{role}: {len(known)}")
        for instrument in known:
            level, lowest, pitch, rest, cost, faults = audition(instrument)
            n_faulty += bool(faults)
            if level >= SILENCE_DB:
                gains[instrument.name, role] = round(instrument.gain_db + TARGET_DB - level, 1)
            figures = f"{level:6.1f} {lowest:6.1f} {pitch:6.2f} {rest:6.0f} {1 / cost:11.0f}"
            print(f"  {instrument.name:46} {figures}  {', '.join(faults)}", flush=True)
    if arguments.store:
        store(gains)
    print(f"{n_faulty} with faults")
    sys.exit(1 if n_faulty else 0)
