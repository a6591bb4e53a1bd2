"""The engine: a model applied to audio of any length, whole or as a stream, in constant memory.

No files here. `separate` is `stream` joined, so there is one engine; every stage between samples and stems
(`overlap.spectra`, `overlap.crossfaded`, masks, `overlap.OverlapAdd`) is a generator or holds one chunk.
"""

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from stemwise.audio import Resampler
from stemwise.checkpoint import Model
from stemwise.device import at_precision, choose_device, choose_precision, inference_network
from stemwise.errors import ConfigError, NonFiniteError, ShapeError
from stemwise.hub import load_model
from stemwise.masks import WienerStatistics, apply_mask, ratio_masks, wiener_filter, wiener_statistics
from stemwise.models import N_CHANNELS
from stemwise.overlap import OverlapAdd, SampleQueue, chunked, crossfaded, spectra
from stemwise.stft import magnitudes

ACCOMPANIMENT = "accompaniment"
RESIDUAL = "residual"
PIECE_FRAMES = 64  # between estimates and samples: what fits into a processor's cache


class Separator:
    """A model, a device and the wanted stems; load once, separate often.

    Stems come in the model's order. A model with a `remainder` stem gives stems that add up to the mixture.
    Nothing is scaled, nothing is random, inputs are not modified.

    Args:
        model: a name (`stemwise:4stems`, `spleeter:2stems`), a path, or a loaded `Model`.
        device: `auto` (CUDA, then MPS, then CPU) or torch's name for one.
        precision: of the network: `auto`, `float32`, `bfloat16`, `float16`. `auto` takes bfloat16 where
            the processor computes it in hardware and, by a probe, stems stay within 40 dB SDR of float32.
        stems: only these of the stems, in the model's order; None for all.
        two_stems: give this stem and the sum of the others, `accompaniment`.
        residual: give what the stems leave of the mixture too, as `residual`.
        mwf: multichannel Wiener filter; needs two passes, see `restream`.

    Raises:
        ConfigError: for an option that cannot be, naming what can.
        ModelError: if the model cannot be loaded.
    """

    def __init__(
        self,
        model: str | Model = "stemwise:4stems",
        *,
        device: str = "auto",
        precision: str = "auto",
        stems: Iterable[str] | None = None,
        two_stems: str | None = None,
        residual: bool = False,
        mwf: bool = False,
    ) -> None:
        self.model = load_model(model) if isinstance(model, str) else model
        self.config = self.model.config
        self.device = choose_device(device)
        self.mwf = mwf
        self._outputs = _outputs(self.model, two_stems)
        self._remainder = next(
            (name for name, parts in self._outputs.items() if self.config.remainder in parts), None
        )
        if residual and self._remainder is not None:
            raise ConfigError(
                f"the stems add up to the mixture ({self._remainder} has the rest): there is no residual"
            )
        if residual:
            self._remainder = RESIDUAL
        self.stems = _wanted([*self._outputs, *([RESIDUAL] if residual else [])], stems, residual=residual)
        network = inference_network(self.model, self.device)
        self.precision = choose_precision(precision, network, self.config, self.device)
        self._network = at_precision(network, self.device, self.precision)

    def separate(self, mixture: Tensor, sample_rate: int) -> dict[str, Tensor]:
        """Separate a whole waveform.

        Args:
            mixture: `(channels, samples)`, one or two channels, any number of samples from 0 up, finite.
            sample_rate: Hz, of the mixture and of the stems.

        Returns:
            Each stem as float32 `(channels, samples)`, of the mixture's shape, on its device.

        Raises:
            ShapeError, NonFiniteError: for a mixture that cannot be separated.
        """
        if mixture.ndim != 2:
            raise ShapeError(f"mixture has {mixture.ndim} axes: it must be (channels, samples)")
        blocks = list(self.restream(lambda: [mixture], sample_rate))
        return {name: torch.cat([block[name] for block in blocks], dim=-1) for name in self.stems}

    def stream(self, blocks: Iterable[Tensor], sample_rate: int) -> Iterator[dict[str, Tensor]]:
        """Separate a stream: blocks in, blocks of every stem out, in constant memory.

        Args:
            blocks: `(channels, samples)` each, of any lengths, the same number of channels throughout. They
                are copied: one buffer may be filled again and again.
            sample_rate: Hz.

        Yields:
            Blocks of every stem, `(channels, samples)`; joined they have the length of the blocks joined.
            They do not depend on how the samples were cut. Blocks of no samples give one empty block.

        Raises:
            ConfigError: with `mwf`, which must hear everything before it gives anything.
            ShapeError, NonFiniteError: for blocks that cannot be separated.
        """
        if self.mwf:
            raise ConfigError("mwf needs two passes over the whole recording: use separate() or restream()")
        return self._stream((block.clone() for block in blocks), sample_rate, None)

    def restream(
        self, open_blocks: Callable[[], Iterable[Tensor]], sample_rate: int
    ) -> Iterator[dict[str, Tensor]]:
        """`stream` for an input that can be read again: what `mwf` needs, in constant memory too.

        Args:
            open_blocks: called once (twice with `mwf`); returns the blocks from the start. They are not
                copied: each must stay as it is.
            sample_rate: Hz.
        """
        statistics = self._wiener_statistics(open_blocks(), sample_rate) if self.mwf else None
        return self._stream(open_blocks(), sample_rate, statistics)

    @torch.inference_mode()
    def _wiener_statistics(self, blocks: Iterable[Tensor], sample_rate: int) -> WienerStatistics | None:
        total: WienerStatistics | None = None
        for spectrum, estimates in self._estimates(self._heard(blocks, sample_rate, _Pending())):
            statistics = wiener_statistics(spectrum, estimates)
            total = statistics if total is None else total + statistics
        return total

    def _stream(
        self, blocks: Iterable[Tensor], sample_rate: int, statistics: WienerStatistics | None
    ) -> Iterator[dict[str, Tensor]]:
        pending = _Pending()
        model_rate = self.config.sample_rate
        resamplers: dict[str, Resampler] = {}
        for estimates in self._synthesised(self._heard(blocks, sample_rate, pending), statistics):
            for name, estimate in estimates.items():
                if pending.n_channels == 1:
                    estimate = estimate.mean(dim=0, keepdim=True)
                if sample_rate != model_rate:
                    if name not in resamplers:
                        resamplers[name] = Resampler(model_rate, sample_rate, pending.n_channels)
                    estimate = torch.from_numpy(resamplers[name].process(estimate.cpu().numpy()))
                pending.push(
                    name, estimate.clone()
                )  # out of inference mode: the caller may change it in place
            yield from self._finished(pending)
        for name, resampler in resamplers.items():
            pending.push(name, torch.from_numpy(resampler.flush()))
        yield from self._finished(pending)
        assert len(pending.mixture) == 0, "every sample of the mixture has its estimates"
        if pending.n_channels and not pending.n_samples:
            yield {name: torch.zeros(pending.n_channels, 0) for name in self.stems}

    def _finished(self, pending: "_Pending") -> Iterator[dict[str, Tensor]]:
        """The stems of as many samples as all of them have by now; the remainder is what they leave."""
        n_samples = min([len(pending.mixture), *map(len, pending.estimates.values())])
        if n_samples == 0 or (not pending.estimates and self._remainder is None):
            return
        mixture = pending.mixture.take(n_samples)
        stems = {name: queue.take(n_samples).to(mixture.device) for name, queue in pending.estimates.items()}
        if self._remainder is not None:
            stems[self._remainder] = mixture - sum(stems.values(), torch.zeros_like(mixture))
        for name, stem in stems.items():
            if not _is_finite(stem):
                raise NonFiniteError(
                    f"the network gave NaN or infinity for {name}:"
                    f" its weights or the precision ({self.precision}) are at fault"
                )
        yield {name: stems[name] for name in self.stems}

    def _heard(self, blocks: Iterable[Tensor], sample_rate: int, pending: "_Pending") -> Iterator[Tensor]:
        """What the network hears of the blocks: stereo at the model's sample rate, on the device."""
        if sample_rate < 1:
            raise ConfigError(f"sample_rate is {sample_rate}: it must be positive, in Hz")
        resampler: Resampler | None = None
        for block in blocks:
            pending.push_mixture(block)
            block = block.detach().float()
            if sample_rate != self.config.sample_rate:
                resampler = resampler or Resampler(sample_rate, self.config.sample_rate, block.shape[0])
                block = torch.from_numpy(resampler.process(block.cpu().numpy()))
            yield block.to(self.device).expand(N_CHANNELS, -1)
        if resampler is not None:
            yield torch.from_numpy(resampler.flush()).to(self.device).expand(N_CHANNELS, -1)

    def _estimates(self, heard: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Pieces: spectra `(2, bins, frames)` and estimates `(stems, 2, lowest bins, frames)`, magnitudes."""
        config = self.config
        overlap_frames = round(config.overlap * config.chunk_frames)

        def estimate(chunk: Tensor) -> Tensor:
            missing = config.chunk_frames - chunk.shape[-1]
            return self._network(pad(magnitudes(chunk[None, :, : config.n_bins]), (0, missing)))[0]

        sizes = {"chunk_frames": config.chunk_frames, "overlap_frames": overlap_frames}
        chunks = chunked(spectra(heard, config.stft, config.chunk_frames - overlap_frames), **sizes)
        for spectrum, estimates in crossfaded(((chunk, estimate(chunk)) for chunk in chunks), **sizes):
            yield from zip(spectrum.split(PIECE_FRAMES, -1), estimates.split(PIECE_FRAMES, -1), strict=True)
            del spectrum, estimates

    def _synthesised(
        self, heard: Iterable[Tensor], statistics: WienerStatistics | None
    ) -> Iterator[dict[str, Tensor]]:
        """Waveforms `(2, samples)` at the model's rate of every output that is not the remainder."""
        config = self.config
        if self._remainder in self.stems:
            computed = [name for name in self._outputs if name != self._remainder]
        else:
            computed = [name for name in self._outputs if name in self.stems]
        inverse = {name: OverlapAdd(config.stft) for name in computed}
        to_skip = config.stft.n_fft  # the zeros that `spectra` puts in front
        # A generator would carry inference mode out into its caller, so each step is run inside on its own.
        steps = self._estimates(heard)
        while True:
            with torch.inference_mode():
                step = next(steps, None)
                if step is None:
                    break
                waveforms = {
                    name: inverse[name].push(spectrum)[:, to_skip:]
                    for name, spectrum in self._output_spectra(*step, statistics, computed)
                }
            to_skip = max(0, to_skip - step[0].shape[-1] * config.stft.hop_length)
            del step
            yield waveforms
        yield {name: stage.tail[:, to_skip:] for name, stage in inverse.items() if stage.tail is not None}

    def _output_spectra(
        self, spectrum: Tensor, estimates: Tensor, statistics: WienerStatistics | None, names: list[str]
    ) -> Iterator[tuple[str, Tensor]]:
        config = self.config
        indices = {name: [config.stems.index(part) for part in self._outputs[name]] for name in names}
        if statistics is not None:
            filtered = wiener_filter(spectrum, estimates, statistics)
            for name in names:
                yield name, filtered[indices[name]].sum(dim=0)
            return
        masks = ratio_masks(estimates, exponent=config.exponent)
        for name in names:
            first, *more = indices[name]
            mask = masks[first] if not more else masks[indices[name]].sum(dim=0)
            yield name, apply_mask(spectrum, mask, config.mask_extension)


class _Pending:
    """Samples of the mixture, and of the estimates, that wait for each other."""

    def __init__(self) -> None:
        self.n_channels = 0
        self.n_samples = 0
        self.mixture = SampleQueue()
        self.estimates: dict[str, SampleQueue] = {}

    def push(self, name: str, estimate: Tensor) -> None:
        self.estimates.setdefault(name, SampleQueue()).push(estimate)

    def push_mixture(self, block: Tensor) -> None:
        if block.ndim != 2 or block.shape[0] not in (1, 2):
            raise ShapeError(
                f"a block has shape {tuple(block.shape)}: it must be (channels, samples), of 1 or 2 channels"
            )
        if self.n_channels not in (0, block.shape[0]):
            raise ShapeError(
                f"a block has {block.shape[0]} channels where those before had {self.n_channels}"
            )
        if not block.is_floating_point():
            raise ShapeError(f"a block is of {block.dtype}: samples must be floating-point, full scale 1")
        if not _is_finite(block):
            raise NonFiniteError("the mixture has NaN or infinite samples: they cannot be separated")
        self.n_channels = block.shape[0]
        self.n_samples += block.shape[1]
        self.mixture.push(block.detach().float())


def _is_finite(waveform: Tensor) -> bool:
    """Whether all samples are; their sum tells it sooner, unless it is too large itself."""
    return math.isfinite(waveform.sum()) or bool(torch.isfinite(waveform).all())


def _outputs(model: Model, two_stems: str | None) -> dict[str, tuple[str, ...]]:
    """Name of each output, and the model's stems that it is the sum of."""
    two_stems = two_stems or model.two_stems
    stems = model.config.stems
    if two_stems == ACCOMPANIMENT:
        raise ConfigError(
            f"two_stems is {two_stems!r}, which is the name of the other one: name one of {stems}"
        )
    if two_stems is None:
        return {name: (name,) for name in stems}
    if two_stems not in stems:
        raise ConfigError(f"two_stems is {two_stems!r}: this model has {', '.join(stems)}")
    return {two_stems: (two_stems,), ACCOMPANIMENT: tuple(name for name in stems if name != two_stems)}


def _wanted(available: list[str], stems: Iterable[str] | None, *, residual: bool) -> tuple[str, ...]:
    if stems is None:
        return tuple(available)
    wanted = set(stems)
    unknown = wanted - set(available)
    if unknown or not wanted:
        raise ConfigError(f"stems are {sorted(wanted)}: this model has {', '.join(available)}")
    return tuple(name for name in available if name in wanted or (residual and name == RESIDUAL))
