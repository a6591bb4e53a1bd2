"""Songs that a tiny network can tell apart in a few steps, and runs over them, for the tests of training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from conftest import one_thread  # noqa: F401
from stemwise.models import BandSplitConfig, BLSTMConfig, ModelConfig, TrunkUNetConfig, UNetConfig
from stemwise.stft import STFTConfig
from stemwise.train import board, folder
from stemwise.train.config import SHARED_TRUNK, TrainConfig

STEMS = ("vocals", "drums")
RATE = 8000
TRUNK = TrunkUNetConfig(n_filters=(4, 6, 8), n_single_bins=64, band_width=8, n_mixed=1)
UNET = UNetConfig(n_filters=(2, 3, 4, 4, 4, 4))
BLSTM = BLSTMConfig(n_units=4)
BANDSPLIT = BandSplitConfig(
    n_features=8, n_blocks=1, n_hidden=8, n_single_bins=64, band_width=8, group_sizes=(8,), n_groups=(9,)
)


@pytest.fixture(autouse=True)
def no_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where tensorboard and matplotlib are not installed: they take longer than a tiny run."""
    for module in (board, folder):
        monkeypatch.setattr(module, "find_spec", lambda _: None)


def write_songs(
    place: Path, *names: str, stems: tuple[str, ...] = STEMS, seconds: float = 1.0, rate: int = RATE
) -> Path:
    """Songs of a low tone (vocals), noise (drums), higher tones (whatever else), and their sum (mixture)."""
    rng = np.random.default_rng(0)
    n_samples = int(seconds * rate)
    for name in names:
        (place / name).mkdir(parents=True)
        mixture = np.zeros((n_samples, 2))
        for number, stem in enumerate(stems):
            phase = 2 * np.pi * rng.uniform(200, 400) * (1 + number) * np.arange(n_samples) / rate
            tone = 0.2 * np.sin(phase)
            noise = rng.uniform(-0.13, 0.13, (n_samples, 2))
            sound = noise if stem == "drums" else np.stack([tone, tone], axis=1)
            mixture += sound
            soundfile.write(
                place / name / f"{stem}.wav", mixture - sound if stem == "mixture" else sound, rate
            )
    return place


def tiny_model(
    architecture: str = "trunk_unet", stems: tuple[str, ...] = STEMS, **changes: Any
) -> ModelConfig:
    network = {"trunk_unet": TRUNK, "unet": UNET, "blstm": BLSTM, "bandsplit": BANDSPLIT}[architecture]
    values: dict[str, Any] = {
        "architecture": architecture,
        "network": network,
        "stems": stems,
        "sample_rate": RATE,
        "stft": STFTConfig(n_fft=256, hop_length=64),
        "n_bins": 128,
        "chunk_frames": 64,
    }
    return ModelConfig(**{**values, **changes})


def tiny_run(place: Path, architecture: str = "trunk_unet", **changes: Any) -> TrainConfig:
    """Four steps over songs in `place / "songs"`, "held" held out; sections are given as dicts.

    The songs are written if they are not there.
    """
    if not (place / "songs").exists():
        write_songs(place / "songs", "one", "two", "held")
    values: dict[str, Any] = {
        "model": tiny_model(architecture).to_dict(),
        "data": {
            "songs": [str(place / "songs")],
            "validation": ["held"],
            "excerpt_frames": 64 if architecture == "unet" else 16,
            "cache": str(place / "cache"),
        },
        "steps": 4,
        "batch_size": 2,
        "loss": {"kind": "bands" if architecture in SHARED_TRUNK else "magnitude_l1"},
        "schedule": {"warmup_steps": 2},
        "validation": {"every_steps": 2, "excerpts": 2},
        "hardware": {"precision": "float32", "device": "cpu"},
    }
    for name, value in changes.items():
        values[name] = {**values.get(name, {}), **value} if isinstance(value, dict) else value
    return TrainConfig.from_dict(values)
