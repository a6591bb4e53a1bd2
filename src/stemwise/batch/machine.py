"""What this machine has: cores, memory, room on its disks; and how many workers that makes."""

import os
import platform
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

from stemwise.batch.settings import ModelFacts

# A worker on a processor, at most, of either model that comes with the package: see benchmarks/README.md.
WORKER_BYTES = 1 << 30


def n_cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """That is free, or would be if the system's caches gave way."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024


def largest_child_bytes() -> int:
    """The most memory that a child process ever had, of those that have ended."""
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def free_bytes(folder: Path) -> int:
    """On the disk of a folder that there may not be yet."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def choose_workers(facts: ModelFacts, workers: int | None, threads: int | None) -> tuple[list[str], int]:
    """The device of every worker, and its threads: one worker per GPU, or one per core that memory holds.

    Args:
        facts: of the model.
        workers: how many are asked for; None to choose.
        threads: likewise, of each.
    """
    if facts.device.startswith("cuda"):
        devices = [f"cuda:{n}" for n in range(facts.n_devices)] if facts.n_devices > 1 else [facts.device]
    elif facts.device == "cpu":
        devices = ["cpu"] * max(1, min(n_cores(), memory_bytes() // WORKER_BYTES))
    else:
        devices = [facts.device]
    if workers is not None:
        devices = [devices[n % len(devices)] for n in range(workers)]
    return devices, threads if threads is not None else max(1, n_cores() // len(devices))


def host() -> dict[str, Any]:
    """This machine, for those who want to know where a result was made."""
    return {
        "name": platform.node(),
        "system": platform.platform(terse=True),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": n_cores(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
