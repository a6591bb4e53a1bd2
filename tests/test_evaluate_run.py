import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from random_models import stemwise_like
from scored_songs import RATE, STEMS, Oracle, impulses, write_song
from stemwise.data.tracks import StemFile, find_tracks
from stemwise.errors import ConfigError, DecodeError, NonFiniteError, ShapeError
from stemwise.evaluate import METRICS, evaluate, evaluate_files, write_estimates
from stemwise.evaluate.scores import MIXTURE, ORACLE
from stemwise.metrics import bsseval
from stemwise.separate import ACCOMPANIMENT, Separator


def value(table, stem: str, metric: str = "usdr", method: str = "model") -> float:
    (found,) = table.values(stem, metric, method).values()
    return found


def decibels(signal: float, noise: float) -> float:
    return 10 * math.log10(signal / noise)


def test_scores_are_those_of_the_mixture_of_all_stems(tmp_path: Path) -> None:
    track = write_song(tmp_path / "song", vocals=0.4, drums=0.1, bass_and_other=0.2)
    table = evaluate(Oracle({"vocals": 1.0, "drums": 0.0, "bass": 0.0, "other": 0.5}), [track])
    assert table.stems == ("vocals", "drums")  # the others are not known apart
    expected = decibels(0.16, 0.01 + 0.04)
    for metric in ("usdr", "si_sdr"):
        assert value(table, "vocals", metric) == pytest.approx(expected, abs=1e-4)
        assert value(table, "vocals", metric, MIXTURE) == pytest.approx(expected, abs=1e-4)
    assert value(table, "vocals", "csdr") == pytest.approx(expected, abs=0.01)  # on 16 bits
    assert value(table, "drums") == pytest.approx(0.0, abs=1e-6)
    assert value(table, "drums", method=MIXTURE) == pytest.approx(decibels(0.01, 0.2), abs=1e-4)
    assert value(table, "drums", method=ORACLE) > value(table, "drums", method=MIXTURE)


def test_every_metric_is_there_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bsseval, "FILTER_LENGTH", 16)
    track = write_song(tmp_path / "song", n_samples=RATE // 4, **dict.fromkeys(STEMS, 0.2))
    table = evaluate(Oracle({"vocals": 0.9, "drums": 0.5}), [track], metrics=tuple(METRICS))
    assert table.metrics == tuple(METRICS)
    without = ("sar", "si_sar", "musical_noise", "smear")  # there are no artefacts, no pauses and no attacks
    finite = [metric for metric in METRICS if metric not in without]
    assert all(table.values(stem, metric) for stem in ("vocals", "drums") for metric in finite)
    (_, score) = [score for score in table.scores if score.method == "model"]
    assert set(score.windows) == {"csdr", "isr", "sir", "sar"}


def test_silent_references_are_not_scored(tmp_path: Path) -> None:
    track = write_song(tmp_path / "song", vocals=0.4, drums=1e-4)
    assert evaluate(Oracle({"vocals": 1.0, "drums": 1.0}), [track]).stems == ("vocals",)
    silent = write_song(tmp_path / "silent", vocals=0.0)
    with pytest.raises(ConfigError, match="no song has a stem of vocals, drums"):
        evaluate(Oracle({"vocals": 1.0, "drums": 1.0}), [silent])


def test_a_silent_estimate_leaves_the_others_their_windows(tmp_path: Path) -> None:
    track = write_song(tmp_path / "song", vocals=0.4, drums=0.3)
    table = evaluate(Oracle({"vocals": 0.9, "drums": 0.0}), [track], metrics=("csdr", "sir"))
    assert math.isfinite(value(table, "vocals", "sir"))
    assert table.values("drums", "csdr") == {}


def test_accompaniment_is_scored_against_the_sum_of_the_rest(tmp_path: Path) -> None:
    track = write_song(tmp_path / "song", vocals=0.4, drums=0.1, other=0.2)
    table = evaluate(Oracle({"vocals": 1.0, ACCOMPANIMENT: 1.0}), [track])
    assert value(table, ACCOMPANIMENT) == pytest.approx(decibels(0.01 + 0.04, 0.16), abs=1e-4)


def test_accompaniment_is_the_mixture_less_the_voice_where_stems_are_missing(tmp_path: Path) -> None:
    separator = Oracle({"vocals": 0.0, ACCOMPANIMENT: 1.0})
    unnamed = impulses(5, 0.2)
    for name, known in (("voice", {}), ("some", {"drums": 0.1})):
        write_song(tmp_path / name, vocals=0.4, **known)
        mixture = impulses(0, 0.4) + unnamed + (impulses(1, 0.1) if known else 0)
        soundfile.write(tmp_path / name / "mixture.wav", mixture, RATE, subtype="FLOAT")
    table = evaluate(separator, find_tracks(tmp_path, STEMS))
    assert table.values(ACCOMPANIMENT, "usdr") == pytest.approx(
        {"voice": decibels(0.04, 0.16), "some": decibels(0.04 + 0.01, 0.16)}, abs=1e-4
    )


def test_accompaniment_of_a_whole_song_is_the_sum_of_its_other_stems(tmp_path: Path) -> None:
    """As museval has it, whatever was done to the mixture; of an unknown voice, there is none."""
    write_song(tmp_path / "songs" / "whole", vocals=0.4, drums=0.1, bass_and_other=0.2)
    write_song(tmp_path / "songs" / "voiceless", drums=0.1)
    for name in ("whole", "voiceless"):
        path = tmp_path / "songs" / name / "mixture.wav"
        soundfile.write(path, impulses(1, 0.1) + impulses(2, 0.2), RATE, subtype="FLOAT")
    table = evaluate(Oracle({"vocals": 0.0, ACCOMPANIMENT: 2.0}), find_tracks(tmp_path / "songs", STEMS))
    assert table.values(ACCOMPANIMENT, "usdr") == pytest.approx({"whole": 0.0}, abs=1e-4)
    alone = evaluate(Oracle({ACCOMPANIMENT: 1.0}), [write_song(tmp_path / "alone", vocals=0.4, drums=0.1)])
    assert value(alone, ACCOMPANIMENT) == pytest.approx(decibels(0.01, 0.16), abs=1e-4)


def test_piano_is_a_part_of_other_where_it_is_not_known_apart(tmp_path: Path) -> None:
    track = write_song(tmp_path / "song", vocals=0.4, other=0.2)
    table = evaluate(Oracle({"vocals": 1.0, "other": 0.3, "piano": 0.7}), [track])
    assert table.stems == ("vocals", "other")
    assert value(table, "other") == pytest.approx(value(table, "other", method=MIXTURE), abs=1e-4)


def test_a_song_s_own_mixture_is_what_is_separated(tmp_path: Path) -> None:
    write_song(tmp_path / "song", vocals=0.4, drums=0.1)
    soundfile.write(tmp_path / "song" / "mixture.wav", impulses(0, 0.2), RATE, subtype="FLOAT")
    table = evaluate(Oracle({"vocals": 1.0}), find_tracks(tmp_path, STEMS))
    assert value(table, "vocals") == pytest.approx(decibels(0.16, 0.04), abs=1e-4)


def test_the_oracle_counts_what_a_mixture_holds_beside_the_known_stems(tmp_path: Path) -> None:
    """Half of the power is a voice, half is not known: masks of a half leave a quarter of the error each."""
    write_song(tmp_path / "song", n_samples=RATE, vocals=0.4)
    mixture = impulses(0, 0.4, RATE) + impulses(5, 0.4, RATE)
    soundfile.write(tmp_path / "song" / "mixture.wav", mixture, RATE, subtype="FLOAT")
    table = evaluate(Oracle({"vocals": 1.0}), find_tracks(tmp_path, STEMS))
    assert value(table, "vocals", method=MIXTURE) == pytest.approx(0.0, abs=1e-4)
    assert value(table, "vocals", method=ORACLE) == pytest.approx(decibels(1, 0.25 + 0.25), abs=1.0)


def test_stems_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    track = write_song(tmp_path / "overlap", vocals=0.4, drums=0.1, accompaniment=0.2)
    with pytest.raises(ConfigError, match="overlap has files of accompaniment and of drums"):
        evaluate(Oracle({"vocals": 1.0}), [track])
    write_song(tmp_path / "songs" / "short", vocals=0.4)
    path = tmp_path / "songs" / "short" / "mixture.wav"
    soundfile.write(path, impulses(0, 0.2, 900), RATE)
    with pytest.raises(ShapeError, match=r"short: .*mixture.wav has 900 samples .* the 1000 samples"):
        evaluate(Oracle({"vocals": 1.0}), find_tracks(tmp_path / "songs", STEMS))


def test_a_file_that_is_no_audio_is_named(tmp_path: Path) -> None:
    track = write_song(tmp_path / "song", vocals=0.4, drums=0.1)
    (tmp_path / "song" / "drums.wav").write_text("not audio")
    with pytest.raises(DecodeError, match=r"drums\.wav"):
        evaluate(Oracle({"vocals": 1.0}), [track])


@pytest.mark.parametrize("which", ["songs", "estimates"])
def test_samples_that_are_no_numbers_are_refused(tmp_path: Path, which: str) -> None:
    track = write_song(tmp_path / "songs" / "one", vocals=0.4)
    write_song(tmp_path / "estimates" / "one", vocals=0.4)
    samples = impulses(0, 0.4)
    samples[3] = np.nan
    soundfile.write(tmp_path / which / "one" / "vocals.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(NonFiniteError, match=rf"{which}.one.vocals\.wav has NaN"):
        evaluate_files(tmp_path / "estimates", [track])


def test_callers_hear_of_every_song(tmp_path: Path) -> None:
    tracks = [write_song(tmp_path / name, vocals=0.4, drums=0.1) for name in ("one", "two")]
    heard: list[object] = []
    evaluate(
        Oracle({"vocals": 1.0}),
        tracks,
        begin=heard.append,
        progress=lambda stage, done_s, total_s: heard.append((stage, done_s == total_s)),
        report=lambda track, scores: heard.append((track.name, len(scores))),
    )
    of_song = [("separating", True), ("scoring", True)]
    assert heard == ["one", *of_song, ("one", 3), "two", *of_song, ("two", 3)]


def test_real_separators_are_scored_alike_from_memory_and_from_files(tmp_path: Path) -> None:
    track = write_song(tmp_path / "songs" / "one", n_samples=RATE // 4, **dict.fromkeys(STEMS, 0.2))
    separator = Separator(stemwise_like())
    direct = evaluate(separator, [track])
    paths = write_estimates(separator, track, tmp_path / "estimates")
    assert [path.name for path in paths] == [f"{stem}.wav" for stem in STEMS]
    from_files = evaluate_files(tmp_path / "estimates", [track])
    assert from_files.stems == direct.stems == STEMS
    for stem in STEMS:
        assert value(from_files, stem) == pytest.approx(value(direct, stem), abs=0.01)


def test_estimates_are_paired_by_name(tmp_path: Path) -> None:
    tracks = [
        write_song(tmp_path / "songs" / "b", vocals=0.4, drums=0.1),
        write_song(tmp_path / "songs" / "a", vocals=0.2, drums=0.3),
    ]
    for track, level in zip(tracks, (0.2, 0.3), strict=True):
        write_song(tmp_path / "estimates" / track.name, drums=0.1, vocals=level)  # places exchanged
    write_song(tmp_path / "estimates" / "unasked", vocals=0.1)
    table = evaluate_files(tmp_path / "estimates", tracks)
    assert table.tracks == ("b", "a")
    assert table.values("vocals", "usdr") == pytest.approx(
        {"b": decibels(0.16, 0.16 + 0.04), "a": decibels(0.04, 0.04 + 0.09)}, abs=1e-4
    )


def test_missing_and_misfit_estimates_are_named(tmp_path: Path) -> None:
    track = write_song(tmp_path / "songs" / "one", vocals=0.4, drums=0.1)
    other = write_song(tmp_path / "songs" / "two", vocals=0.4, drums=0.1)
    write_song(tmp_path / "estimates" / "one", vocals=0.4, drums=0.1)
    with pytest.raises(ConfigError, match="no folder 'two'"):
        evaluate_files(tmp_path / "estimates", [track, other])
    write_song(tmp_path / "estimates" / "two", vocals=0.4)
    with pytest.raises(ConfigError, match=r"two has no drums: other songs have one"):
        evaluate_files(tmp_path / "estimates", [track, other])
    soundfile.write(tmp_path / "estimates" / "two" / "drums.wav", np.zeros((900, 2)), RATE)
    with pytest.raises(ShapeError, match=r"two.drums\.wav has 900 samples .* must have the 1000"):
        evaluate_files(tmp_path / "estimates", [track, other])


def test_a_missing_file_is_an_error_of_its_name(tmp_path: Path) -> None:
    track = write_song(tmp_path / "song", vocals=0.4)
    gone = {"drums": StemFile(path=tmp_path / "song" / "gone.wav")}
    track = type(track)(name="song", files=track.files | gone)
    with pytest.raises(DecodeError, match=r"gone\.wav"):
        evaluate(Oracle({"vocals": 1.0}), [track])
