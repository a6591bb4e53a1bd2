"""What a network is trained on: a transform of the examples, and a loss. The network may be any.

    bands             the part of every source along the mixture, in the bands of a `TrunkUNet` or `BandSplit`
    magnitude_l1      the magnitudes of every source, as Spleeter has it
    waveform_…        samples: each estimate with the mixture's phase, transformed back
    multi_resolution  samples, and their spectra with windows of several lengths

An objective is a module around the network, so that PyTorch can distribute or compile the two as one.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import cast

import torch
from torch import Tensor, nn

from stemwise.data.augment import select
from stemwise.data.dataset import Batch
from stemwise.device import PRECISIONS
from stemwise.losses import l1, mse, multi_resolution, phase_sensitive_target, relative_error
from stemwise.models.bandsplit import BandSplit
from stemwise.models.trunk import TrunkUNet
from stemwise.stft import istft, stft
from stemwise.train.config import TrainConfig


class Objective(nn.Module):
    """`prepare` makes an example of a batch of excerpts; `forward` gives its losses, `(batch, stems)`."""

    def __init__(self, network: nn.Module, config: TrainConfig, precision: str) -> None:
        super().__init__()
        self.network, self.config, self.precision = network, config, PRECISIONS[precision]

    @torch.no_grad()
    def prepare(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Mixture `(B, C, …)` and targets `(B, S, C, …)`, on the batch's device."""
        # one by one on a processor, whose cache the spectra of a batch would not fit; a GPU is fed at once
        size = 1 if batch.mixture.device.type == "cpu" else len(batch.mixture)
        pieces = zip(batch.mixture.split(size), batch.sources.split(size), strict=True)
        mixtures, targets = zip(*(self.transformed(*piece) for piece in pieces), strict=True)
        return self.augment(torch.cat(mixtures), torch.cat(targets), rng)

    def transformed(self, mixtures: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms `(B, C, N)` and `(B, S, C, N)` as what the loss compares, before any augmentation."""
        spectra = stft(torch.cat([mixtures[:, None], sources], dim=1), self.config.model.stft)
        spectra = spectra[..., : self.config.model.n_bins, :]
        mixture, targets = self.transform(spectra[:, :1], spectra[:, 1:])
        return mixture[:, 0], targets

    def transform(self, mixture: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
        """Complex spectra `(B, 1, C, F, T)` and `(B, S, C, F, T)` as what the loss compares."""
        raise NotImplementedError

    def augment(self, mixtures: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        return mixtures, targets

    def reduced_precision(self, x: Tensor) -> AbstractContextManager[None]:
        """For the network alone: transforms and sums of squares need float32."""
        return cast(
            AbstractContextManager[None],
            torch.autocast(x.device.type, dtype=self.precision, enabled=self.precision != torch.float32),
        )

    def estimate(self, magnitude: Tensor) -> Tensor:
        """Magnitudes of all stems, float32."""
        with self.reduced_precision(magnitude):
            return cast(Tensor, self.network(magnitude)).float()


class Bands(Objective):
    """The network's masks of bands; the rest of its forward pass has no weights and costs as much again."""

    network: TrunkUNet | BandSplit

    def transform(self, mixture: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
        return phase_sensitive_target(mixture, sources, self.network.pool)

    def forward(self, mixture: Tensor, targets: Tensor) -> Tensor:
        with self.reduced_precision(mixture):
            masks = self.network.masks(mixture)
        return relative_error(masks * mixture[:, None], targets, mixture)


class Magnitudes(Objective):
    """Mixture and targets are magnitudes of bins, changed alike by what the data's augmentations name."""

    def transform(self, mixture: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
        return mixture.abs(), sources.abs()

    def augment(self, mixtures: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        together = torch.cat([mixtures[:, None], targets], dim=1)
        names, sample_rate = self.config.data.augmentations, self.config.model.sample_rate
        for change in select(names, "magnitude", sample_rate=sample_rate):
            together = change(together, rng)
        # a stretched example was drawn longer: its middle is what lasts as long as all others
        start = (together.shape[-1] - self.config.data.excerpt_frames) // 2
        together = together[..., start : start + self.config.data.excerpt_frames]
        return together[:, 0], together[:, 1:]

    def forward(self, mixture: Tensor, targets: Tensor) -> Tensor:
        return l1(self.estimate(mixture) - targets)


class Waveforms(Objective):
    """The error's spectrum transformed back: what the network does not hear of the sources is no error."""

    def __init__(
        self, network: nn.Module, config: TrainConfig, precision: str, loss: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__(network, config, precision)
        self.loss = loss

    def transform(self, mixture: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
        return mixture, sources

    def forward(self, mixture: Tensor, targets: Tensor) -> Tensor:
        error = self.estimate(mixture.abs()) * torch.sgn(mixture)[:, None] - targets
        missing = self.config.model.stft.n_bins - error.shape[-2]
        whole = nn.functional.pad(error, (0, 0, 0, missing))
        return self.loss(istft(whole, self.config.model.stft))


def build_objective(network: nn.Module, config: TrainConfig, *, precision: str) -> Objective:
    """What the configuration asks for, around this network."""
    if config.loss.kind == "bands":
        return Bands(network, config, precision)
    if config.loss.kind == "magnitude_l1":
        return Magnitudes(network, config, precision)
    losses = {"waveform_l1": l1, "waveform_mse": mse, "multi_resolution": multi_resolution}
    return Waveforms(network, config, precision, losses[config.loss.kind])
