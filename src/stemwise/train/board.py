"""What TensorBoard shows: every line of the metrics, and two held-out passages to hear and to see.

`tensorboard --logdir runs` opens it. Nothing happens where TensorBoard is not installed (extra `train`).
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stemwise.stft import stft
from stemwise.train.config import TrainConfig
from stemwise.train.state import TrainState
from stemwise.train.validation import Passage, separate

N_SONGS = 2  # of which a passage is shown
RANGE_DB = 80.0


class Board:
    """A writer of TensorBoard's files; without TensorBoard, or switched off, it does nothing."""

    def __init__(self, folder: Path, step: int, *, is_on: bool) -> None:
        self._writer: Any = None
        if is_on and find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            # what a run wrote after the state that it now goes on from is not shown any more
            self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def scalars(self, line: Mapping[str, float]) -> None:
        if self._writer is not None:
            for name, value in line.items():
                if name != "step":
                    group = "validation" if name.startswith("sdr") else "training"
                    self._writer.add_scalar(f"{group}/{name}", value, line["step"])

    def show(
        self, state: TrainState, held_out: Sequence[Passage], config: TrainConfig, device: torch.device
    ) -> None:
        """Mixture and estimates of the first passages of different songs, as sound and as spectrograms."""
        if self._writer is None:
            return
        songs = {passage.song: passage for passage in reversed(held_out)}
        for passage in sorted(songs.values(), key=lambda p: p.song)[:N_SONGS]:
            mixture, _ = passage.read(config.excerpt_samples)
            estimates = separate(state.average, mixture.to(device), config.model).cpu()
            for name, sound in zip(("mixture", *config.model.stems), (mixture, *estimates), strict=True):
                tag = f"{passage.song}/{name}"
                sound = sound.clamp(-1, 1)
                self._writer.add_audio(tag, sound.mean(0), state.step, sample_rate=config.model.sample_rate)
                self._writer.add_image(tag, _picture(sound, config), state.step, dataformats="HW")

    def flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _picture(sound: Tensor, config: TrainConfig) -> Tensor:
    """Levels of the bins that the network hears, 0 to 1 over 80 dB, lowest at the bottom."""
    power = stft(sound, config.model.stft)[:, : config.model.n_bins].abs().square().mean(dim=0)
    levels = 10 * torch.log10(power.clamp(min=1e-12) / (config.model.stft.n_fft / 4) ** 2)
    return (1 + levels / RANGE_DB).clamp(0, 1).flip(0)
