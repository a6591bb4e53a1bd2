"""Memory does not grow with the length of the audio: measured in its own process, with trained weights."""

import subprocess
import sys

PROGRAM = """
import resource, sys, torch
from stemwise import Separator

rng = torch.Generator().manual_seed(0)
separator = Separator("stemwise:4stems", precision="float32")
blocks = (0.1 * torch.randn(2, 44100, generator=rng) for _ in range(int(sys.argv[1])))
n_samples = sum(stems["vocals"].shape[-1] for stems in separator.stream(blocks, 44100))
assert n_samples == 44100 * int(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
SHORT_S, LONG_S = 60, 300
# What keeping one stem of the further seconds would cost: 83 MB. The allocator alone varies by half of that.
ONE_STEM_KB = 2 * 4 * 44100 * (LONG_S - SHORT_S) / 1024


def peak_kb(seconds: int) -> int:
    command = [sys.executable, "-c", PROGRAM, str(seconds)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_memory_does_not_grow_with_the_length() -> None:
    assert peak_kb(LONG_S) - peak_kb(SHORT_S) < ONE_STEM_KB
