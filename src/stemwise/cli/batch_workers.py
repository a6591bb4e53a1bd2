"""Who separates the songs of a batch: worker processes on this machine, or seats on a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from stemwise.errors import ConfigError

if TYPE_CHECKING:
    from stemwise.batch.local import Executor
    from stemwise.batch.settings import ModelFacts, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """What was asked for.

    Attributes:
        n: at a time; None to choose.
        threads: of each; None to choose.
        ray: address of a cluster; None for this machine.
        gpus: of each on a cluster.
    """

    n: int | None = None
    threads: int | None = None
    ray: str | None = None
    gpus: float = 0.0

    def settle(self, settings: "Settings") -> "Settings":
        """The settings with the device that a cluster's workers are given.

        Raises:
            ConfigError: if both name a device, and another one, or no cluster can be at the address.
        """
        if self.ray is None:
            if self.gpus:
                raise ConfigError("--gpus is for the workers of a cluster: name it with --ray")
            return settings
        from stemwise.batch.address import check_address

        check_address(self.ray)
        given = "cuda" if self.gpus else "cpu"
        if settings.device not in ("auto", given):
            wanted = "leave out --gpus" if self.gpus else "say how many GPUs each worker has, with --gpus"
            raise ConfigError(f"--device is {settings.device}, the cluster's workers have {given}: {wanted}")
        # What `auto` means on a GPU is asked there: this machine may have none.
        return settings if self.gpus else replace(settings, device="cpu")

    def choose(self, facts: "ModelFacts") -> tuple[list[str], int]:
        """The devices that are known now, and the threads of each."""
        from stemwise.batch.machine import choose_workers

        if self.ray is None:
            return choose_workers(facts, self.n, self.threads)
        return ["cuda" if self.gpus else "cpu"] * (self.n or 1), self.threads or 1

    def precision(self, facts: "Mapping[str, ModelFacts]") -> dict[str, str]:
        """What `auto` comes to, where this machine can tell."""
        return {} if self.gpus else {name: fact.precision for name, fact in facts.items()}

    def executor(self, root: str, devices: list[str], threads: int) -> "Executor":
        """Get them ready, and one job more for each.

        Its next song is at hand for a worker while the last one is hashed, sent and written down.
        """
        if self.ray is not None:
            from stemwise.batch.cluster import ClusterExecutor

            return ClusterExecutor(
                self.ray,
                root=root,
                n_workers=self.n,
                threads=threads,
                gpus=self.gpus,
                ahead=1,
                tell=lambda text: typer.echo(f"note: {text}", err=True),
            )
        from stemwise.batch.local import LocalExecutor

        return LocalExecutor(devices, threads=threads, ahead=len(devices))
