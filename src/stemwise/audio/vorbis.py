"""Ogg Vorbis, encoded by libsndfile (libvorbis)."""

import errno
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from stemwise.audio.frames import Block, join
from stemwise.audio.mux import EncoderConfig
from stemwise.audio.ogg import retag_vorbis
from stemwise.audio.tags import picture_comment

# bit/s of stereo at 44.1 kHz for the qualities 0, 0.1, ... 1.0 of Vorbis, which has no constant bitrate.
# Source: wiki.xiph.org/Vorbis_RECOMMENDED_ENCODER_SETTINGS, "Approximate bitrate" of -q0 to -q10.
BITRATES = (64e3, 80e3, 96e3, 112e3, 128e3, 160e3, 192e3, 224e3, 256e3, 320e3, 500e3)
# Samples that libvorbis is given at once: it crashes on very many, and its choices depend on their number.
PIECE = 4096


class VorbisEncoder:
    """Ogg Vorbis through libsndfile, for FFmpeg has no good Vorbis encoder of its own.

    libsndfile writes to a nameless file in the same folder first; its pages are then copied into the real
    one with tags and cover (see `stemwise.audio.ogg`). Vorbis has no constant bitrate: the quality is chosen
    whose average is nearest.
    Arguments and errors are those of `FFmpegEncoder`, and soundfile.LibsndfileError.
    """

    def __init__(self, file: BinaryIO, config: EncoderConfig) -> None:
        self._file, self._config, self._n_samples = file, config, 0
        self._pending = join([], config.n_channels)
        per_stereo = config.bitrate * 2 / config.n_channels
        quality = np.interp(per_stereo, BITRATES, np.linspace(0, 1, len(BITRATES)))
        self._vorbis = tempfile.TemporaryFile(dir=Path(file.name).parent)  # noqa: SIM115 (closed by `abort`)
        self._sound = soundfile.SoundFile(
            self._vorbis.fileno(),
            "w",
            samplerate=config.sample_rate,
            channels=config.n_channels,
            format="OGG",
            subtype="VORBIS",
            compression_level=1 - float(quality),
            closefd=False,
        )

    def write(self, block: Block) -> None:
        self._n_samples += block.shape[1]
        sound = join([self._pending, block], len(block))
        n_whole = sound.shape[1] // PIECE * PIECE
        for start in range(0, n_whole, PIECE):
            self._encode(sound[:, start : start + PIECE])
        self._pending = sound[:, n_whole:]

    def close(self) -> None:
        self._encode(self._pending)
        self._sound.close()
        self._vorbis.seek(0)
        comments = dict(self._config.tags.fields)
        if self._config.tags.picture:
            comments["metadata_block_picture"] = picture_comment(self._config.tags.picture)
        try:
            n_written = retag_vorbis(self._vorbis, self._file, comments)
        except EOFError as error:
            raise OSError(errno.EIO, "libsndfile could not write all pages") from error
        if n_written != self._n_samples:
            raise OSError(errno.EIO, f"libsndfile wrote {n_written} of {self._n_samples} samples")

    def _encode(self, block: Block) -> None:
        try:
            self._sound.write(block.T)  # (samples, channels)
        except (AssertionError, soundfile.LibsndfileError) as error:  # the first: less was written
            raise OSError(errno.EIO, "libsndfile could not write, perhaps the disk is full") from error

    def abort(self) -> None:
        self._sound.close()
        self._vorbis.close()
