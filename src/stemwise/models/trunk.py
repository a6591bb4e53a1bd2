"""stemwise's own network: one U-Net trunk that makes the masks of all stems at once, full band.

The lowest bins are heard one by one, the upper ones in bands of `band_width`, so that 22 kHz cost as
much as 11 kHz do: a band gets the root mean square of its bins, and its mask holds for each of them.

Source: the shape follows Jansson et al., ISMIR 2017 (strided U-Net on magnitudes), with one trunk for all
stems as in Kadandale et al., "Multi-channel U-Net for music source separation", MMSP 2020.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stemwise.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkUNetConfig:
    """Filters of the levels from the finest to the coarsest; how the upper bins are banded.

    Attributes:
        n_filters: of the encoder levels; each level halves bins and frames.
        n_single_bins: lowest bins that are heard one by one.
        band_width: bins in each band above them.
    """

    n_filters: tuple[int, ...] = (24, 32, 64, 96, 128, 192)
    n_single_bins: int = 768
    band_width: int = 5

    def __post_init__(self) -> None:
        if len(self.n_filters) < 2 or min(self.n_filters) < 1:
            raise ConfigError(f"n_filters is {self.n_filters}: it must be at least two positive numbers")
        if self.n_single_bins < 1 or self.band_width < 1:
            raise ConfigError("n_single_bins and band_width must be positive")


class TrunkUNet(nn.Module):
    """Magnitudes `(batch, 2, bins, frames)` to magnitudes `(batch, stems, 2, bins, frames)`.

    The masks are a softmax over the stems, so the estimates add up to the mixture's magnitude. Any number
    of frames; inside, bands and frames are padded to a multiple of `2 ** levels`.
    """

    def __init__(self, config: TrunkUNetConfig, *, n_stems: int, n_bins: int) -> None:
        super().__init__()
        upper = n_bins - config.n_single_bins
        if upper < 0 or upper % config.band_width:
            raise ConfigError(
                f"n_bins is {n_bins}: above {config.n_single_bins} single bins it must hold whole bands of {config.band_width}"
            )
        self.config, self.n_stems = config, n_stems
        down = (2, *config.n_filters)
        up_out = (*config.n_filters[-2::-1], 16)
        up_in = (config.n_filters[-1], *(2 * n for n in up_out[:-1]))
        self.encoder = nn.ModuleList(_block(nn.Conv2d(i, o, 5, stride=2, padding=2)) for i, o in zip(down, down[1:], strict=False))
        self.decoder = nn.ModuleList(
            _block(nn.ConvTranspose2d(i, o, 5, stride=2, padding=2, output_padding=1)) for i, o in zip(up_in, up_out, strict=True)
        )
        self.output = nn.Conv2d(16, 2 * n_stems, 3, padding=1)

    def forward(self, magnitude: Tensor) -> Tensor:
        bands = self._to_bands(magnitude)
        multiple = 2 ** len(self.config.n_filters)
        pad = [(-bands.shape[axis]) % multiple for axis in (-1, -2)]
        x = torch.log1p(10 * nn.functional.pad(bands, (0, pad[0], 0, pad[1])))  # 10: -20 dB is where log begins
        skips: list[Tensor] = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
        for depth, level in enumerate(self.decoder):
            x = level(x if depth == 0 else torch.cat([x, skips[-1 - depth]], dim=1))
        logits = self.output(x)[..., : bands.shape[-2], : bands.shape[-1]]
        masks = logits.float().unflatten(1, (self.n_stems, 2)).softmax(dim=1)
        return self._to_bins(masks) * magnitude[:, None]

    def _to_bands(self, magnitude: Tensor) -> Tensor:
        """`(..., bins, frames)` to `(..., bands, frames)`."""
        single, upper = magnitude.split([self.config.n_single_bins, magnitude.shape[-2] - self.config.n_single_bins], dim=-2)
        bands = upper.unflatten(-2, (-1, self.config.band_width)).square().mean(dim=-2).add(1e-12).sqrt()
        return torch.cat([single, bands], dim=-2)

    def _to_bins(self, masks: Tensor) -> Tensor:
        """`(..., bands, frames)` to `(..., bins, frames)`."""
        single, bands = masks.split([self.config.n_single_bins, masks.shape[-2] - self.config.n_single_bins], dim=-2)
        return torch.cat([single, bands.repeat_interleave(self.config.band_width, dim=-2)], dim=-2)


def _block(conv: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    activation: nn.Module = nn.ReLU() if isinstance(conv, nn.ConvTranspose2d) else nn.LeakyReLU(0.2)
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), activation)
