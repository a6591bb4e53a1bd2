"""A checkpoint written by TensorFlow itself: writes tests/vectors/bundle.npz with its files and its tensors.

Run where TensorFlow 2.12 is installed (see benchmarks/): python tools/make_vectors_bundle.py
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

SEED = 22
TARGET = Path(__file__).parent.parent / "tests" / "vectors" / "bundle.npz"


def tensors(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Every type that is read, a scalar, an empty one, and enough names for the prefixes to start afresh."""
    named = {f"layer_{n}/kernel": rng.normal(0, 1, (2, n)).astype(np.float32) for n in range(1, 20)}
    return named | {
        "global_step": np.array(1234567890123, np.int64),
        "double": rng.normal(0, 1, 3),
        "half": rng.normal(0, 1, (2, 2)).astype(np.float16),
        "integers": np.arange(-3, 3, dtype=np.int32),
        "none": np.zeros((0, 4), np.float32),
    }


def main() -> None:
    written = tensors(np.random.default_rng(SEED))
    with tempfile.TemporaryDirectory() as folder:
        prefix = f"{folder}/model"
        names = sorted(written)  # as TensorFlow's Saver does
        tf.raw_ops.SaveV2(
            prefix=prefix,
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[written[name] for name in names],
        )
        files = {path.name: np.fromfile(path, np.uint8) for path in sorted(Path(folder).iterdir())}
    header = {
        "command": "python tools/make_vectors_bundle.py",
        "python": sys.version.split()[0],
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "seed": SEED,
    }
    arrays = {f"file:{name}": value for name, value in files.items()}
    arrays |= {f"tensor:{name}": value for name, value in written.items()}
    np.savez_compressed(TARGET, header=json.dumps(header), **arrays)
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes, {', '.join(files)}")


if __name__ == "__main__":
    main()
