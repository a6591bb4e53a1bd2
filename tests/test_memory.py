"""Memory does not grow with the length of the audio: measured in processes of their own."""

import subprocess
import sys
from pathlib import Path

from random_models import stemwise_like
from stemwise.checkpoint import save_model

PROGRAM = """
import resource, sys, torch
from stemwise import Separator

rng = torch.Generator().manual_seed(0)
separator = Separator(sys.argv[2], precision="float32")
blocks = (0.1 * torch.randn(2, 44100, generator=rng) for _ in range(int(sys.argv[1])))
n_samples = sum(stems["vocals"].shape[-1] for stems in separator.stream(blocks, 44100))
assert n_samples == 44100 * int(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
SHORT_S, LONG_S = 30, 120
# What keeping one stem of the further seconds would cost: 31 MB. The allocator alone varies by 5 MB.
ONE_STEM_KB = 2 * 4 * 44100 * (LONG_S - SHORT_S) / 1024


def peak_kb(seconds: int, model: Path) -> int:
    command = [sys.executable, "-c", PROGRAM, str(seconds), str(model)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """With a small network: what is kept of a second of music is the same with any, and noise is less."""
    save_model(stemwise_like(), tmp_path / "model.safetensors")
    short, long = (peak_kb(seconds, tmp_path / "model.safetensors") for seconds in (SHORT_S, LONG_S))
    assert long - short < ONE_STEM_KB
