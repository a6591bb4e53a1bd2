"""The metrics by their names, and the scores of one song.

Windows (cSDR, ISR, SIR, SAR) are scored as the field's 16-bit files are: rounded. A lossy codec leaves
nothing above its cutoff, where the filters of BSS Eval would then be noise (docs/numerics.md#bss-eval).
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from stemwise.errors import ConfigError
from stemwise.metrics import bleeding, bss_eval, faults, sdr, si_ratios, si_sdr, window_sdr


class Metric(NamedTuple):
    """How a metric is called, and what it tells."""

    label: str
    meaning: str
    unit: str = "dB"


METRICS = {
    "usdr": Metric("uSDR", "SDR of whole songs; quoted as the mean"),
    "csdr": Metric("cSDR", "SDR of seconds, BSS Eval v4; quoted as the median"),
    "isr": Metric("ISR", "against spatial distortion, BSS Eval v4"),
    "sir": Metric("SIR", "against interference of other stems, BSS Eval v4"),
    "sar": Metric("SAR", "against artefacts, BSS Eval v4"),
    "si_sdr": Metric("SI-SDR", "SDR of whole songs, whatever the gain"),
    "si_sir": Metric("SI-SIR", "its part against interference of other stems"),
    "si_sar": Metric("SI-SAR", "its part against artefacts"),
    "bleedless": Metric("bleedless", "100: nothing bled in", ""),
    "fullness": Metric("fullness", "100: nothing is missing", ""),
    "bleed": Metric("bleed", "what is left of the others where they play alone"),
    "musical_noise": Metric("musical noise", "log kurtosis ratio of what is left there", ""),
    "smear": Metric("smear", "how much less attacks stand out than they should"),
}
DEFAULT_METRICS = ("usdr", "csdr", "si_sdr")  # those that cost next to nothing
MUSEVAL = {"csdr": "SDR", "isr": "ISR", "sir": "SIR", "sar": "SAR"}  # of windows, and museval's names of them
FAULTS = ("bleed", "musical_noise", "smear")
SETS = {"museval": tuple(MUSEVAL), "faults": FAULTS, "all": tuple(METRICS)}
SDRS = ("usdr", "csdr", "si_sdr")  # by which giving back the mixture is a zero, and an oracle a ceiling
ENDS = (*SDRS, *FAULTS)  # of which mixture and oracle are scored as well

MODEL, MIXTURE, ORACLE = "model", "mixture", "oracle"
WINDOW_S = 1.0
FULL_SCALE = 32768  # of 16 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One stem of one song.

    Attributes:
        track: name of the song.
        stem: name of the stem.
        method: whose estimate this is: MODEL, or MIXTURE or ORACLE, the ends of the scale.
        values: by metric; those of windows are the median over the windows that have a finite one, NaN if
            none has.
        windows: by metric of windows, one value per second, NaN or infinite where there is none.
    """

    track: str
    stem: str
    method: str = MODEL
    values: Mapping[str, float]
    windows: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def parse_metrics(text: str) -> tuple[str, ...]:
    """`"usdr,sir"`, `"museval"` (csdr, isr, sir, sar), `"faults"` or `"all"`, to names in METRICS' order.

    Raises:
        ConfigError: for a name that is none, or no name.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    chosen = {metric for name in names for metric in SETS.get(name, (name,))}
    unknown = sorted(chosen - set(METRICS))
    if unknown or not chosen:
        raise ConfigError(
            f"metrics are {text!r}: they must be of {', '.join(METRICS)}, or {' or '.join(SETS)}"
        )
    return tuple(metric for metric in METRICS if metric in chosen)


def score_song(
    track: str,
    method: str,
    references: Mapping[str, Tensor],
    estimates: Mapping[str, Tensor],
    *,
    metrics: Collection[str],
    sample_rate: int,
) -> list[Score]:
    """Score one song's estimates.

    Args:
        track: its name.
        method: whose estimates these are.
        references: by stem, `(channels, samples)`, none of those estimated silent; more than the estimates'
            stems can interfere.
        estimates: by stem, of the same shape.
        metrics: names of METRICS.
        sample_rate: Hz.
    """
    values = {stem: _of_pair(references[stem], estimates[stem], metrics, sample_rate) for stem in estimates}
    if {"si_sir", "si_sar"} & set(metrics) and estimates:
        ratios = si_ratios(_stacked(references, list(estimates)), torch.stack(list(estimates.values())))
        for metric, column in ratios._asdict().items():
            for stem, value in zip(estimates, column.tolist(), strict=True):
                values[stem][metric] = value
    if set(FAULTS) & set(metrics):
        mixture = torch.stack(list(references.values())).sum(dim=0)
        for stem, estimate in estimates.items():
            found = faults(references[stem], estimate, mixture, sample_rate=sample_rate)
            values[stem] |= {metric: value.item() for metric, value in found._asdict().items()}
    windows = _of_windows(references, estimates, metrics, round(WINDOW_S * sample_rate))
    for stem, rows in windows.items():
        values[stem] |= {metric: median_of_finite(row) for metric, row in rows.items()}
    return [
        Score(
            track=track,
            stem=stem,
            method=method,
            values={metric: values[stem].get(metric, math.nan) for metric in METRICS if metric in metrics},
            windows=windows.get(stem, {}),
        )
        for stem in estimates
    ]


def median_of_finite(values: Collection[float]) -> float:
    """NaN if there is none."""
    finite = [value for value in values if math.isfinite(value)]
    return median(finite) if finite else math.nan


def _of_pair(
    reference: Tensor, estimate: Tensor, metrics: Collection[str], sample_rate: int
) -> dict[str, float]:
    values: dict[str, Tensor] = {}
    if "usdr" in metrics:
        values["usdr"] = sdr(reference, estimate)
    if "si_sdr" in metrics:
        values["si_sdr"] = si_sdr(reference, estimate)
    if {"bleedless", "fullness"} & set(metrics):
        values |= bleeding(reference, estimate, sample_rate=sample_rate)._asdict()
    return {metric: value.item() for metric, value in values.items()}


def _of_windows(
    references: Mapping[str, Tensor],
    estimates: Mapping[str, Tensor],
    metrics: Collection[str],
    window_samples: int,
) -> dict[str, dict[str, tuple[float, ...]]]:
    """By stem and metric. What is silent throughout would leave all others without scores: it is left out."""
    wanted = [metric for metric in MUSEVAL if metric in metrics]
    heard = [stem for stem in estimates if _is_heard(estimates[stem]) and _is_heard(references[stem])]
    if not wanted or not heard:
        return {}
    stacked = (
        _rounded(_stacked(references, heard)),
        _rounded(torch.stack([estimates[stem] for stem in heard])),
    )
    if wanted == ["csdr"]:
        tables = {"csdr": window_sdr(*stacked, window_samples=window_samples)}
    else:
        ratios = bss_eval(*stacked, window_samples=window_samples)
        tables = dict(zip(MUSEVAL, ratios, strict=True))
    return {
        stem: {metric: tuple(tables[metric][index].tolist()) for metric in wanted}
        for index, stem in enumerate(heard)
    }


def _stacked(references: Mapping[str, Tensor], first: list[str]) -> Tensor:
    rest = [stem for stem in references if stem not in first]
    return torch.stack([references[stem] for stem in [*first, *rest]])


def _rounded(signals: Tensor) -> Tensor:
    """In place."""
    return signals.mul_(FULL_SCALE).round_().div_(FULL_SCALE)


def _is_heard(signal: Tensor) -> bool:
    """As BSS Eval hears: what is left of 16 bits, the channels summed up."""
    return bool((signal * FULL_SCALE).round().sum(dim=0).any())
