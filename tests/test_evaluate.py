import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from torch import Tensor
from typer.testing import CliRunner

from random_models import stemwise_like
from stemwise.checkpoint import save_model
from stemwise.cli import app
from stemwise.data.tracks import Track, find_tracks
from stemwise.errors import ConfigError
from stemwise.evaluate import EvaluationTable, Score, evaluate
from stemwise.separate import ACCOMPANIMENT, Separator

RATE = 44100
STEMS = ("vocals", "drums", "bass", "other")


class Oracle(Separator):
    """Gives parts of the mixture that are known beforehand, instead of what a network says."""

    def __init__(self, parts: dict[str, float]) -> None:
        self.config = stemwise_like().config
        self.stems = tuple(parts)
        self.parts = parts

    def separate(self, mixture: Tensor, sample_rate: int) -> dict[str, Tensor]:
        assert sample_rate == RATE
        return {stem: gain * mixture for stem, gain in self.parts.items()}


def write(folder: Path, **levels: float) -> Track:
    """A song of impulses, each stem at a place of its own: energies are levels squared."""
    folder.mkdir(parents=True)
    for i, (stem, level) in enumerate(levels.items()):
        samples = np.zeros((1000, 2), dtype=np.float32)
        samples[10 * i :: 100] = level
        soundfile.write(folder / f"{stem}.wav", samples, RATE, subtype="FLOAT")
    return Track(name=folder.name, files={stem: folder / f"{stem}.wav" for stem in levels})


def test_scores_are_those_of_the_mixture_of_all_stems(tmp_path: Path) -> None:
    track = write(tmp_path / "song", vocals=0.4, drums=0.1, bass_and_other=0.2)
    table = evaluate(Oracle({"vocals": 1.0, "drums": 0.0, "bass": 0.0, "other": 0.5}), [track])
    assert table.stems == ("vocals", "drums")  # the others are not known apart
    vocals, drums = table.scores
    expected = 10 * math.log10(0.16 / (0.01 + 0.04))
    assert vocals.sdr == pytest.approx(expected, abs=1e-4)
    assert vocals.mixture_sdr == pytest.approx(expected, abs=1e-4)
    assert vocals.si_sdr == pytest.approx(expected, abs=1e-4)
    assert drums.sdr == pytest.approx(0.0, abs=1e-6)
    assert drums.mixture_sdr == pytest.approx(10 * math.log10(0.01 / 0.2), abs=1e-4)


def test_silent_references_are_not_scored(tmp_path: Path) -> None:
    track = write(tmp_path / "song", vocals=0.4, drums=1e-4)
    assert evaluate(Oracle({"vocals": 1.0, "drums": 1.0}), [track]).stems == ("vocals",)


def test_accompaniment_is_scored_against_the_sum_of_the_rest(tmp_path: Path) -> None:
    track = write(tmp_path / "song", vocals=0.4, drums=0.1, other=0.2)
    (_, rest) = evaluate(Oracle({"vocals": 1.0, ACCOMPANIMENT: 1.0}), [track]).scores
    assert rest.stem == ACCOMPANIMENT
    assert rest.sdr == pytest.approx(10 * math.log10((0.01 + 0.04) / 0.16), abs=1e-4)


def test_medians_are_over_songs_of_a_selection() -> None:
    table = EvaluationTable(
        tuple(
            Score(track=name, stem="vocals", sdr=value, si_sdr=-value, mixture_sdr=0.0)
            for name, value in (("a_1", 1.0), ("a_2", 2.0), ("a_3", 9.0), ("b_1", 100.0))
        )
    )
    assert table.median("vocals") == pytest.approx(5.5)
    assert table.select("a_").median("vocals") == pytest.approx(2.0)
    assert table.select("a_").median("vocals", "si_sdr") == pytest.approx(-2.0)
    assert table.select("a_").tracks == ("a_1", "a_2", "a_3")
    with pytest.raises(ConfigError, match="no song has a score for 'bass'"):
        table.median("bass")


def test_the_command_prints_a_table_or_json(tmp_path: Path) -> None:
    save_model(stemwise_like(), tmp_path / "model.safetensors")
    for name in ("one", "two"):
        write(tmp_path / "songs" / name, **dict.fromkeys(STEMS, 0.2))
    command = ["evaluate", "-p", str(tmp_path / "model.safetensors"), str(tmp_path / "songs")]
    as_json = CliRunner().invoke(app, [*command, "--json"])
    assert as_json.exit_code == 0, as_json.output
    scores = json.loads(as_json.stdout)
    assert [(score["track"], score["stem"]) for score in scores] == [
        (t, s) for t in ("one", "two") for s in STEMS
    ]
    table = CliRunner().invoke(app, command)
    assert table.exit_code == 0, table.output
    assert "median" in table.stdout
    assert all(stem in table.stdout for stem in STEMS)


def test_real_separators_are_scored_too(tmp_path: Path) -> None:
    write(tmp_path / "songs" / "one", **dict.fromkeys(STEMS, 0.2))
    table = evaluate(Separator(stemwise_like()), find_tracks(tmp_path / "songs", STEMS))
    assert table.stems == STEMS
    assert all(math.isfinite(score.sdr) for score in table.scores)
