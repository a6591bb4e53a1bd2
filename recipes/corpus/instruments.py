"""Sampled instruments and drum kits by role; synthesizers are in `synth`.

`presets.json` lists what sfizz plays, `programs.json` what FluidSynth plays, `kits.json` kits of single
strokes.

    python recipes/corpus/instruments.py [--store]

plays everything, and prints what is silent, out of tune, hanging or of another level than the rest.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from library import folder, is_present
from notes import Audio, Note
from oneshots import kits
from sfz import SfzPreset
from soundfont import Program

PRESETS = Path(__file__).with_name("presets.json")
PROGRAMS = Path(__file__).with_name("programs.json")
DRUMS = ("kit", "percussion")
PITCHED = ("bass", "guitar", "keys", "pad", "lead", "strings", "brass", "wind", "mallet", "organ")
ROLES = (*DRUMS, *PITCHED)


class Player(Protocol):
    """What turns notes into sound."""

    def play(self, notes: Sequence[Note], n_samples: int, rng: np.random.Generator) -> Audio: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A sound for a role.

    Attributes:
        name: "growlybass/clean".
        ingredient: what it is made of mainly, a key of the list of ingredients.
        ingredients: all that it is made of, `ingredient` first.
        role: one of `ROLES`. "kit" and "percussion" take numbers of General MIDI's percussion map.
        low: lowest MIDI pitch at which it sounds as it should.
        high: highest one.
        gain_db: brings it to the level of the others.
        player: makes its sound.
    """

    name: str
    ingredient: str
    ingredients: tuple[str, ...]
    role: str
    low: int
    high: int
    gain_db: float
    player: Player

    def play(self, notes: Sequence[Note], n_samples: int, rng: np.random.Generator) -> Audio:
        """Play a part; nothing sounds on after its end.

        Args:
            notes: between `low` and `high`.
            n_samples: length of the part at `SAMPLE_RATE`.
            rng: for what differs from part to part: controls, takes, tuning and balance of drums.

        Returns:
            Audio, `(2, n_samples)`.
        """
        return self.player.play(notes, n_samples, rng) * np.float32(10 ** (self.gain_db / 20))


@cache
def _all() -> tuple[Instrument, ...]:
    sampled = [_instrument(row, _preset(row)) for row in rows(PRESETS) if is_present(row["ingredient"])]
    fonts = [_instrument(row, _program(row)) for row in rows(PROGRAMS) if is_present(row["ingredient"])]
    drums = [
        Instrument(
            name=name,
            ingredient=ingredients[0],
            ingredients=ingredients,
            role=role,
            low=0,
            high=127,
            gain_db=0.0,
            player=kit,
        )
        for name, role, ingredients, kit in kits()
    ]
    return (*sampled, *fonts, *drums)


def rows(path: Path) -> list[dict[str, Any]]:
    """A list of instruments: `PRESETS` or `PROGRAMS`."""
    return json.loads(path.read_text(encoding="utf-8"))


def _instrument(row: dict[str, Any], player: Player) -> Instrument:
    shared = {name: row[name] for name in ("name", "ingredient", "role", "low", "high", "gain_db")}
    return Instrument(**shared, ingredients=(row["ingredient"],), player=player)


def _preset(row: dict[str, Any]) -> SfzPreset:
    controls = tuple((int(control), low, high) for control, (low, high) in row["controls"].items())
    return SfzPreset(folder(row["ingredient"]) / row["file"], row["transpose"], controls)


def _program(row: dict[str, Any]) -> Program:
    return Program(folder(row["ingredient"]), row["bank"], row["program"])


def instruments(role: str) -> list[Instrument]:
    """All instruments of a role whose ingredients are on this machine, in a fixed order.

    Raises:
        ValueError: if there is no such role.
    """
    if role not in ROLES:
        raise ValueError(f"role is {role!r}, not one of {', '.join(ROLES)}")
    return [instrument for instrument in _all() if instrument.role == role]


if __name__ == "__main__":
    from audition import main

    main()
