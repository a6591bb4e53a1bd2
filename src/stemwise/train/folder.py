"""The folder of a run: all that is needed to go on with it, to judge it, and to make it again.

    config.json          the run, complete
    environment.json     versions, processor and devices, the recipe's commit; again whenever it was resumed
    metrics.jsonl        loss, learning rate and speed every few steps; SDR at every validation
    state.safetensors    all that changes from step to step: what `--resume` reads
    model.safetensors    the model to use: the best so far by validation; the newest where no held-out
                         song has a stem that is heard
    last.safetensors     the model after the last step that was saved
    kept/step-N          every so many steps, if the configuration says so
    curves.png           drawn at the end, if matplotlib is there
    tensorboard/         if tensorboard is there

Every file is replaced whole or not at all.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from stemwise import __version__
from stemwise.checkpoint import Model, save_model
from stemwise.errors import ConfigError
from stemwise.replacing import replacing
from stemwise.train.config import TrainConfig

LIBRARIES = ("torch", "numpy", "av", "soundfile", "safetensors")


class RunFolder:
    """Names and writing; what it writes is made elsewhere."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / "state.safetensors"
        self.model = path / "model.safetensors"
        self.last = path / "last.safetensors"
        self.config = path / "config.json"
        self.environment = path / "environment.json"
        self.metrics = path / "metrics.jsonl"
        self.curves = path / "curves.png"
        self.tensorboard = path / "tensorboard"

    def begin(self, config: TrainConfig, facts: Mapping[str, Any], *, step: int) -> None:
        """Write what is known before the first step, or before going on after `step` steps.

        Of the metrics, lines of later steps are dropped: they will be made again.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        _write_text(self.config, json.dumps(config.to_dict(), indent=2) + "\n")
        known = step and self.environment.exists()
        sessions = json.loads(self.environment.read_text(encoding="utf-8")) if known else []
        sessions.append({"from_step": step, **facts})
        _write_text(self.environment, json.dumps(sessions, indent=2) + "\n")
        lines = [line for line in self.read_metrics() if line["step"] <= step] if step else []
        _write_text(self.metrics, "".join(json.dumps(line) + "\n" for line in lines))

    def check_resumed(self, config: TrainConfig) -> None:
        """See that a run can go on as this configuration describes it.

        Raises:
            ConfigError: if its optimizer is another one: what that has learnt of the weights is in the state.
        """
        try:
            kind = json.loads(self.config.read_text(encoding="utf-8"))["optimizer"]["kind"]
        except (OSError, ValueError, KeyError):  # nothing to compare with
            return
        if config.optimizer.kind != kind:
            raise ConfigError(
                f"optimizer.kind is {config.optimizer.kind!r}: a run that is resumed keeps its own,"
                f" {kind!r} in {self.path}"
            )

    def log(self, values: Mapping[str, Any]) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": moment, **values}) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Every line; the last one may have been cut in two by a power cut, and is left out then."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8").splitlines()
        whole = lines if not lines or _is_json(lines[-1]) else lines[:-1]
        return [json.loads(line) for line in whole]

    def keep(self, model: Model, step: int) -> None:
        (self.path / "kept").mkdir(exist_ok=True)
        save_model(model, self.path / "kept" / f"step-{step:07}.safetensors")

    def draw_curves(self) -> None:
        if find_spec("matplotlib") is not None:
            from stemwise.plots.curves import save_curves

            save_curves(self.read_metrics(), self.curves, title=self.path.name)


def environment(recipe: Path | None, devices: int, device: torch.device, precision: str) -> dict[str, Any]:
    """What the numbers of a run belong to. No paths, no names of people or machines.

    Args:
        recipe: the file that described the run, if one did: the state of its repository is noted.
        devices: how many processes there are.
        device: that this one computes on.
        precision: of the network.
    """
    return {
        "stemwise": __version__,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in LIBRARIES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "n_cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processes": devices,
        "precision": precision,
        "recipe": None if recipe is None else _git_state(recipe),
    }


def _git_state(recipe: Path) -> dict[str, Any] | None:
    """Commit of the repository that a file lies in, and whether anything differs; None if it is in none."""
    commit = _git(recipe, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(recipe, "status", "--porcelain", "--untracked-files=no")
    name = _git(recipe, "ls-files", "--full-name", "--", recipe.name)
    return {"file": name or recipe.name, "is_tracked": bool(name), "commit": commit, "changed": bool(changes)}


def _git(file: Path, *arguments: str) -> str | None:
    command = ("git", "-C", str(file.resolve().parent), *arguments)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())
