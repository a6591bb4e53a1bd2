"""Every song of a data set: separated (or read), scored, and scored again for both ends of the scale."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stemwise.audio import AudioWriter
from stemwise.data.tracks import Track, find_tracks, read_mixture, read_stereo
from stemwise.errors import ConfigError
from stemwise.evaluate.oracle import ratio_mask_oracle
from stemwise.evaluate.scores import DEFAULT_METRICS, ENDS, MIXTURE, MODEL, ORACLE, Score, score_song
from stemwise.evaluate.songs import check_signal, comparable, read_song
from stemwise.evaluate.table import EvaluationTable
from stemwise.separate import RESIDUAL, Separator
from stemwise.stft import STFTConfig
from stemwise.types import STEMS, Progress

BLOCK_S = 10  # how often progress is told while a song is separated

Estimates = dict[str, Tensor]  # by stem, `(2, samples)`


def _nobody(*_: object, **__: object) -> None:
    pass


def evaluate(
    separator: Separator,
    tracks: Iterable[Track],
    *,
    metrics: Collection[str] = DEFAULT_METRICS,
    begin: Callable[[str], None] = _nobody,
    report: Callable[[Track, list[Score]], None] = _nobody,
    progress: Progress = _nobody,
) -> EvaluationTable:
    """Separate the mixture of every track and score each stem that is known and not silent.

    One song at a time is in memory.

    Args:
        separator: it hears the tracks at its model's sample rate.
        tracks: see `stemwise.data.tracks.find_tracks`. What the separator gives as accompaniment is scored
            against what the other stems that it gives leave, unless the track has one of its own.
        metrics: names of `METRICS`. The ends of the scale are scored by SDRs alone.
        begin: called with each track's name.
        report: called after each track, with its scores.
        progress: called while a track is separated, and once before it is scored.

    Raises:
        ConfigError, ShapeError: for a track that cannot be compared with its estimates, or if none can.
        DecodeError: for the first file that cannot be read.
    """
    sample_rate = separator.config.sample_rate

    def estimate(track: Track, mixture: Tensor) -> Estimates:
        blocks: list[Estimates] = []
        n_done = 0
        for block in separator.restream(lambda: mixture.split(BLOCK_S * sample_rate, dim=-1), sample_rate):
            blocks.append(block)
            n_done += block[separator.stems[0]].shape[-1]
            progress("separating", n_done / sample_rate, mixture.shape[-1] / sample_rate)
        return {stem: torch.cat([block[stem] for block in blocks], dim=-1) for stem in separator.stems}

    songs = _Songs(separator.stems, sample_rate, estimate, metrics, progress)
    return songs.score(tracks, begin, report)


def write_estimates(separator: Separator, track: Track, folder: Path) -> list[Path]:
    """Separate a track into 16-bit wav files, `folder/song/stem.wav`.

    Raises:
        DecodeError, EncodeError: if a file cannot be read, or not be written.
    """
    sample_rate = separator.config.sample_rate
    mixture = torch.tensor(read_mixture(track, sample_rate=sample_rate))
    (folder / track.name).mkdir(parents=True, exist_ok=True)
    paths = []
    for stem, estimate in separator.separate(mixture, sample_rate).items():
        path = folder / track.name / f"{stem}.wav"
        with AudioWriter(path, codec="wav", sample_rate=sample_rate, n_channels=len(estimate)) as writer:
            writer.write(estimate.numpy())
            writer.finish()
            writer.publish()
        paths.append(path)
    return paths


def evaluate_files(
    folder: Path,
    tracks: Iterable[Track],
    *,
    stems: Sequence[str] | None = None,
    metrics: Collection[str] = DEFAULT_METRICS,
    begin: Callable[[str], None] = _nobody,
    report: Callable[[Track, list[Score]], None] = _nobody,
    progress: Progress = _nobody,
) -> EvaluationTable:
    """Score stems that lie in files already, paired by the names of songs and stems: `FOLDER/song/stem.wav`.

    Args:
        folder: see `stemwise.data.tracks.find_tracks`; its songs may be more than the tracks.
        tracks: the truth.
        stems: what else lies in the folder is left alone; None for the field's and all that the tracks have.
        metrics: as for `evaluate`.
        begin: as for `evaluate`.
        report: as for `evaluate`.
        progress: called once before a track is scored.

    Raises:
        ConfigError: if a track has no estimates, or lacks the estimate of a stem that others have.
        ShapeError: if an estimate has another length than its reference.
        DecodeError: for the first file that cannot be read.
    """
    tracks = list(tracks)
    if stems is None:
        stems = tuple(dict.fromkeys((*STEMS, *(stem for track in tracks for stem in track.files))))
    estimated = {track.name: track for track in find_tracks(folder, tuple(stems))}
    common = _common_stems(folder, [track.name for track in tracks], estimated, stems)
    with estimated[tracks[0].name].files[common[0]].open() as reader:
        sample_rate = reader.sample_rate

    def estimate(track: Track, mixture: Tensor) -> Estimates:
        read: Estimates = {}
        for stem in common:
            file = estimated[track.name].files[stem]
            read[stem] = torch.tensor(read_stereo(file, sample_rate=sample_rate))
            check_signal(str(file.path), read[stem], mixture)
        return read

    return _Songs(common, sample_rate, estimate, metrics, progress).score(tracks, begin, report)


@dataclass(frozen=True, slots=True)
class _Songs:
    """Scores songs one after the other; `estimate` is where the stems come from."""

    stems: tuple[str, ...]
    sample_rate: int
    estimate: Callable[[Track, Tensor], Estimates]
    metrics: Collection[str]
    progress: Progress

    def score(
        self,
        tracks: Iterable[Track],
        begin: Callable[[str], None],
        report: Callable[[Track, list[Score]], None],
    ) -> EvaluationTable:
        scores: list[Score] = []
        for track in tracks:
            begin(track.name)
            found = self._of_song(track)
            report(track, found)
            scores += found
        if not scores:
            raise ConfigError(f"no song has a stem of {', '.join(self.stems)} that is not silent")
        return EvaluationTable(tuple(scores))

    def _of_song(self, track: Track) -> list[Score]:
        song = read_song(track, self.stems, sample_rate=self.sample_rate)
        estimates = comparable(song, self.estimate(track, song.mixture))
        length_s = song.mixture.shape[-1] / self.sample_rate
        self.progress("scoring", length_s, length_s)

        def scored(method: str, estimates: Estimates, metrics: Collection[str]) -> list[Score]:
            return score_song(
                track.name, method, song.references, estimates, metrics=metrics, sample_rate=self.sample_rate
            )

        scores = scored(MODEL, estimates, self.metrics)
        ends = [metric for metric in ENDS if metric in self.metrics]
        if ends:
            scores += scored(MIXTURE, dict.fromkeys(estimates, song.mixture), ends)
            sources = dict(song.references)
            if track.mixture is not None:  # which may hold more than the stems that are known
                sources[RESIDUAL] = song.mixture - torch.stack(list(sources.values())).sum(dim=0)
            masked = ratio_mask_oracle(song.mixture, sources, STFTConfig())
            scores += scored(ORACLE, {stem: masked[stem] for stem in estimates}, ends)
        return scores


def _common_stems(
    folder: Path, names: list[str], estimated: dict[str, Track], stems: Sequence[str]
) -> tuple[str, ...]:
    for name in names:
        if name not in estimated:
            raise ConfigError(f"{folder} has no folder {name!r}: every song needs its estimates")
    common = tuple(stem for stem in stems if any(stem in estimated[name].files for name in names))
    for name in names:
        for stem in common:
            if stem not in estimated[name].files:
                raise ConfigError(f"{folder / name} has no {stem}: other songs have one")
    return common
