"""Spleeter's Python interface over stemwise's engine: a facade, no engine of its own.

    from stemwise.spleeter import Separator

    separator = Separator("spleeter:2stems")
    separator.separate_to_file("song.mp3", "output")
    stems = separator.separate(waveform)  # {"vocals": (samples, 2), "accompaniment": (samples, 2)}

Arguments, names and shapes are those of `spleeter.separator.Separator` 2.4.2. Differences: errors are
raised where the original went on, and nothing is cut at 600 s unless asked (docs/numerics.md).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stemwise.errors import ConfigError, ShapeError
from stemwise.files import separate_to
from stemwise.hub import load_model
from stemwise.naming import Song, output_paths
from stemwise.outputs import OutputFormat, StemFiles
from stemwise.separate import Separator as Engine

DEFAULT_FORMAT = "{filename}/{instrument}.{codec}"


class Separator:
    """A Spleeter model by its name or configuration file; loaded once, here.

    Args:
        params_descriptor: `spleeter:2stems` and its like, or the path of a configuration JSON.
        MWF: multichannel Wiener filter.
        multiprocess: of no effect; stems are encoded in this process.
    """

    def __init__(self, params_descriptor: str, MWF: bool = False, multiprocess: bool = True) -> None:
        model = load_model(params_descriptor, spleeter_layout=True)
        self._engine = Engine(model, precision="float32", mwf=MWF)
        self._sample_rate = model.config.sample_rate

    def separate(
        self, waveform: NDArray[np.float32], audio_descriptor: str | None = ""
    ) -> dict[str, NDArray[np.float32]]:
        """Separate an array.

        Args:
            waveform: float, `(samples, channels)`, at the model's sample rate. One channel is doubled.
            audio_descriptor: of no effect.

        Returns:
            float32 `(samples, 2)` for every stem, in the order of the model's configuration.

        Raises:
            ShapeError: for anything but two axes.
        """
        if waveform.ndim != 2 or waveform.shape[1] < 1:
            raise ShapeError(f"waveform has shape {waveform.shape}: it must be (samples, channels)")
        # QUIRK(spleeter): of more than two channels the first two are taken
        mixture = torch.from_numpy(np.array(waveform[:, :2].T, dtype=np.float32)).expand(2, -1)
        stems = self._engine.separate(mixture, self._sample_rate)
        return {name: stem.T.contiguous().numpy() for name, stem in stems.items()}

    def separate_to_file(
        self,
        audio_descriptor: str | Path,
        destination: str | Path,
        audio_adapter: None = None,
        offset: float = 0,
        duration: float | None = None,
        codec: str = "wav",
        bitrate: str = "128k",
        filename_format: str = DEFAULT_FORMAT,
        synchronous: bool = True,
    ) -> None:
        """Separate a file into `destination`; the files are written when this returns.

        Args:
            audio_descriptor: file to separate.
            destination: folder.
            audio_adapter: None; stemwise decodes by itself.
            offset: seconds to leave out at the start.
            duration: seconds to separate; None for all.
            codec: wav, mp3, ogg, m4a, wma or flac.
            bitrate: of lossy codecs, such as `128k`.
            filename_format: with `{filename}`, `{instrument}`, `{foldername}`, `{codec}`.
            synchronous: of no effect.
        """
        _refuse_adapter(audio_adapter)
        wanted = OutputFormat.spleeters(codec, bitrate, self._sample_rate)
        separate_to(
            Path(audio_descriptor),
            _paths(audio_descriptor, destination, self._engine.stems, wanted, filename_format),
            self._engine,
            wanted,
            offset_s=offset,
            duration_s=duration,
            read_rate=self._sample_rate,
        )

    def save_to_file(
        self,
        sources: Mapping[str, NDArray[np.float32]],
        audio_descriptor: str | Path,
        destination: str | Path,
        filename_format: str = DEFAULT_FORMAT,
        codec: str = "wav",
        audio_adapter: None = None,
        bitrate: str = "128k",
        synchronous: bool = True,
    ) -> None:
        """Write what `separate` returned; the arguments are those of `separate_to_file`."""
        _refuse_adapter(audio_adapter)
        wanted = OutputFormat.spleeters(codec, bitrate, self._sample_rate)
        paths = _paths(audio_descriptor, destination, list(sources), wanted, filename_format)
        files = StemFiles(paths, wanted, sample_rate=self._sample_rate, n_channels=2)
        try:
            files.open()
            for name, source in sources.items():
                # (samples, channels) to (channels, samples)
                files.write(name, np.ascontiguousarray(source.T, dtype=np.float32))
            files.finish()
            files.publish()
        except BaseException:
            files.discard()
            raise

    def join(self, timeout: int = 200) -> None:
        """Nothing to wait for: everything is written when the other methods return."""


def _paths(
    audio_descriptor: str | Path,
    destination: str | Path,
    stems: Sequence[str],
    wanted: OutputFormat,
    filename_format: str,
) -> dict[str, Path]:
    songs = [Song(Path(audio_descriptor))]
    (paths,) = output_paths(
        songs, stems, Path(destination), codec=wanted.codec, template=filename_format, portable=False
    )
    return paths


def _refuse_adapter(audio_adapter: object) -> None:
    if audio_adapter is not None:
        raise ConfigError("audio_adapter must be None: stemwise decodes and encodes by itself")
