"""How a run comes to be described: by a file, or by songs and a model to go on from; and changes to it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stemwise.data.track import ACCOMPANIMENT
from stemwise.data.tracks import Track, find_tracks
from stemwise.errors import ConfigError
from stemwise.hub import load_model
from stemwise.train.config import SHARED_TRUNK, TrainConfig
from stemwise.train.requirements import is_name_table
from stemwise.types import STEMS

EMBEDDED = "stemwise:4stems"
HELD_OUT_EVERY = 10  # of songs that come without a list: every tenth is listened to and not trained on
MIN_SONGS = 3  # of fewer, none is held out

FROM_SCRATCH: dict[str, Any] = {
    "steps": 5000,
    "optimizer": {"learning_rate": 2e-3, "weight_decay": 0.05},
}
# With good weights to start from, larger steps would forget them.
FINE_TUNING: dict[str, Any] = {
    "steps": 3000,
    "optimizer": {"learning_rate": 5e-4},
    "start": {"frozen_steps": 100},
}
# Of the networks that know no bands: as `stemwise.train.spleeter` has it.
ON_MAGNITUDES: dict[str, Any] = {
    "batch_size": 4,
    "batch_norm": "inert",
    "loss": {"kind": "magnitude_l1"},
    "optimizer": {"kind": "adam", "learning_rate": 1e-4, "weight_decay": 0.0},
    "start": {"frozen_steps": 0},
}


def read_config(path: Path, changes: Sequence[str] = ()) -> TrainConfig:
    """The run that a JSON file describes, after changes like `steps=100` or `data.excerpt_frames=64`.

    What `model` does not say is as in the model of `start.model`, if there is one.

    Raises:
        ConfigError: if the file is no JSON object, or a key or value cannot be.
        ModelError: if the model to start from cannot be loaded.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is no training configuration: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} is no training configuration: it must be a JSON object")
    return complete(values, changes)


def folder_config(
    songs: Path, changes: Sequence[str] = (), *, start: str = EMBEDDED, stems: Sequence[str] = ()
) -> TrainConfig:
    """A run for a data set and nothing else said: as the embedded model was made, or a model trained further.

    Args:
        songs: what `stemwise.data.tracks.find_tracks` takes.
        changes: as of `read_config`.
        start: the model that is trained further; empty for random weights in the embedded model's network.
        stems: to separate into; none for all that the songs have.

    Raises:
        ConfigError: if there are no songs, or a key or value cannot be.
        ModelError: if the model to start from cannot be loaded.
    """
    model = load_model(start or EMBEDDED)
    base = model.config
    tracks = find_tracks(songs, tuple(stems) or STEMS, names=_names(changes))
    chosen = tuple(stems) or _stems(tracks)
    values = FINE_TUNING if start else FROM_SCRATCH
    if base.architecture not in SHARED_TRUNK:
        values = _merged(values, ON_MAGNITUDES)
    remainder = base.remainder if base.remainder in chosen else None
    if base.remainder and ACCOMPANIMENT in chosen:
        remainder = ACCOMPANIMENT
    known: dict[str, Any] = {
        "model": {**base.to_dict(), "stems": chosen, "remainder": remainder},
        "data": {"songs": [str(songs)], "validation": _held_out(tracks)},
        "start": {"model": start, "tracks": model.card.training_tracks if start else ()},
    }
    return complete(_merged(values, known), changes)


def complete(values: dict[str, Any], changes: Sequence[str]) -> TrainConfig:
    """The run of these values and changes, with what they leave to the model that is started from.

    Raises:
        ConfigError: if a key or value cannot be.
        ModelError: if the model to start from cannot be loaded.
    """
    values = json.loads(json.dumps(values))  # a copy, in the types of JSON
    for change in changes:
        _change(values, change)
    start, model = values.get("start", {}), values.get("model", {})
    if not isinstance(start, dict) or not isinstance(model, dict):
        return TrainConfig.from_dict(values)  # which says what they must be
    changed = {change.partition("=")[0] for change in changes}
    if "start.model" in changed and "start.tracks" not in changed:
        start.pop("tracks", None)  # those of the model before
    name = start.get("model")
    if isinstance(name, str) and name and "tracks" not in start:
        base = load_model(name)
        values["model"] = {**base.config.to_dict(), **model}
        start["tracks"] = list(base.card.training_tracks)
    return TrainConfig.from_dict(values)


def _names(changes: Sequence[str]) -> dict[str, str]:
    """What the changes say of files with other names; nothing if it cannot be, which `complete` finds out."""
    asked: dict[str, Any] = {}
    for change in changes:
        _change(asked, change)
    data = asked.get("data")
    names = data.get("names") if isinstance(data, dict) else None
    return names if is_name_table(names) else {}


def _stems(tracks: list[Track]) -> tuple[str, ...]:
    """All stems that any of the songs has; the accompaniment only where there are not two that are finer."""
    found = {stem for track in tracks for stem in track.files}
    stems = tuple(stem for stem in STEMS if stem in found)
    finer = tuple(stem for stem in stems if stem != ACCOMPANIMENT)
    return finer if len(finer) > 1 else tuple(dict.fromkeys((*stems, ACCOMPANIMENT)))


def _held_out(tracks: list[Track]) -> list[str]:
    """Names of the songs to listen to, of songs that do not say it themselves."""
    if any(track.subset == "valid" for track in tracks):
        return []
    names = [track.name for track in tracks if track.subset != "test"]
    return names[::HELD_OUT_EVERY] if len(names) >= MIN_SONGS else []


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both; in objects that both have, the second's values count."""
    both = {**first, **second}
    return both | {
        key: {**first[key], **second[key]}
        for key in set(first) & set(second)
        if isinstance(first[key], dict) and isinstance(second[key], dict)
    }


def _change(values: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals:
        raise ConfigError(f"--set has {change!r}: it must be key=value")
    place = values
    *parents, name = key.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise ConfigError(f"--set has {change!r}, but {parent} is {place}: it has no keys below it")
    try:
        place[name] = json.loads(text)
    except json.JSONDecodeError:
        place[name] = text  # a bare word is a string
