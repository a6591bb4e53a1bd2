"""`stemwise evaluate`, `stemwise compare` and `spleeter evaluate`, in process."""

import io
import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from random_models import random_model, stemwise_like
from scored_songs import RATE, STEMS, write_song
from stemwise.checkpoint import save_model
from stemwise.cli import app
from stemwise.cli.evaluate import print_rows
from stemwise.cli.spleeter import app as spleeter
from stemwise.errors import ConfigError
from stemwise.evaluate import EvaluationTable, Record, Score, paired_t_test, read_record, write_record
from stemwise.metrics import bsseval
from training import write_songs


@pytest.fixture(autouse=True)
def few_taps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures do not matter here, only that there are some."""
    monkeypatch.setattr(bsseval, "FILTER_LENGTH", 16)


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    for name in ("mdb_one", "mdb_two", "evr_three"):
        write_song(tmp_path / "songs" / name, n_samples=RATE // 4, **dict.fromkeys(STEMS, 0.2))
    return tmp_path / "songs"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    network = stemwise_like()
    network.card = replace(network.card, training_tracks=("EVR_three", "another"))
    save_model(network, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def run(*arguments: object) -> Any:
    found = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert found.exit_code == 0, found.output
    return found


def run_spleeter(*arguments: object) -> str:
    found = CliRunner().invoke(spleeter, ["evaluate", *(str(argument) for argument in arguments)])
    assert found.exit_code == 0, found.output
    return found.stdout


def test_the_table_shows_songs_groups_and_scale(songs: Path, model: Path) -> None:
    found = run("evaluate", "-p", model, songs, "--group", "mdb_")
    for word in (*STEMS, "mdb_one", "mdb_…: 2", "other songs: 1", "uSDR", "cSDR", "SI-SDR", "oracle", "gap"):
        assert word in found.stdout
    assert "nan" not in found.stdout
    assert "warning: the model was trained on 1 of these 3 songs (evr_three)" in found.stderr


@pytest.mark.parametrize("terminal", [False, True])
def test_no_figure_is_cut_off_however_narrow_the_terminal(terminal: bool) -> None:
    name = "A Band of Many Names - A Song about All of Them"
    console = Console(file=io.StringIO(), width=40, force_terminal=terminal, color_system=None)
    print_rows(console, [["uSDR (dB)", *STEMS], [name, "-12.34", "-1.50", "10.25", "-20.75"]])
    printed = console.file.getvalue()
    assert all(figure in printed for figure in (*STEMS, "-12.34", "-1.50", "10.25", "-20.75"))
    assert (name in printed) == (not terminal)  # folded there
    assert "…" not in printed
    assert console.width == 40


def test_files_may_have_other_names(tmp_path: Path, model: Path) -> None:
    write_song(tmp_path / "songs" / "one", n_samples=RATE // 4, **{"lead vox": 0.2, "drums": 0.1})
    found = run("evaluate", "-p", model, tmp_path / "songs", "--name", "lead vox=vocals", "--json")
    assert {score["stem"] for score in json.loads(found.stdout)["scores"]} == {"vocals", "drums"}


def test_a_model_is_scored_on_stems_of_its_own(tmp_path: Path) -> None:
    own = random_model(replace(stemwise_like().config, stems=("vocals", "guitar"), remainder="guitar"))
    save_model(own, tmp_path / "model.safetensors")
    write_song(tmp_path / "songs" / "one", n_samples=RATE // 4, vocals=0.2, drums=0.1, gtr=0.2)
    found = run(
        "evaluate", "-p", tmp_path / "model.safetensors", tmp_path / "songs",
        "--name", "gtr=guitar", "--metrics", "usdr", "--json",
    )  # fmt: skip
    scores = json.loads(found.stdout)["scores"]
    mixture = {score["stem"]: score["usdr"] for score in scores if score["method"] == "mixture"}
    expected = 10 * math.log10(0.2**2 / (0.1**2 + 0.2**2))
    assert mixture == pytest.approx({"vocals": expected, "guitar": expected}, abs=1e-3)


def test_estimates_of_any_stem_are_scored_by_name(tmp_path: Path) -> None:
    for place, level in (("songs", 0.2), ("estimates", 0.1)):
        write_song(tmp_path / place / "one", n_samples=RATE // 4, vocals=level, drums=level, guitar=level)
    write_song(tmp_path / "songs" / "two", n_samples=RATE // 4, vocals=0.2, drums=0.1, gtr=0.2)
    write_song(tmp_path / "estimates" / "two", n_samples=RATE // 4, vocals=0.1, drums=0.1, guitar=0.1)
    command = [
        "evaluate",
        tmp_path / "songs",
        "--estimates",
        tmp_path / "estimates",
        "--metrics",
        "usdr",
        "--json",
    ]
    scores = json.loads(run(*command, "--name", "gtr=guitar").stdout)["scores"]
    found = {(s["track"], s["stem"]): s["usdr"] for s in scores if s["method"] == "model"}
    assert set(found) == {(song, stem) for song in ("one", "two") for stem in ("vocals", "drums", "guitar")}
    assert found["one", "guitar"] == pytest.approx(10 * math.log10(0.2**2 / 0.1**2), abs=1e-3)
    mixture = next(s["usdr"] for s in scores if (s["method"], s["stem"]) == ("mixture", "vocals"))
    assert mixture == pytest.approx(10 * math.log10(1 / 2), abs=1e-3)  # the guitar is a part of it


def test_options_of_the_engine_are_refused_beside_estimates(songs: Path) -> None:
    for options in (["-p", "stemwise:4stems"], ["--device", "cpu"], ["--precision", "auto"], ["--mwf"]):
        found = CliRunner().invoke(app, ["evaluate", str(songs), "--estimates", str(songs), *options])
        assert isinstance(found.exception, ConfigError)
        assert f"{options[0]} would have no effect" in str(found.exception)


def test_json_is_for_machines_alone(songs: Path, model: Path) -> None:
    found = run("evaluate", "-p", model, songs, "--json", "--metrics", "usdr")
    values = json.loads(found.stdout)
    assert values["dataset"] == "songs"
    assert "evr_three" in values["notes"][0]
    scored = [(score["track"], score["stem"]) for score in values["scores"] if score["method"] == "model"]
    assert scored == [(track, stem) for track in ("evr_three", "mdb_one", "mdb_two") for stem in STEMS]
    assert {score["method"] for score in values["scores"]} == {"model", "mixture", "oracle"}


def test_a_run_leaves_scores_report_museval_s_json_and_a_plot(
    songs: Path, model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    run(
        "evaluate",
        "-p",
        model,
        songs,
        "--metrics",
        "museval",
        "-o",
        output,
        "--plot",
        output / "plot" / "b.svg",
    )
    files = sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())
    per_song = [f"museval/test/{name}.json" for name in ("evr_three", "mdb_one", "mdb_two")]
    assert files == [*per_song, "plot/b.svg", "report.md", "scores.json"]
    assert "](plot/b.svg)" in (output / "report.md").read_text()
    (frame,) = json.loads((output / per_song[0]).read_text())["targets"][0]["frames"]
    assert set(frame["metrics"]) == {"SDR", "ISR", "SIR", "SAR"}


def test_runs_are_compared_with_the_first(songs: Path, model: Path, tmp_path: Path) -> None:
    for name, level in (("good", 0.2), ("bad", 0.1)):
        for song in songs.iterdir():
            levels = {stem: level for stem in STEMS}
            write_song(tmp_path / name / song.name, n_samples=RATE // 4, **levels)
        run(
            "evaluate",
            songs,
            "--estimates",
            tmp_path / name,
            "-o",
            tmp_path / f"{name}_run",
            "--metrics",
            "csdr",
        )
    run("evaluate", "-p", model, songs, "-o", tmp_path / "model_run", "--metrics", "usdr,csdr")
    runs = [tmp_path / f"{name}_run" for name in ("bad", "model")]
    values = json.loads(run("compare", *runs, runs[0], "--json").stdout)
    assert [len(value["tests"]) for value in values] == [4, 4]
    assert {test["metric"] for test in values[0]["tests"]} == {"csdr"}
    assert all(test["difference"] == 0 and test["p"] == 1 for test in values[1]["tests"])
    table = run("compare", *runs, "--metrics", "csdr").stdout
    assert "bad_run" in table
    assert "difference" in table
    refused = CliRunner().invoke(app, ["compare", str(runs[0])])
    assert "two or more" in str(refused.exception)
    refused = CliRunner().invoke(app, ["compare", *map(str, runs), "--metrics", "usdr"])
    assert "no score of a common song" in str(refused.exception)


def write_run(folder: Path, values: list[float], *, dataset: str = "songs") -> Path:
    scores = tuple(Score(track=f"{n}", stem="vocals", values={"usdr": v}) for n, v in enumerate(values))
    write_record(Record(model="m", dataset=dataset, table=EvaluationTable(scores)), folder)
    return folder


def test_comparisons_for_machines_keep_tiny_probabilities(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", [float(n % 3) for n in range(20)])
    second = write_run(tmp_path / "second", [n % 3 + 1 + 0.01 * (n % 2) for n in range(20)])
    ((test,),) = (value["tests"] for value in json.loads(run("compare", first, second, "--json").stdout))
    expected = paired_t_test([0.0] * 20, [1 + 0.01 * (n % 2) for n in range(20)]).p
    assert 0 < expected < 1e-30
    assert test["p"] == pytest.approx(expected, rel=1e-4, abs=0)
    assert test["difference"] == 1.005


def test_runs_on_data_sets_of_other_names_are_compared_with_a_warning(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, [1.0, 2.0], dataset=name) for name in ("test", "valid")]
    found = run("compare", *runs)
    assert f"warning: {runs[0]} was scored on test, {runs[1]} on valid" in found.stderr
    unnamed = write_run(tmp_path / "unnamed", [1.0, 2.0], dataset="")
    assert "warning" not in run("compare", runs[0], runs[0], unnamed).stderr


def test_wrong_options_are_refused_before_any_work(songs: Path, tmp_path: Path) -> None:
    for options, message in (
        (["--metrics", "sdr"], "must be of usdr"),
        (["--plot", "box.gif"], "must have .png"),
        (["--subset", "test"], "subset 'test'"),
        (["-p", str(tmp_path / "none.safetensors")], "none.safetensors"),
    ):
        found = CliRunner().invoke(app, ["evaluate", str(songs), *options])
        assert found.exit_code != 0
        assert message in str(found.exception)


def test_a_run_that_fails_keeps_the_scores_of_the_songs_before(
    songs: Path, model: Path, tmp_path: Path
) -> None:
    bad = next(iter(sorted((songs / "mdb_two").iterdir())))
    sound = bad.read_bytes()
    bad.write_bytes(b"no audio")
    command = ["evaluate", str(songs), "-p", str(model), "-o", str(tmp_path / "run"), "--metrics", "usdr"]
    assert CliRunner().invoke(app, command).exit_code != 0
    kept = read_record(tmp_path / "run" / "unfinished.json")
    assert kept.table.tracks == ("evr_three", "mdb_one")
    bad.write_bytes(sound)
    whole = run(*command)
    assert "mdb_two" in whole.stdout
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"scores.json", "report.md"}


def test_scores_are_written_before_they_are_shown(
    songs: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("stemwise.cli.evaluate._print", gone)  # as with `| head`
    command = ["evaluate", str(songs), "-p", str(model), "-o", str(tmp_path / "run"), "--metrics", "usdr"]
    assert CliRunner().invoke(app, command).exit_code != 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"scores.json", "report.md"}


def test_a_picture_that_cannot_be_drawn_costs_no_scores(
    songs: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    command = ["evaluate", str(songs), "-p", str(model), "-o", str(tmp_path / "run"), "--metrics", "usdr"]
    with monkeypatch.context() as patch:
        patch.setattr("stemwise.plots.scores.save_scores", full)
        assert CliRunner().invoke(app, [*command, "--plot", str(tmp_path / "b.svg")]).exit_code != 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"scores.json", "report.md"}
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    refused = CliRunner().invoke(app, ["evaluate", "nowhere", "--plot", "b.svg"])
    assert "a picture needs matplotlib" in str(refused.exception)  # before songs are even looked for


def test_spleeter_evaluate_prints_the_original_s_lines(tmp_path: Path, model: Path) -> None:
    for name in ("one", "two"):
        write_song(tmp_path / "mus" / "test" / name, n_samples=RATE // 4, **dict.fromkeys(STEMS, 0.2))
    write_song(tmp_path / "mus" / "train" / "unasked", **dict.fromkeys(STEMS, 0.2))
    output = tmp_path / "out"
    printed = run_spleeter("--mus_dir", tmp_path / "mus", "-o", output, "-p", model)
    medians = printed.split("INFO:spleeter:musdb evaluation done\n")[1].splitlines()
    expected = [(stem, "SDR", "SAR", "SIR", "ISR") for stem in STEMS]
    assert [line.split(":")[2] for line in medians] == [word for words in expected for word in words]
    assert medians[0] == "INFO:spleeter:vocals:"
    assert all(re.fullmatch(r"INFO:spleeter:SDR: -?\d+\.\d{3}", line) for line in medians[1::5])
    files = sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())
    audio = sorted(f"audio/test/{song}/{stem}.wav" for song in ("one", "two") for stem in STEMS)
    assert files == [*audio, "metrics/test/one.json", "metrics/test/two.json"]


def test_spleeter_evaluate_knows_two_stems(tmp_path: Path) -> None:
    write_songs(tmp_path / "mus" / "test", "one", stems=STEMS, seconds=1, rate=RATE)
    # stems that an earlier run left there are not scored
    write_song(tmp_path / "out" / "audio" / "test" / "one", n_samples=9, drums=0.1)
    printed = run_spleeter(
        "--mus_dir", tmp_path / "mus", "-o", tmp_path / "out", "-p", "stemwise:2stems", "--mwf"
    )
    medians = printed.split("evaluation done\n")[1].splitlines()
    assert [line.split(":")[2] for line in medians[::5]] == ["vocals", "accompaniment"]
    values = [float(line.rpartition(" ")[2]) for line in medians if not line.endswith(":")]
    assert len(values) == 8
    assert all(map(math.isfinite, values))
