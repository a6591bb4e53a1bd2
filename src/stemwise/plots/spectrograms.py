"""Pictures of a separation: spectrograms of the mixture and of every stem on one time axis.

A picture of any length of audio is collected in constant memory, so that it can be made beside the
separation.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stemwise.plots import new_figure, save_figure

N_FFT, HOP_LENGTH = 2048, 1024
MAX_COLUMNS = 2000  # about two per pixel of the picture
N_ROWS = 256
LOWEST_HZ = 30.0
RANGE_DB = 80.0


class SpectrogramSketch:
    """The power of a stream, band by band and moment by moment, at the resolution of a picture.

    Columns are joined in pairs whenever there are more than `MAX_COLUMNS`; bands are spaced evenly in the
    logarithm of the frequency.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.n_samples = 0
        self._pending = torch.zeros(N_FFT - HOP_LENGTH)
        self._columns = torch.zeros(N_ROWS, 0)
        self._frames = torch.zeros(N_ROWS, 0)  # of the column that is not full yet
        self._frames_per_column = 1
        edges = (
            torch.logspace(math.log10(LOWEST_HZ), math.log10(sample_rate / 2), N_ROWS + 1)
            / sample_rate
            * N_FFT
        )
        first = edges[:-1].floor().long().clamp(0, N_FFT // 2)
        self._bands = torch.stack(
            [first, torch.maximum(edges[1:].ceil().long(), first + 1).clamp(max=N_FFT // 2 + 1)]
        )

    def push(self, block: Tensor) -> None:
        """`(channels, samples)`; the channels' mean is drawn."""
        self.n_samples += block.shape[-1]
        self._pending = torch.cat([self._pending, block.detach().float().mean(dim=0).cpu()])
        if len(self._pending) < N_FFT:
            return
        window = torch.hann_window(N_FFT)
        spectrum = torch.stft(
            self._pending, N_FFT, HOP_LENGTH, window=window, center=False, return_complex=True
        )
        self._pending = self._pending[spectrum.shape[-1] * HOP_LENGTH :]
        total = torch.nn.functional.pad(spectrum.abs().square().cumsum(dim=0), (0, 0, 1, 0))
        power = (total[self._bands[1]] - total[self._bands[0]]) / (self._bands[1] - self._bands[0])[:, None]
        self._frames = torch.cat([self._frames, power], dim=1)
        self._gather()

    def _gather(self) -> None:
        whole = self._frames.shape[1] // self._frames_per_column * self._frames_per_column
        joined = self._frames[:, :whole].unflatten(1, (-1, self._frames_per_column)).mean(dim=-1)
        self._columns = torch.cat([self._columns, joined], dim=1)
        self._frames = self._frames[:, whole:]
        while self._columns.shape[1] > MAX_COLUMNS:
            even = self._columns.shape[1] // 2 * 2
            if even < self._columns.shape[1]:
                self._frames = torch.cat(
                    [self._columns[:, even:].repeat(1, self._frames_per_column), self._frames], dim=1
                )
            self._columns = self._columns[:, :even].unflatten(1, (-1, 2)).mean(dim=-1)
            self._frames_per_column *= 2

    def power_db(self) -> Tensor:
        """`(rows, columns)`, lowest band first; 0 dB is the power of a full-scale sine, about."""
        columns = self._columns if self._columns.shape[1] else torch.zeros(N_ROWS, 1)
        return 10 * torch.log10(columns.clamp(min=1e-12) / (N_FFT / 4) ** 2)


def draw_sketch(axis: Any, sketch: SpectrogramSketch, *, top_db: float) -> Any:
    """One spectrogram in axes of matplotlib, `top_db` the brightest; returns what a colour bar needs."""
    length_s = max(sketch.n_samples, 1) / sketch.sample_rate
    levels = sketch.power_db()
    times = torch.linspace(0, length_s, levels.shape[1] + 1)
    bands = torch.logspace(math.log10(LOWEST_HZ), math.log10(sketch.sample_rate / 2), N_ROWS + 1)
    image = axis.pcolormesh(
        times.numpy(),
        bands.numpy(),
        levels.numpy(),
        vmin=top_db - RANGE_DB,
        vmax=top_db,
        cmap="magma",
        rasterized=True,
    )
    axis.set_yscale("log")
    ticks = [hz for hz in (100, 1000, 10000) if hz < sketch.sample_rate / 2]
    axis.set_yticks(ticks, [f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz" for hz in ticks])
    axis.tick_params(axis="y", which="minor", left=False)
    return image


def draw_stems(sketches: Mapping[str, SpectrogramSketch], *, title: str = "") -> Any:
    """One spectrogram under the other, all on one time axis and one colour scale; a matplotlib `Figure`.

    Raises:
        ConfigError: if matplotlib is not installed.
    """
    figure = new_figure(11, 0.7 + 1.55 * len(sketches), title)
    rows = figure.subplots(len(sketches), 1, sharex=True, squeeze=False)[:, 0]
    top = max(float(sketch.power_db().max()) for sketch in sketches.values())
    image = None
    for axis, (name, sketch) in zip(rows, sketches.items(), strict=True):
        image = draw_sketch(axis, sketch, top_db=top)
        axis.set_title(name, loc="left", fontsize=10, pad=3, parse_math=False)
    rows[-1].set_xlabel("time (s)")
    figure.colorbar(image, ax=list(rows), label="level (dB)", fraction=0.025, pad=0.01)
    return figure


def save_picture(sketches: Mapping[str, SpectrogramSketch], path: Path, *, title: str = "") -> None:
    """`draw_stems` as a PNG file."""
    save_figure(draw_stems(sketches, title=title), path)


def plot_stems(waveforms: Mapping[str, Tensor], sample_rate: int, *, title: str = "") -> Any:
    """The picture of waveforms `(channels, samples)` that are at hand, for notebooks."""
    sketches = {name: sketch_of(waveform, sample_rate) for name, waveform in waveforms.items()}
    return draw_stems(sketches, title=title)


def sketch_of(waveform: Tensor, sample_rate: int) -> SpectrogramSketch:
    """The sketch of a waveform `(channels, samples)` that is at hand."""
    sketch = SpectrogramSketch(sample_rate)
    for block in waveform.split(sample_rate, dim=-1):
        sketch.push(block)
    return sketch
