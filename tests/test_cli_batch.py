"""The commands, with real processes and a tiny network."""

import csv
import errno
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from audio_files import files_below, write_wav
from conftest import song
from random_models import stemwise_like
from stemwise import cli
from stemwise.batch import manifest, settings
from stemwise.batch.manifest import write_manifest
from stemwise.batch.song import Outcome
from stemwise.batch.storage import sha256
from stemwise.checkpoint import save_model
from stemwise.cli.batch_view import print_report, print_status, watching
from stemwise.journal import Journal, Row

STEMS = ("bass", "drums", "other", "vocals")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(stemwise_like(), path)
    return str(path)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    (folder / "album").mkdir()
    write_wav(folder / "album" / "one.wav", song(30_000, seed=1))
    write_wav(folder / "two.wav", song(20_000, seed=2))
    (folder / "bad.mp3").write_text("no audio")
    return folder


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """A subcommand as the shell would run it: exit status, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["stemwise", "batch", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def facts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch is here already: models are asked in this process."""
    monkeypatch.setattr(
        settings, "ask_models", lambda chosen, names: {name: settings._facts(chosen, name) for name in names}
    )


@pytest.mark.usefixtures("facts_at_once")
def test_a_catalogue_is_separated_verified_and_reported(
    command, model: str, songs: Path, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    output = tmp_path / "out"
    options = (songs, "-o", output, "-p", model, "-w", 1)
    status, out, err = command("run", *options)
    assert status == 1
    assert "bad.mp3: cannot be read: it is not an audio or video file" in err
    assert "2 done, 1 failed" in out
    stems = [f"{name}/{stem}.wav" for name in ("album/one", "two") for stem in STEMS]
    others = [".manifest.json.lock", "batch.sqlite", "manifest.json"]
    assert files_below(output) == sorted([*stems, *others])

    assert command("run", *options, "-q") == (0, "", "")
    status, out, _ = command("status", output)
    assert out.splitlines() == ["done          2 songs, 1 s of audio", "failed        1 song, 0 s of audio"]
    status, out, _ = command("verify", output)
    assert (status, out) == (0, "8 stems of 2 songs are as they were\n")

    status, out, _ = command("report", output, "--csv", tmp_path / "r.csv", "--plot", tmp_path / "r.png")
    assert status == 0
    assert "bad.mp3" in out
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    assert [row["state"] for row in rows] == ["done", "failed", "done"]
    assert rows[0]["input_sha256"] == sha256(str(songs / "album" / "one.wav"))

    told = json.loads((output / "manifest.json").read_text())
    found = told["songs"][0]["outputs"]["vocals"]
    assert found["sha256"] == sha256(str(output / found["path"]))
    assert told["songs"][0]["run"]["id"] == told["runs"][0]["id"]

    (output / "two/bass.wav").write_bytes(b"changed")
    status, _, err = command("verify", output)
    assert status == 2
    assert err.startswith("error: two/bass.wav: changed\nerror: 1 of 8 stems (1 of 2 songs) are not as they")
    assert command("retry", output, "two.wav")[1].startswith("queued again: 1; to do them: ")
    assert command("retry", output, "--failed")[1].startswith("queued again: 1; to do them: ")
    assert command("status", output)[1].splitlines()[1] == "queued        2 songs, 0 s of audio"


@pytest.mark.usefixtures("facts_at_once")
def test_a_manifest_that_cannot_be_written_in_the_end_hides_nothing(  # type: ignore[no-untyped-def]
    command, model: str, songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, journal: Journal, run: dict[str, Any]) -> None:
        if "ended" in run:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_manifest(path, journal, run)

    monkeypatch.setattr(manifest, "write_manifest", full)
    path = tmp_path / "out" / "manifest.json"
    status, out, err = command("run", songs / "two.wav", "-o", path.parent, "-p", model, "-w", 1)
    assert status == 1
    assert out.endswith(f"{path.parent}: 1 done\n")
    assert err == f"error: {path} cannot be written: No space left on device\n"
    (run,) = json.loads(path.read_text())["runs"]
    assert run["command"][0] == "batch"
    assert "ended" not in run  # as that of a run that was killed


@pytest.mark.usefixtures("facts_at_once")
def test_a_run_does_not_begin_where_the_disk_cannot_hold_it(  # type: ignore[no-untyped-def]
    command, model: str, songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemwise.batch.plan.free_bytes", lambda folder: 1000)
    status, out, err = command("run", songs, "-o", tmp_path / "out", "-p", model, "-q")
    assert (status, out) == (2, "")
    assert err.startswith("error: the stems need 0.0 GB, 0.0 GB are free: ")
    assert not (tmp_path / "out").exists()


def test_an_error_names_its_song_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    row = Row(id="new\nline.wav", queue="batch", source="/music/new\nline.wav", title="new\nline.wav")
    with watching([row], quiet=False) as watch:
        for error in ("took too long", f"{row.source}: no audio"):
            watch.begin(row)
            watch.end(row, Outcome(id=row.id, error=error), None)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        r"error: new\nline.wav: took too long",
        r"error: /music/new\nline.wav: no audio",
    ]


def test_names_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    running = Row(id="Song [official].mp3", queue="batch", source="", state="running", started=0.0)
    failed = Row(id="a[/b].mp3", queue="batch", source="", state="failed", error="no [audio]")
    print_status([running])
    print_report([failed])
    out = capsys.readouterr().out
    assert all(text in out for text in ("Song [official].mp3", "a[/b].mp3", "no [audio]"))


@pytest.mark.slow
def test_a_plan_writes_nothing_and_a_run_goes_on_without_its_inputs(  # type: ignore[no-untyped-def]
    command, model: str, songs: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    status, out, err = command("plan", songs, "-o", output, "-p", model, "-w", 1)
    assert (status, err) == (0, "")
    assert "to do         3 songs, 1 s of audio" in out
    assert "unreadable    1 song" in out
    assert "workers       1 × cpu" in out
    assert not output.exists()
    journal = ("--journal", tmp_path / "elsewhere.sqlite")
    command("run", songs, "-o", output, "-p", model, "-w", 1, *journal)
    command("retry", output, "two.wav", *journal)
    status, out, err = command("run", "-o", output, "-p", model, "-w", 1, *journal)
    assert (status, err) == (0, "")
    assert "1 song done now" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("status", "nowhere"), "error: there is no journal nowhere/batch.sqlite\n"),
        (("status", "s3://b/x"), "error: s3://b/x cannot hold the journal: say where it is, --journal"),
        (("retry", "nowhere"), "error: retry needs either --failed or the ids of songs\n"),
        (("report", "nowhere", "--plot", "x.gif"), "error: x.gif has the suffix '.gif': a picture must"),
        (("run", "-o", "nowhere"), "error: there is nothing to go on with in nowhere: name the songs\n"),
        (("run", "nowhere.csv", "-o", "s3://b/x"), "error: s3://b/x cannot hold the journal: say where"),
        (("run", "nowhere.csv"), "error: nowhere.csv cannot be read: No such file or directory\n"),
        (("run", "x.wav", "-c", "aac"), "error: codec is 'aac': it must be one of "),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_clear_line(  # type: ignore[no-untyped-def]
    command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = command(*arguments)
    assert (status > 0, out) == (True, "")
    assert err.startswith(message)
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "arguments"),
    [
        ("music", ("run", "a.wav", "-o", "out\udcff")),
        ("music", ("run", "a.wav", "--journal", "j\udcff")),
        ("music", ("status", "out\udcff")),
        ("music\udcff", ("run", "-o", "out")),
    ],
)
def test_a_place_must_be_text(  # type: ignore[no-untyped-def]
    command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str, arguments: tuple[str, ...]
) -> None:
    (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / folder)
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert re.fullmatch(r"error: /.*\\xff.*: a path must be UTF-8 text: choose another\n", err)
    assert list(Path().iterdir()) == []


def test_a_manifest_holds_any_argument(tmp_path: Path) -> None:
    command = ["-p", "caf\udce9.safetensors", "é\\"]
    with Journal(tmp_path / "j.sqlite") as journal:
        for id in ("one", "two"):
            write_manifest(tmp_path / "m.json", journal, {"id": id, "command": command})
    assert [run["command"] for run in manifest.read_runs(tmp_path / "m.json")] == [command, command]
