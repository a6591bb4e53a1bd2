"""Room for workers, reckoned without a cluster."""

import pytest

from stemwise.batch.room import room_for, what_lacks

GIB = 2.0**30
NODES = [{"CPU": 16.0, "memory": 8 * GIB}, {"CPU": 4.0, "GPU": 2.0, "memory": 64 * GIB}, {"CPU": 0.0}]


@pytest.mark.parametrize(
    ("cpus", "gpus", "memory", "room", "lack"),
    [
        (1, 0, 1, 8 + 4, ""),
        (3, 0, 1, 5 + 1, ""),
        (1, 0.25, 1, 4, ""),
        (0.1, 0.1, 1, 20, ""),
        (1, 4, 1, 0, "4 GPU"),
        (32, 0, 128, 0, "32 CPU and 128 GiB of memory"),
        (8, 1, 1, 0, "8 CPU and 1 GPU and 1 GiB of memory"),
    ],
)
def test_every_worker_lies_on_one_node(cpus: float, gpus: float, memory: float, room: int, lack: str) -> None:
    needs = {"CPU": cpus, "GPU": gpus, "memory": memory * GIB}
    assert room_for(needs, NODES) == room
    if room == 0:
        assert what_lacks(needs, NODES) == lack
