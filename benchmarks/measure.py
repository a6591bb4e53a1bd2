"""Run a program once and say what it cost: wall time, processor time, peak resident memory.

Linux and macOS. The numbers are the kernel's own, from `wait4`: processor time is that of the process and of
every process that it waited for; peak memory is that of the largest single one of them.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import stemwise

REPOSITORY = Path(__file__).resolve().parent.parent
SPLEETER = REPOSITORY / "benchmarks" / ".spleeter"  # made by spleeter_environment.sh
STEMWISE = (sys.executable, "-m", "stemwise")
QUIET_LOAD = (
    0.5  # running processes, averaged over a minute: above this the machine is busy with something else
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run of a program cost."""

    wall_s: float
    cpu_s: float  # user and system, over all cores
    peak_rss_bytes: int


def run_program(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Cost:
    """Run a program to its end, its output going to `log`.

    The peak cannot read below that of the calling process, which the kernel hands on through `exec`: the
    caller stays small (it renders and compares in blocks).

    Raises:
        SystemExit: if the program fails; with the end of its output.
    """
    with log.open("wb") as output:
        streams = [(os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, output.fileno(), 2)]
        start = time.perf_counter()
        pid = os.posix_spawn(command[0], list(command), environment, file_actions=streams)
        _, status, usage = os.wait4(pid, 0)
        wall_s = time.perf_counter() - start
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise SystemExit(
            f"{' '.join(command)}\nended with status {code}:\n{log.read_text(errors='replace')[-2000:]}"
        )
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, kibibytes on Linux
    return Cost(wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime, peak_rss_bytes=usage.ru_maxrss * unit)


def spleeter_environment() -> dict[str, str]:
    """Return the environment in which both programs find the random weights as `spleeter:4stems`."""
    return {**os.environ, "MODEL_PATH": str(SPLEETER / "models")}


def machine() -> dict[str, Any]:
    """Describe what the numbers belong to: processor, memory, system, versions, commit."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "n_cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "stemwise": stemwise.__version__,
        "versions": {name: version(name) for name in ("torch", "numpy", "av", "soundfile")},
        "spleeter": "2.4.2 on tensorflow 2.12.1" if SPLEETER.exists() else None,
        "commit": _commit(),
    }


def _commit() -> str | None:
    command = ("git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--abbrev=12")
    described = subprocess.run(command, capture_output=True, text=True, check=False)
    return described.stdout.strip() or None


def warn_if_busy() -> None:
    load = os.getloadavg()[0]
    if load > QUIET_LOAD:
        print(
            f"warning: the load average is {load:.1f}; times on a busy machine mean little", file=sys.stderr
        )


def append_json_lines(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table; all columns but the first are right-aligned."""
    ruler = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ruler, *rows])
