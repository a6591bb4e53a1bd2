"""Writing and reading small audio files in tests."""

from pathlib import Path

import numpy as np
import soundfile
import torch


def write_wav(path: Path, waveform: torch.Tensor, sample_rate: int = 44100, subtype: str = "FLOAT") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, waveform.T.numpy(), sample_rate, subtype=subtype)
    return path


def write_long_song(path: Path, *, minutes: float, seed: int = 0) -> Path:
    """Faint noise at 8 kHz: a small file. The tests' small network takes about a second for a minute."""
    noise = np.random.default_rng(seed).integers(-8, 9, int(minutes * 60 * 8000), dtype=np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise, 8000)
    return path


def read_wav(path: Path) -> tuple[torch.Tensor, int]:
    samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    return torch.from_numpy(np.ascontiguousarray(samples.T)), sample_rate


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
