"""Room for workers on the nodes of a cluster: how much there is, and what is missing where there is none."""

from collections.abc import Mapping, Sequence

# What Ray calls a resource, what we do, and how much of Ray's makes one of ours.
UNITS = {"CPU": ("CPU", 1.0), "GPU": ("GPU", 1.0), "memory": ("GiB of memory", 2.0**30)}
Resources = Mapping[str, float]


def room_for(needs: Resources, nodes: Sequence[Resources]) -> int:
    """How many workers, each on one node, the nodes hold.

    Args:
        needs: of each worker, by Ray's names; what it needs 0 of does not count.
        nodes: all that each of them has, used or not.
    """
    wanted = {name: need for name, need in needs.items() if need}
    return sum(
        int(min(node.get(name, 0.0) / need + 1e-9 for name, need in wanted.items()))  # 1 / 0.1 may be 9.99…
        for node in nodes
    )


def what_lacks(needs: Resources, nodes: Sequence[Resources]) -> str:
    """What no node has enough of for one worker: `0.25 GPU`; all of it if only no node has it together."""
    lacking = [name for name, need in needs.items() if all(node.get(name, 0.0) < need for node in nodes)]
    amounts = [(needs[name], *UNITS[name]) for name in lacking or needs if needs[name]]
    return " and ".join(f"{need / one:g} {unit}" for need, unit, one in amounts)
