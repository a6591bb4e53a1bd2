"""A small band-split network: groups of neighbouring bands become tokens, and tokens hear each other.

The frequency axis is that of `stemwise.bands`. Some neighbouring bands over a few frames are one token, a
vector that a matrix of its own makes of their magnitudes; groups widen with frequency. A block lets every
token hear the others along time, then those of its own moment. Last, each group's own matrices turn its
tokens into the masks of all stems. Nothing is halved on the way.

Along time it is a gated dilated convolution or a recurrent layer, across groups two matrices or a recurrent
layer. The convolutions are dense, not depthwise: on a processor the gradient of a depthwise one with dilation
takes twice as long. What is fine in a band (partials, attacks) need not pass through the tokens: a small
convolution sees it everywhere alike, and tokens say how much of it to let through.

Source: Luo & Yu, "Music source separation with band-split RNN", IEEE/ACM TASLP 31, 2023 (bands, dual path);
Tolstikhin et al., "MLP-Mixer", NeurIPS 2021 (the matrix across groups); Dauphin et al., "Language modeling
with gated convolutional networks", ICML 2017.
"""

from dataclasses import dataclass, fields
from operator import mul
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from stemwise.bands import count_bands, mask_bins, pool_bins
from stemwise.errors import ConfigError

MAX_BLOCKS = 64  # each costs memory, also in a network without storage
DILATIONS = (1, 2, 4, 8)  # tokens between the three taps of a convolution; in turn, block by block


@dataclass(frozen=True, slots=True, kw_only=True)
class BandSplitConfig:
    """How the bands are grouped; what the blocks are made of.

    Attributes:
        n_features: numbers in a token.
        n_blocks: pairs of a layer along time and one across groups.
        time: layer along time.
        frequency: layer across groups.
        n_units: of a recurrent layer in each direction.
        n_hidden: of the layer between a token and its masks.
        n_detail: filters of the convolution beside the tokens.
        n_single_bins: lowest bins that are bands of their own.
        band_width: bins in each band above them.
        group_sizes: bands in a group, from low to high.
        n_groups: how many groups of each size.
        token_frames: frames in a token.
    """

    n_features: int = 128
    n_blocks: int = 4
    time: Literal["conv", "gru", "lstm"] = "conv"
    frequency: Literal["mix", "gru", "lstm"] = "mix"
    n_units: int = 64
    n_hidden: int = 128
    n_detail: int = 16
    n_single_bins: int = 512
    band_width: int = 12
    group_sizes: tuple[int, ...] = (8, 16, 32, 8, 16)
    n_groups: tuple[int, ...] = (12, 6, 10, 6, 5)
    token_frames: int = 2

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            if isinstance(getattr(self, name), int) and getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be positive")
        if self.n_blocks > MAX_BLOCKS:
            raise ConfigError(f"n_blocks is {self.n_blocks}: it must be at most {MAX_BLOCKS}")
        if self.time not in ("conv", "gru", "lstm"):
            raise ConfigError(f"time is {self.time!r}: it must be conv, gru or lstm")
        if self.frequency not in ("mix", "gru", "lstm"):
            raise ConfigError(f"frequency is {self.frequency!r}: it must be mix, gru or lstm")
        counts = self.group_sizes, self.n_groups
        if len(self.group_sizes) != len(self.n_groups) or min(map(min, counts), default=0) < 1:
            raise ConfigError(
                f"group_sizes is {self.group_sizes} and n_groups {self.n_groups}:"
                " they must be equally many positive numbers"
            )


class BandSplit(nn.Module):
    """Magnitudes `(batch, 2, bins, frames)` to magnitudes `(batch, stems, 2, bins, frames)`.

    The masks are a softmax over the stems, so the estimates add up to the mixture's magnitude; a new network
    gives every stem the same. Any number of frames; inside, they are padded to whole tokens.
    """

    def __init__(self, config: BandSplitConfig, *, n_stems: int, n_bins: int) -> None:
        super().__init__()
        n_bands = count_bands(n_bins, n_single=config.n_single_bins, width=config.band_width)
        grouped = sum(map(mul, config.n_groups, config.group_sizes))
        if grouped != n_bands:
            raise ConfigError(
                f"group_sizes and n_groups make {grouped} bands: they must be {n_bands}, all that there are"
            )
        self.config, self.n_stems = config, n_stems
        n_features, n_groups = config.n_features, sum(config.n_groups)
        self.level = nn.BatchNorm2d(n_bands, affine=False)
        conv = nn.Conv2d(2, config.n_detail, 5, padding=2)
        self.detail = nn.Sequential(conv, nn.BatchNorm2d(config.n_detail), nn.LeakyReLU(0.2))
        groups = zip(config.n_groups, config.group_sizes, strict=True)
        self.input = nn.ModuleList(_Input(config, *group) for group in groups)
        self.layers = nn.ModuleList()
        for number in range(config.n_blocks):
            if config.time == "conv":
                self.layers.append(_GatedConv(n_features, DILATIONS[number % len(DILATIONS)]))
            else:
                self.layers.append(_Recurrent(config.time, n_features, config.n_units, axis=1))
            if config.frequency == "mix":
                self.layers.append(_Mix(n_features, n_groups))
            else:
                self.layers.append(_Recurrent(config.frequency, n_features, config.n_units, axis=2))
        self.norm = nn.BatchNorm2d(n_features)
        self.hidden = _GroupLinear(n_groups, n_features, config.n_hidden)
        self.gates = _GroupLinear(n_groups, config.n_hidden, config.n_detail)
        self.output = _Output(config, n_stems=n_stems)

    def forward(self, magnitude: Tensor) -> Tensor:
        n_single, width = self.config.n_single_bins, self.config.band_width
        masks = self.masks(self.pool(magnitude.square()).sqrt())
        return mask_bins(magnitude, masks, n_single=n_single, width=width)

    def pool(self, power: Tensor) -> Tensor:
        """Sums over the bins of each band: `(..., bins, frames)` to `(..., bands, frames)`."""
        return pool_bins(power, n_single=self.config.n_single_bins, width=self.config.band_width)

    def masks(self, magnitude: Tensor) -> Tensor:
        """Magnitudes of bands, `(batch, 2, bands, frames)`, to masks `(batch, stems, 2, bands, frames)`.

        Tokens are `(batch, moments, groups, features)` throughout.
        """
        config, n_frames = self.config, magnitude.shape[-1]
        x = pad(magnitude, (0, -n_frames % config.token_frames))
        x = torch.log1p(10 * x)  # linear below about 0.1, where a full-scale sine is 1024
        x = self.level(x.transpose(1, 2))  # (B, bands, 2, frames): what a band always has says nothing
        detail = self.detail(x.permute(0, 2, 3, 1).contiguous(memory_format=torch.channels_last))
        parts = x.split(list(map(mul, config.n_groups, config.group_sizes)), dim=1)
        tokens = torch.cat([layer(part) for layer, part in zip(self.input, parts, strict=True)], dim=2)
        for layer in self.layers:
            tokens = tokens + layer(tokens)
        tokens = gelu(self.hidden(_normal(self.norm, tokens)))
        detail = detail * self._spread(self.gates(tokens).sigmoid())
        logits: Tensor = self.output(tokens, detail)[..., :n_frames]
        return logits.float().softmax(dim=1)

    def _spread(self, gates: Tensor) -> Tensor:
        """`(batch, moments, groups, n)` to the same of every frame and band, `(batch, n, frames, bands)`."""
        parts = zip(gates.split(self.config.n_groups, dim=2), self.config.group_sizes, strict=True)
        bands = torch.cat([part.repeat_interleave(size, dim=2) for part, size in parts], dim=2)
        return bands.repeat_interleave(self.config.token_frames, dim=1).permute(0, 3, 1, 2)


class _GroupLinear(nn.Module):
    """A linear layer for every group: `(batch, moments, groups, n_in)` to `(…, groups, n_out)`."""

    def __init__(self, n_groups: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_groups, n_in, n_out).uniform_(-1, 1) / n_in**0.5)
        self.bias = nn.Parameter(torch.zeros(n_groups, n_out))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = torch.einsum("btgi,gio->btgo", x, self.weight) + self.bias
        return y


class _Input(_GroupLinear):
    """Groups of one size: `(batch, bands, 2, frames)` to tokens `(batch, moments, groups, features)`."""

    def __init__(self, config: BandSplitConfig, n_groups: int, size: int) -> None:
        super().__init__(n_groups, 2 * size * config.token_frames, config.n_features)
        self.shape = n_groups, config.token_frames

    def forward(self, x: Tensor) -> Tensor:
        n_groups, n_frames = self.shape
        x = x.unflatten(3, (-1, n_frames)).unflatten(1, (n_groups, -1))  # (B, groups, bands, 2, moments, …)
        return super().forward(x.permute(0, 4, 1, 2, 3, 5).flatten(3))


class _Output(nn.Module):
    """Tokens `(batch, moments, groups, n_hidden)` and detail `(batch, n_detail, frames, bands)` to logits.

    These are `(batch, stems, 2, bands, frames)`. All weights are zero in a new network. Their first axis is
    that of the stems, so that heads can be told apart.
    """

    def __init__(self, config: BandSplitConfig, *, n_stems: int) -> None:
        super().__init__()
        self.config, self.n_stems = config, n_stems
        sizes = [2 * size * config.token_frames for size in config.group_sizes]
        groups = list(zip(config.n_groups, sizes, strict=True))
        self.weights = nn.ParameterList(torch.zeros(n_stems, n, config.n_hidden * size) for n, size in groups)
        self.biases = nn.ParameterList(torch.zeros(n_stems, n, size) for n, size in groups)
        self.detail = nn.Conv2d(config.n_detail, 2 * n_stems, 3, padding=1, bias=False)
        nn.init.zeros_(self.detail.weight)

    def forward(self, tokens: Tensor, detail: Tensor) -> Tensor:
        parts = zip(tokens.split(self.config.n_groups, dim=2), self.weights, self.biases, strict=True)
        logits = torch.cat([self._coarse(*part) for part in parts], dim=3)
        fine: Tensor = self.detail(detail).transpose(2, 3).unflatten(1, (self.n_stems, 2))
        return logits + fine

    def _coarse(self, tokens: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Of groups of one size."""
        weight = weight.unflatten(2, (tokens.shape[-1], -1)).permute(1, 2, 0, 3).flatten(2)
        y = torch.einsum("btgi,gio->btgo", tokens, weight) + bias.transpose(0, 1).flatten(1)
        y = y.unflatten(3, (self.n_stems, -1, 2, self.config.token_frames))
        # from (B, moments, groups, stems, bands, 2, frames)
        logits: Tensor = y.permute(0, 3, 5, 2, 4, 1, 6).flatten(5).flatten(3, 4)
        return logits


def _normal(norm: nn.Module, tokens: Tensor) -> Tensor:
    """Batch norm of every feature; tokens are what torch calls channels last."""
    normal: Tensor = norm(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return normal


class _GatedConv(nn.Module):
    """A gated convolution of three taps along time, the same for every group."""

    def __init__(self, n_features: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(n_features)
        n_both, spread = 2 * n_features, (dilation, 1)  # value and gate
        self.conv = nn.Conv2d(n_features, n_both, (3, 1), padding=(dilation, 0), dilation=spread)
        self.linear = nn.Linear(n_features, n_features)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.conv(self.norm(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1).chunk(2, dim=-1)
        change: Tensor = self.linear(value * gate.sigmoid())
        return change


class _Mix(nn.Module):
    """Two matrices over the groups of a moment, the same for every feature."""

    def __init__(self, n_features: int, n_groups: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(n_features)
        self.down = nn.Linear(n_groups, n_groups)
        self.up = nn.Linear(n_groups, n_groups)

    def forward(self, x: Tensor) -> Tensor:
        y = gelu(self.down.weight @ _normal(self.norm, x) + self.down.bias[:, None])
        return self.up.weight @ y + self.up.bias[:, None]


class _Recurrent(nn.Module):
    """A recurrent layer both ways along one axis of the tokens: 1 is time, 2 the groups."""

    def __init__(self, kind: str, n_features: int, n_units: int, *, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.norm = nn.BatchNorm2d(n_features)
        self.recurrent = (nn.GRU if kind == "gru" else nn.LSTM)(n_features, n_units, bidirectional=True)
        self.linear = nn.Linear(2 * n_units, n_features)

    def forward(self, x: Tensor) -> Tensor:
        sequences = _normal(self.norm, x).movedim(self.axis, 0)
        hidden, _ = self.recurrent(sequences.flatten(1, 2))
        change: Tensor = self.linear(hidden).view(sequences.shape).movedim(0, self.axis)
        return change
