"""Every command of docs/training.md runs, in its order, in a folder with a handful of tiny songs.

What is long there is made short here: the steps of runs that do not say how many they take, and the size of
Spleeter's network.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stemwise.checkpoint import read_model
from stemwise.cli import app
from stemwise.cli import spleeter as spleeter_cli
from stemwise.train import compose
from training import no_extras, write_songs  # noqa: F401

PAGE = Path(__file__).parents[1] / "docs" / "training.md"
STEMS = ("vocals", "drums", "bass", "other")
SHORT = {"steps": 1, "batch_size": 1}
SMALL = {"T": 64, "F": 64, "frame_length": 1024, "frame_step": 256, "train_max_steps": 1, "batch_size": 1}
APPS = {"stemwise": app, "spleeter": spleeter_cli.app}


def blocks() -> Iterator[tuple[str, str]]:
    """What stands behind the fence, and the text, of every block of code."""
    yield from re.findall(
        r"^```([^\n]*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def commands() -> list[str]:
    return [line for kind, text in blocks() if kind == "bash" for line in text.splitlines()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Songs, a test set, a song to separate, Spleeter's tables, and the files of the page."""
    monkeypatch.chdir(tmp_path)
    write_songs(tmp_path / "songs", "a", "b", "c", stems=(*STEMS, "mixture"), seconds=1.2, rate=44100)
    write_songs(tmp_path / "test", "d", "e", stems=STEMS, seconds=1.2, rate=44100)
    (tmp_path / "song.wav").write_bytes((tmp_path / "test" / "d" / "other.wav").read_bytes())
    paths = ["{0}/mixture.wav", *(f"{{0}}/{stem}.wav" for stem in STEMS)]
    head = ",".join(f"{name}_path" for name in ("mix", *STEMS))
    for table, song in (("train", "a"), ("validation", "b")):
        (tmp_path / f"{table}.csv").write_text(f"{head}\n{','.join(paths).format(song)}\n")
    for kind, text in blocks():
        language, _, name = kind.partition(" ")
        if language == "json":
            values = json.loads(text)
            short = {**SMALL, "model": {"params": {"conv_n_filters": [2] * 6}}} if "T" in values else {}
            (tmp_path / name).write_text(json.dumps({**values, **short}))
    for defaults in (compose.FINE_TUNING, compose.FROM_SCRATCH):
        for key, value in SHORT.items():
            monkeypatch.setitem(defaults, key, value)
    return tmp_path


def run(command: str) -> None:
    name, *arguments = shlex.split(re.sub(r"steps=\d+", "steps=2", command))
    result = CliRunner().invoke(APPS[name], arguments)
    assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception!r}"


def test_every_command_of_the_page_runs(place: Path) -> None:
    for command in commands():
        if command.startswith(tuple(APPS)):
            run(command)
    assert read_model("runs/karaoke/model.safetensors").config.stems == ("vocals", "accompaniment")
    assert set(read_model("runs/mine/model.safetensors").card.training_tracks) >= {"b", "c"}
    assert Path("separated/song/vocals.wav").exists()
    assert Path("scores/mine").is_dir()


@pytest.mark.slow
def test_every_command_that_starts_other_programs_runs(place: Path) -> None:
    """`torchrun` and `tensorboard`; the latter ends after a look instead of serving for ever."""
    run("stemwise train tiny.json -o runs/tiny")
    others = [command for command in commands() if not command.startswith(tuple(APPS))]
    assert [command.split()[0] for command in others] == ["tensorboard", "torchrun"]
    for command in others:
        name, *arguments = shlex.split(command)
        module = {"torchrun": "torch.distributed.run", "tensorboard": "tensorboard.main"}[name]
        inspect = ["--inspect"] if name == "tensorboard" else []
        line = [sys.executable, "-m", module, *arguments, *inspect]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert Path("runs/two/model.safetensors").exists()


def test_values_and_files_that_the_page_names_are_there() -> None:
    from stemwise.train.compose import complete

    text = PAGE.read_text(encoding="utf-8")
    config = complete(json.loads(next(block for kind, block in blocks() if kind == "json tiny.json")), [])
    sections = config.to_dict()
    for section, key in re.findall(r"`(\w+)\.(\w+)(?:=\w+)?`", text):
        if section in sections and key != "safetensors":
            assert key in sections[section], f"{section}.{key}"
    for name in re.findall(r"`((?:src|recipes)/[\w./-]+)`", text):
        assert (PAGE.parents[1] / name).exists(), name
