"""Spleeter's training configurations: the same run in our words.

Networks, loss (L1 on the magnitudes that the network puts out, summed over the stems), optimizer, inert batch
norm, no dropout and no augmentation are the original's. What differs: see `NOTES`.

Source: deezer/spleeter 2.4.2, `spleeter/dataset.py`, `spleeter/model/__init__.py`, `spleeter/__main__.py`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stemwise.convert import read_configuration
from stemwise.errors import ConfigError
from stemwise.models import ModelConfig
from stemwise.train.compose import complete
from stemwise.train.config import TrainConfig
from stemwise.train.requirements import is_count, is_positive, is_text, is_whole, required

OPTIMIZERS = {"Adam": "adam", "SGD": "sgd", "Adadelta": "adadelta"}
ADADELTA_RATE = 1e-3  # TensorFlow's default: Spleeter does not hand its own learning_rate on
# Keys that say how the original caches chunks and how often it writes, which is done in another way here.
NOTES = {
    "n_chunks_per_song": "excerpts are drawn anywhere in a song, anew at every step",
    "chunk_duration": "excerpts are drawn anywhere in a song, anew at every step",
    "training_cache": "sound is cached, and excerpts are not: see data.cache",
    "validation_cache": "sound is cached, and excerpts are not: see data.cache",
    "throttle_secs": "validation goes by steps: see validation.every_steps",
    "save_summary_steps": "metrics are written every 10 steps",
}


def spleeter_config(
    path: Path, data: Path, changes: Sequence[str] = ()
) -> tuple[TrainConfig, Path, tuple[str, ...]]:
    """The run that a Spleeter configuration describes.

    Args:
        path: the JSON file. Its tables and `model_dir` are relative to the working directory.
        data: folder that the paths in its tables are relative to.
        changes: as of `stemwise.train.compose.read_config`.

    Returns:
        The run, its folder (`model_dir`), and what is done in another way than there, a sentence each.

    Raises:
        ConfigError: if a key is missing or has a value that cannot be.
    """
    spleeters = read_configuration(path)
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if not data.is_dir():
        raise ConfigError(f"data is {data}: there is no such folder")
    if values.get("mix_name", "mix") != "mix":
        raise ConfigError(
            f"mix_name is {values['mix_name']!r}: it must be 'mix', the column mix_path of the tables"
        )
    run = _described(values, spleeters.model, data, Path(spleeters.model_dir) / "cache")
    notes = tuple(f"{key} has no effect: {NOTES[key]}" for key in sorted(set(values) & set(NOTES)))
    return complete(run, changes), Path(spleeters.model_dir), notes


def _described(values: dict[str, Any], model: ModelConfig, data: Path, cache: Path) -> dict[str, Any]:
    count, table = "a positive whole number", "the name of a table"
    return {
        "model": model.to_dict(),
        "data": {
            "songs": [required(values, "train_csv", is_text, table)],
            "validation_songs": [required(values, "validation_csv", is_text, table)],
            "root": str(data),
            "excerpt_frames": model.chunk_frames,
            "mix": {"plain": True},
            "cache": str(cache),
        },
        "steps": required(values, "train_max_steps", is_count, count),
        "batch_size": required(values, "batch_size", is_count, count, 8),
        "batch_norm": "inert",
        "seed": required(values, "random_seed", is_whole, "a whole number, 0 or more", 0),
        "loss": {"kind": _loss(values), "weights": dict.fromkeys(model.stems, 1.0)},
        "optimizer": _optimizer(values),
        "schedule": {"kind": "constant", "warmup_steps": 0},
        "validation": {"every_steps": required(values, "save_checkpoints_steps", is_count, count)},
        "hardware": {"precision": "float32"},
    }


def _optimizer(values: dict[str, Any]) -> dict[str, Any]:
    name = values.get("optimizer", "Adam")
    # QUIRK(spleeter): there any name that is not known is Adam; here it is an error.
    if name not in OPTIMIZERS:
        raise ConfigError(f"optimizer is {name!r}: it must be one of {', '.join(OPTIMIZERS)}")
    rate = ADADELTA_RATE
    if name != "Adadelta":
        rate = required(values, "learning_rate", is_positive, "a positive number")
    return {
        "kind": OPTIMIZERS[name],
        "learning_rate": rate,
        "weight_decay": 0.0,
        "max_gradient": 0.0,
        "average": 0.0,
    }


def _loss(values: dict[str, Any]) -> str:
    kind = values.get("loss_type", "L1_mask")
    if kind != "L1_mask":
        raise ConfigError(
            f"loss_type is {kind!r}: it must be 'L1_mask' (weighted_L1_mask does not run in Spleeter either)"
        )
    return "magnitude_l1"
