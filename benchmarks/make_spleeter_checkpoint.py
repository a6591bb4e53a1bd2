"""Write a checkpoint of the real shape with random weights: what `spleeter separate` needs to run offline.

Runs inside Spleeter's own environment (benchmarks/spleeter_environment.sh), not ours. The graph is built by
Spleeter's own model function, every variable gets seeded random values, and TensorFlow's own Saver writes
them. The networks differ from stem to stem, their masks are neither 0 nor 1, and the batch-norm statistics
are the 0 and 1 of the released weights (deezer/spleeter#151); so speed, memory and the agreement of two
implementations can be measured. The stems are no use to a listener.

Usage: python make_spleeter_checkpoint.py FOLDER [--model 4stems] [--seed 0]
"""

import argparse
from pathlib import Path

import numpy as np
import tensorflow as tf
from spleeter.model import EstimatorSpecBuilder, InputProviderFactory
from spleeter.utils.configuration import load_configuration

# Logits of the mask are scaled down by this much: the network's input is a raw magnitude of up to about
# 1000, and the masks of unscaled random weights would all be 0 or 1.
OUTPUT_SCALE = 0.02


def random_value(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Give one variable of the graph its value, by the last part of its name.

    Kernels are uniform with the variance of He et al.'s initialisation. `(4, 4, 1, 2)` is the mask layer.
    """
    kind = name.split("/")[-1]
    if kind == "global_step":
        return np.array(0, np.int64)
    if kind == "kernel":
        limit = np.sqrt(6 / np.prod(shape[:3])) * (OUTPUT_SCALE if shape == (4, 4, 1, 2) else 1)
        return rng.uniform(-limit, limit, shape).astype(np.float32)
    if kind == "moving_mean":
        return np.zeros(shape, np.float32)
    if kind == "moving_variance":
        return np.ones(shape, np.float32)
    centre = {"gamma": 1.0, "beta": 0.0, "bias": 0.0}[kind]
    return (centre + 0.1 * rng.standard_normal(shape)).astype(np.float32)


def write_checkpoint(folder: Path, model: str, seed: int) -> int:
    """Build the graph of `spleeter:<model>` and save it with random weights.

    Args:
        folder: made if missing; gets `checkpoint`, `model.index`, `model.data-00000-of-00001`, `.probe`.
        model: name of one of Spleeter's embedded configurations, such as `4stems`.
        seed: of the weights.

    Returns:
        The number of weights.
    """
    params = load_configuration(f"spleeter:{model}")
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.get_or_create_global_step()
        features = InputProviderFactory.get(params).get_input_dict_placeholders()
        EstimatorSpecBuilder(features, params).build_predict_model()
        variables = tf.compat.v1.global_variables()
        # Feeding the initialisers is `Variable.load` for all at once: one pass over the graph, not 297.
        values = {v.initializer.inputs[1]: random_value(v.op.name, tuple(v.shape), rng) for v in variables}
        session.run([v.initializer for v in variables], values)
        saver = tf.compat.v1.train.Saver(save_relative_paths=True)  # so that the folder can be moved
        saver.save(session, str(folder / "model"), write_meta_graph=False)
    (folder / ".probe").write_text("OK")  # Spleeter's mark of a finished download
    return sum(int(np.prod(variable.shape)) for variable in variables)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="model folder to write; its parent is the MODEL_PATH")
    parser.add_argument(
        "--model", default="4stems", help="name of the embedded configuration (default 4stems)"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    n_weights = write_checkpoint(options.folder, options.model, options.seed)
    print(f"{options.folder}: spleeter:{options.model}, {n_weights} random weights, seed {options.seed}")


if __name__ == "__main__":
    main()
