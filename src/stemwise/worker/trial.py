"""A model tried out in the child: some noise, which takes as long as music, separated as songs are."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stemwise.audio import AudioWriter
from stemwise.files import separate_to
from stemwise.outputs import OutputFormat
from stemwise.separate import Separator
from stemwise.worker.pace import LONG_S, SHORT_S, WARM_S, Pace

LEVEL = 0.05  # standard deviation: soft enough for no stem to clip


def measure_pace(separator: Separator, folder: Path, is_wanted: Callable[[], bool]) -> Pace | None:
    """Separate some noise, as stereo wav at the model's sample rate.

    Args:
        separator: model and options.
        folder: where the noise and its stems are for as long as it takes.
        is_wanted: asked about once per chunk of the network.

    Returns:
        None if it was no longer wanted.

    Raises:
        StemwiseError: as `separate_to`.
    """
    with tempfile.TemporaryDirectory(prefix="trial-", dir=folder) as scratch:
        noise = Path(scratch) / "noise.wav"
        _write_noise(noise, separator.config.sample_rate)
        paths = {stem: Path(scratch) / f"{number}.wav" for number, stem in enumerate(separator.stems)}

        def piece(audio_s: float) -> tuple[float, float]:
            report = separate_to(
                noise, paths, separator, OutputFormat(), duration_s=audio_s, progress=give_way
            )
            return report.duration_s, report.wall_s

        def give_way(stage: str, done_s: float, total_s: float | None) -> None:
            if not is_wanted():
                raise _GaveWay

        try:
            piece(WARM_S)
            return Pace.between(piece(SHORT_S), piece(LONG_S))
        except _GaveWay:
            return None


class _GaveWay(Exception):
    """There is something better to do."""


def _write_noise(path: Path, sample_rate: int) -> None:
    noise = LEVEL * np.random.default_rng(0).standard_normal((2, int(LONG_S * sample_rate)), np.float32)
    with AudioWriter(path, codec="wav", sample_rate=sample_rate, n_channels=2) as writer:
        writer.write(noise)
        writer.finish()
        writer.publish()
