"""Score with museval, and librosa's spectra: the reference implementations, in a Python of their own.

Runs where `pip install 'museval==0.4.*' librosa` was done; needs nothing of stemwise. Called by
tools/make_museval_vectors.py and benchmarks/metrics.py.

Usage: python tools/run_museval.py SIGNALS.npz SCORES.json [--spectral]

SIGNALS holds `references` and `estimates`, `(stems, channels, samples)` at 44.1 kHz. SCORES receives SDR,
ISR, SIR and SAR as museval gives them, `(stems, windows)`, bleedless and fullness per stem, the versions, and
the seconds that museval took.
"""

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path

import museval
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 44100


def band_levels_db(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mel spectrogram in dB, `(channels, 512, frames)`: what bleedless and fullness compare."""
    import librosa

    spectrum = librosa.stft(waveform, n_fft=4096, hop_length=1024, pad_mode="constant")
    bands = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=4096, n_mels=512) @ np.abs(spectrum)
    return librosa.amplitude_to_db(bands, ref=1.0, amin=1e-10, top_db=80)


def bleeding(reference: NDArray[np.float32], estimate: NDArray[np.float32]) -> tuple[float, float]:
    """Bleedless and fullness as ZFTurbo's Music-Source-Separation-Training defines them."""
    difference = band_levels_db(estimate) - band_levels_db(reference)
    excess, lack = difference[difference > 0], -difference[difference < 0]
    return float(100 / (1 + excess.mean())), float(100 / (1 + lack.mean()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("signals", type=Path)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--spectral", action="store_true", help="bleedless and fullness too")
    options = parser.parse_args()
    signals = np.load(options.signals)
    references, estimates = signals["references"], signals["estimates"]
    start = time.perf_counter()
    # museval has (stems, samples, channels)
    scores = museval.evaluate(*(x.astype(np.float64).transpose(0, 2, 1) for x in (references, estimates)))
    seconds = time.perf_counter() - start
    found = dict(zip(("SDR", "ISR", "SIR", "SAR"), (ratio.tolist() for ratio in scores), strict=True))
    packages = ["museval", "numpy", "scipy"]
    if options.spectral:
        pairs = [bleeding(*pair) for pair in zip(references, estimates, strict=True)]
        found["bleedless"], found["fullness"] = (list(column) for column in zip(*pairs, strict=True))
        packages.append("librosa")
    found |= {"seconds": seconds, "versions": {name: version(name) for name in packages}}
    options.scores.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
