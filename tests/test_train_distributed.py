"""Two real processes, joined by PyTorch's engine over gloo, as `torchrun` starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stemwise.checkpoint import read_tensors
from stemwise.errors import ConfigError
from stemwise.train import loader, loop
from stemwise.train.config import TrainConfig
from stemwise.train.distributed import processes
from stemwise.train.folder import RunFolder
from stemwise.train.loader import Example
from training import no_extras, one_thread, tiny_run  # noqa: F401

PATIENCE_S = 120.0  # of a busy machine; a quiet one takes 5 s


def start(config: TrainConfig, run: Path, *options: str) -> list[subprocess.Popen[str]]:
    """Both processes of a run, with the environment that `torchrun` gives them."""
    path = run.with_suffix(".json")
    path.write_text(json.dumps(config.to_dict()))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    shared["PYTHONFAULTHANDLER"] = "1"  # a process that aborts says where
    return [
        subprocess.Popen(
            [sys.executable, "-m", "stemwise", "train", str(path), "-o", str(run), *options],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def ends(workers: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit status, output and error output of each."""
    try:
        told = [worker.communicate(timeout=PATIENCE_S) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    return [(worker.returncode, out, err) for worker, (out, err) in zip(workers, told, strict=True)]


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in RunFolder(run).read_metrics() if "loss" in line]


def with_doubled_batch(patch: pytest.MonkeyPatch) -> None:
    """One process whose batch is what two processes hear in the same step."""
    true_example = loader.example

    def example(*args: Any) -> Example:
        *rest, unit = args
        both = [true_example(*rest, 2 * unit + half) for half in range(2)]
        return Example(*(torch.cat([getattr(e, f.name) for e in both]) for f in fields(Example)))

    patch.setattr(loader, "example", example)


def run_of(folder: Path, **changes: Any) -> TrainConfig:
    """Every step is saved."""
    sgd = {"kind": "sgd", "learning_rate": 0.01, "average": 0.5}
    constant = {"kind": "constant", "warmup_steps": 2}
    return tiny_run(folder, steps=20, optimizer=sgd, schedule=constant, saving={"every_s": 0}, **changes)


def same(a: Path, b: Path) -> None:
    """To float rounding: sums over two processes are made in another order."""
    one, two = (read_tensors(run / "last.safetensors") for run in (a, b))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)
    assert losses(a) == pytest.approx(losses(b), rel=1e-4)


def test_two_processes_learn_what_one_does_from_the_doubled_batch_until_one_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where batch norm is inert. What they came to is gone on from, here by one process."""
    config = replace(run_of(tmp_path, batch_norm="inert"), steps=200)
    workers = start(config, tmp_path / "two")
    wait_for(tmp_path / "two" / "state.safetensors")
    workers[1].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    (status, _, error), _ = ends(workers)
    assert time.monotonic() - killed < PATIENCE_S / 2
    assert status == 1
    assert error.count("error: another process of the run is gone") == 1
    assert "--resume" in error
    assert "Traceback" not in error
    done = int(read_tensors(tmp_path / "two" / "state.safetensors")["step"])
    assert 1 <= done < config.steps
    config = replace(config, steps=done + 5)
    with_doubled_batch(monkeypatch)
    loop.train(config, tmp_path / "two", resume=True)
    loop.train(config, tmp_path / "one")
    same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_two_processes_resume_and_end_as_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = run_of(tmp_path, batch_norm="inert")
    for options in (["--set", "steps=10"], ["--resume"]):
        (first, out, error), (second, silent, its_error) = ends(start(config, tmp_path / "two", *options))
        assert (first, second) == (0, 0), error + its_error
        assert "The model is" in out
        assert silent == ""
    with_doubled_batch(monkeypatch)
    loop.train(config, tmp_path / "one")
    same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_two_processes_with_live_batch_norm_differ_a_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each normalises by the statistics of its own half; docs/training.md states the difference."""
    config = run_of(tmp_path, batch_norm="live")
    assert all(status == 0 for status, *_ in ends(start(config, tmp_path / "two")))
    with_doubled_batch(monkeypatch)
    loop.train(config, tmp_path / "one")
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    print(one, two)
    assert one != pytest.approx(two, rel=1e-4)
    assert one == pytest.approx(two, rel=0.1)


def test_the_environment_must_be_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with (
        pytest.raises(ConfigError, match="WORLD_SIZE is 2, but the processes"),
        processes("cpu"),
    ):
        pass


def test_alone_nothing_is_joined() -> None:
    module = torch.nn.Linear(1, 1)
    with processes("cpu") as process:
        assert process.is_first
        assert process.joined(module) is module
        assert (process.mean(0.1), process.from_first(0.1), process.any(True)) == (0.1, 0.1, True)
