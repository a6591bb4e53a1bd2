"""A child process that separates one song at a time and keeps its model; its parent never loads torch.

The parent submits a `Task` and polls for `Progress`, then one of `Done`, `Failed` and `Crashed`. A process
that is killed, by `cancel`, by somebody else or for its memory, leaves no half-written file behind, and the
next task starts a new one. The child dies with its parent, however that dies.
"""

from stemwise.worker.child import die_with_parent
from stemwise.worker.messages import (
    Crashed,
    Done,
    Failed,
    Measured,
    Message,
    ModelInfo,
    Models,
    Progress,
    Task,
    Trial,
)
from stemwise.worker.pace import LONG_S, SHORT_S, WARM_S, Pace
from stemwise.worker.process import Worker, remove_parts

__all__ = [
    "LONG_S",
    "SHORT_S",
    "WARM_S",
    "Crashed",
    "Done",
    "Failed",
    "Measured",
    "Message",
    "ModelInfo",
    "Models",
    "Pace",
    "Progress",
    "Task",
    "Trial",
    "Worker",
    "die_with_parent",
    "remove_parts",
]
