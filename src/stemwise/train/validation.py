"""How well the network separates songs that it is not trained on: the same excerpts every time.

Excerpts are cut from the held-out songs as they are, evenly spread; nothing is changed or mixed anew. They
are separated as `stemwise separate` does, and scored as waveforms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import torch
from torch import Tensor, nn

from stemwise.data.cache import Samples
from stemwise.data.songs import REST, Parts, cut, length, parts_of
from stemwise.data.track import MIXTURE, UNSPLIT
from stemwise.masks import apply_mask, ratio_masks
from stemwise.metrics import sdr
from stemwise.models import ModelConfig
from stemwise.stft import istft, stft
from stemwise.train.config import TrainConfig

AUDIBLE = 1e-3  # of the mixture's energy: softer stems have an SDR that says nothing


@dataclass(frozen=True, slots=True)
class Passage:
    """A place in a held-out song.

    Attributes:
        song: its name.
        start: first sample.
        parts: of the song's stems, of what it holds beside them, and its own mixture if it has one.
    """

    song: str
    start: int
    parts: Mapping[str, Parts]

    def read(self, n_samples: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The mixture `(2, samples)`, and the stems that are known."""
        sources = {name: cut(part, self.start, n_samples) for name, part in self.parts.items()}
        mixture = sources.pop(MIXTURE, None)
        if mixture is None:
            mixture = torch.stack(list(sources.values())).sum(dim=0)
        sources.pop(REST, None)
        if sources.pop(UNSPLIT, None) is not None:
            sources = {stem: source for stem, source in sources.items() if stem not in ("bass", "other")}
        return mixture, sources


def passages(
    songs: Mapping[str, Mapping[str, Samples]], stems: tuple[str, ...], *, n_samples: int, count: int
) -> list[Passage]:
    """As many passages of each song, evenly spread over it: at least one, and about `count` in all."""
    per_song = max(1, round(count / max(len(songs), 1)))
    chosen = []
    for name, song in songs.items():
        parts = parts_of(song, stems)
        spare = max(0, max(map(length, parts.values())) - n_samples)
        starts = [round(spare * (n + 0.5) / per_song) for n in range(per_song)]
        chosen += [Passage(name, start, parts) for start in dict.fromkeys(starts)]
    return chosen


@torch.no_grad()
def separate(network: nn.Module, mixture: Tensor, config: ModelConfig) -> Tensor:
    """Estimates `(stems, 2, samples)` of a mixture `(2, samples)`, faded at both ends."""
    spectrum = stft(mixture, config.stft)
    estimates = network(spectrum[None, :, : config.n_bins].abs()).float()[0]
    masks = ratio_masks(estimates, exponent=config.exponent)
    return istft(
        apply_mask(spectrum.expand(len(masks), -1, -1, -1), masks, config.mask_extension), config.stft
    )


def scores(
    network: nn.Module, held_out: Sequence[Passage], config: TrainConfig, device: torch.device
) -> dict[str, float]:
    """Median SDR of each stem over the passages in which it is heard, dB, and their mean, as `sdr`."""
    model = config.model
    ratios: dict[str, list[float]] = {stem: [] for stem in model.stems}
    for passage in held_out:
        mixture, sources = passage.read(config.excerpt_samples)
        estimates = separate(network, mixture.to(device), model).cpu()
        for stem, source in sources.items():
            if source.square().sum() > AUDIBLE * mixture.square().sum():
                faded = istft(stft(source, model.stft), model.stft)  # as the estimates are at both ends
                ratios[stem].append(sdr(faded, estimates[model.stems.index(stem)]).item())
    medians = {f"sdr_{stem}": median(values) for stem, values in ratios.items() if values}
    return {"sdr": fmean(medians.values()), **medians} if medians else {}
