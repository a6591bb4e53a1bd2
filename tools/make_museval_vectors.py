"""Golden values of museval 0.4 and of bleedless/fullness: writes tests/vectors/museval.json.

The material is 12 seconds of the example song's true stems and of what imperfect masks make of their
mixture, rounded to 16 bits, with one window of a reference and one of an estimate silenced. The tests render
and mask it again: their estimates may differ by rounding, which is far below a hundredth of a decibel.

Usage: python tools/make_museval_vectors.py MUSEVAL_PYTHON
(MUSEVAL_PYTHON: of an environment made by `pip install 'museval==0.4.*' librosa`)
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from make_example import SAMPLE_RATE, render
from stemwise.evaluate.oracle import ratio_mask_oracle
from stemwise.stft import STFTConfig

TOOLS = Path(__file__).resolve().parent
TARGET = TOOLS.parent / "tests" / "vectors" / "museval.json"
N_SECONDS = 12
LEAK = 0.4  # of the mixture in every stem that masks are made of
SILENT_REFERENCE, SILENT_ESTIMATE = ("drums", 5), ("other", 8)  # stem, and which second


def material() -> tuple[Tensor, Tensor]:
    """References and estimates, float32 `(stems, 2, samples)` in steps of 16 bits."""
    length = N_SECONDS * SAMPLE_RATE
    sources = {
        stem: torch.tensor(source[:length].T, dtype=torch.float32) for stem, source in render().items()
    }
    mixture = torch.stack(list(sources.values())).sum(dim=0)
    leaky = {stem: source + LEAK * mixture for stem, source in sources.items()}
    estimates = ratio_mask_oracle(mixture, leaky, STFTConfig(n_fft=4096, hop_length=1024))
    for signals, (stem, second) in ((sources, SILENT_REFERENCE), (estimates, SILENT_ESTIMATE)):
        signals[stem][:, second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE] = 0
    references, estimated = (torch.stack(list(x.values())) for x in (sources, estimates))
    return (references * 32768).round() / 32768, (estimated * 32768).round() / 32768


def main() -> None:
    references, estimates = material()
    with tempfile.TemporaryDirectory() as folder:
        signals, scores = Path(folder) / "signals.npz", Path(folder) / "scores.json"
        np.savez(signals, references=references.numpy(), estimates=estimates.numpy())
        command = [sys.argv[1], str(TOOLS / "run_museval.py"), str(signals), str(scores), "--spectral"]
        subprocess.run(command, check=True)
        found = json.loads(scores.read_text())
    versions = found.pop("versions")
    del found["seconds"]
    header = {"command": "python tools/make_museval_vectors.py MUSEVAL_PYTHON", "versions": versions}
    TARGET.write_text(json.dumps({"header": header, **rounded(found)}, indent=1) + "\n")
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes, {len(found['SDR'][0])} windows")


def rounded(values: object) -> object:
    """Six decimals; NaN becomes null, which JSON has."""
    if isinstance(values, dict):
        return {key: rounded(value) for key, value in values.items()}
    if isinstance(values, list):
        return [rounded(value) for value in values]
    assert isinstance(values, float)
    return None if np.isnan(values) else round(values, 6)


if __name__ == "__main__":
    main()
