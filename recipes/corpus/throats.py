"""Sung phrases once more, from other throats: men for women, women for men, and voices between them.

    python recipes/corpus/throats.py corpus/vocals corpus/throats --times 2

Every file of a folder that holds singing (a steady pitch for at least a third of a second) is sung again
`--times` times: a voice of 180 Hz and more mostly a fourth to an octave lower, with a longer vocal tract, a
lower one higher and with a shorter one. Drawn once for a file: pitch, formants, pace, breath, roughness. What
is shouted or spoken gets other formants only. Beside them the files themselves are linked, so that the folder
is a whole pool of voices.

Between women and men formants differ by about a sixth and speaking pitch by nearly an octave.
Source: G. Peterson and H. Barney, "Control methods used in a study of the vowels", JASA 24 (1952).
"""

import argparse
from pathlib import Path
from zlib import crc32

import numpy as np
import soundfile
from notes import SAMPLE_RATE
from pool import load, perform
from psola import Recording, Samples, Texture

HIGH_HZ = 180.0  # from here on a voice is taken for a woman's
SUNG_S = 0.33  # of pitch, at least
SUFFIXES = (".ogg", ".wav", ".flac", ".mp3")
PEAK = 0.7  # of full scale


def other_throat(recording: Recording, rng: np.random.Generator) -> Samples:
    """A phrase by somebody else: `(samples,)`, peak at PEAK."""
    periods = recording.periods[recording.voiced] / SAMPLE_RATE
    is_sung = periods.sum() >= SUNG_S
    is_high = is_sung and float(np.median(1 / periods)) >= HIGH_HZ
    lower = is_high and rng.random() < 0.8
    if not is_sung:
        semitones, formant = float(rng.uniform(-3, 3)), float(rng.uniform(0.84, 1.16))
    elif lower:
        semitones, formant = float(rng.uniform(-12, -5)), float(rng.uniform(0.78, 0.90))
    elif is_high:
        semitones, formant = float(rng.uniform(-4, 4)), float(rng.uniform(0.88, 1.15))
    else:
        semitones, formant = float(rng.uniform(3, 9)), float(rng.uniform(1.05, 1.2))
    is_rough = rng.random() < 0.3
    texture = Texture(
        formant=round(formant, 2),
        jitter=float(rng.uniform(0.005, 0.02)) if is_rough else 0.0,
        shimmer=float(rng.uniform(0.03, 0.1)) if is_rough else 0.0,
        growl=float(rng.uniform(0.1, 0.6)) if is_rough else 0.0,
        breath=float(rng.uniform(0, 0.4)),
    )
    sound = perform(recording, semitones, float(rng.uniform(0.88, 1.14)), texture, rng)
    return PEAK * sound / max(float(np.abs(sound).max(initial=0)), 1e-6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pool", type=Path, help="folder of single files, one voice each")
    parser.add_argument("output", type=Path, help="folder of the same and the new ones")
    parser.add_argument("--times", type=int, default=2, help="new ones for each file (default 2)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in given.pool.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        parser.error(f"{given.pool} has no audio file ({', '.join(SUFFIXES)})")
    for path in files:
        link = given.output / path.name
        if not link.is_symlink():
            link.symlink_to(path.resolve())
        for number in range(given.times):
            target = given.output / f"{path.stem}_throat{number}.flac"
            if target.exists():
                continue
            rng = np.random.default_rng([given.seed, number, crc32(path.stem.encode())])
            soundfile.write(target, other_throat(load(path), rng), SAMPLE_RATE, "PCM_16")
    print(f"{len(files) * (1 + given.times)} files in {given.output}")


if __name__ == "__main__":
    main()
