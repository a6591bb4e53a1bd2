"""What large catalogues cost and how long they take: by reckoning, and by a simulation (`fleet.py`).

Measured are the costs of the network, of decoding and encoding, and of the journal, on the machine of
docs/performance.md. Assumed are prices, bandwidths, failures, and how fast a GPU is: none was measured.
Prices, bandwidths and the GPU are options. Prints the tables of docs/scale.md; `--plot` draws its picture.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from fleet import Fleet, Outcome, simulate
from measure import table

HOUR_S = 3600.0
N_STEMS = 4
# Measured: core seconds for a second of sound, two cores in the steady state, float32 (docs/performance.md).
NETWORK_S = {"stemwise:4stems": 2 / 60.1, "spleeter:4stems": 2 / 31.8}
# Measured by codecs.py: core seconds and MB for a minute of stereo at 44.1 kHz.
DECODE_S = 0.062
ENCODE_S = {"wav": 0.028, "flac": 0.098, "mp3": 2.261}
MINUTE_MB = {"wav": 10.58, "flac": 5.43, "mp3": 0.96}
INPUT_MB = 2.40  # mp3 of 320 kbit/s
# Measured by journal.py on a journal of 100,000 songs: two transactions a song.
JOURNAL_S = 1 / 772 / 2
START_S = 1.6  # to the first call of the network


@dataclass(frozen=True, slots=True)
class Kind:
    """A worker: `compute_s` for a second of sound, on nodes of so many that cost so much an hour."""

    name: str
    compute_s: float
    per_node: int
    node_price: float
    output_bytes_per_s: float

    def song_s(self, length_s: float) -> float:
        return self.compute_s * length_s


def kind(options: argparse.Namespace, model: str, codec: str, *, on_gpu: bool) -> Kind:
    """The cost of a worker's second of sound: everything on its core, or the network on a share of a GPU."""
    files_s = (DECODE_S + N_STEMS * ENCODE_S[codec]) / 60
    output = N_STEMS * MINUTE_MB[codec] * 1e6 / 60
    if not on_gpu:
        cores = options.cores_per_node
        return Kind(
            f"{model}, {codec}", NETWORK_S[model] + files_s, cores, cores * options.core_price, output
        )
    cores = options.gpu_cores
    # A GPU is shared by its node's cores, each with a worker: it or they are the limit.
    seconds = max(cores / options.gpu_speed, files_s + 1 / options.gpu_speed)
    return Kind(f"GPU, {codec}", seconds, cores, options.gpu_price, output)


def reckoned(options: argparse.Namespace, model: str, codec: str, *, on_gpu: bool, n_songs: int) -> list[str]:
    """One row: worker hours, money, bytes, and what limits how fast it can be."""
    worker = kind(options, model, codec, on_gpu=on_gpu)
    work_s = n_songs * worker.song_s(options.song_s)
    node_hours = work_s / worker.per_node / HOUR_S
    output = n_songs * options.song_s * worker.output_bytes_per_s
    requests = (
        n_songs * N_STEMS * (3 + -(-output / n_songs / N_STEMS // (8 << 20)))
    )  # make, parts, complete, look
    storage = output / 1e9 * options.storage_price
    full = (
        options.storage_gbit * 1e9 / 8 / (worker.output_bytes_per_s + INPUT_MB * 1e6 / 60) * worker.compute_s
    )
    busy = 1 / JOURNAL_S / 2 * worker.song_s(options.song_s)
    return [
        worker.name,
        f"{node_hours:,.0f}",
        f"{node_hours * worker.node_price:,.0f}",
        f"{output / 1e12:,.1f}",
        f"{storage:,.0f}",
        f"{requests / 1000 * options.request_price:,.0f}",
        f"{full:,.0f}",
        f"{busy:,.0f}",
    ]


def fleet(options: argparse.Namespace, worker: Kind, n_seats: int, *, trouble: str) -> Fleet:
    """The simulation of a number of workers of a kind."""
    calm = Fleet(
        n_seats=n_seats,
        n_songs=options.songs_per_worker * n_seats,
        seats_per_node=min(worker.per_node, n_seats),
        song_s=options.song_s,
        input_bytes_per_s=INPUT_MB * 1e6 / 60,
        output_bytes_per_s=worker.output_bytes_per_s,
        compute_per_s=worker.compute_s,
        start_s=START_S,
        storage_bytes_per_s=options.storage_gbit * 1e9 / 8,
        seat_bytes_per_s=options.node_gbit * 1e9 / 8 / worker.per_node,
        latency_s=0.05,
        journal_s=JOURNAL_S,
        seed=options.seed,
    )
    if trouble == "none":
        return calm
    often = {"usual": 24 * HOUR_S, "hard": HOUR_S}[trouble]
    return replace(
        calm,
        node_loss_s=often,
        crash_s=10 * often,
        slow_nodes=0.05,
        bad_songs=0.001,
        failing_transfers=0.001 if trouble == "usual" else 0.01,
    )


def simulated(worker: Kind, plan: Fleet, out: Outcome) -> list[str]:
    ideal = HOUR_S / (plan.song_s * plan.compute_per_s) * plan.n_seats
    return [
        worker.name,
        f"{plan.n_seats}",
        f"{plan.n_songs:,}",
        f"{out.songs_per_hour:,.0f}",
        f"{out.songs_per_hour / ideal:.0%}",
        f"{out.network:.0%}",
        f"{out.driver:.1%}",
        f"{out.n_nodes_lost}",
        f"{out.n_interrupted}",
        f"{out.wasted:.2%}",
        f"{plan.n_songs - out.done - out.bad} / {max(0, out.most_often - 1)}",
        f"{out.tail_s:,.0f}",
    ]


COLUMNS = [
    "worker",
    "workers",
    "songs",
    "songs an hour",
    "of the ideal",
    "storage full",
    "driver",
    "nodes lost",
    "songs begun again",
    "work lost",
    "lost / twice",
    "tail, s",
]


def plot(options: argparse.Namespace, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(11, 4.4), width_ratios=(3, 2), layout="constrained"
    )
    numbers = [10, 20, 50, 100, 200, 500, 1000]
    for codec, colour in zip(ENCODE_S, ("#0072b2", "#009e73", "#d55e00"), strict=True):
        worker = kind(options, "stemwise:4stems", codec, on_gpu=False)
        speeds = [simulate(fleet(options, worker, n, trouble="usual")).songs_per_hour for n in numbers]
        left.loglog(numbers, speeds, "o-", color=colour, label=f"{codec}, simulated")
        ideal = [HOUR_S / worker.song_s(options.song_s) * n for n in numbers]
        left.loglog(numbers, ideal, ":", color=colour, linewidth=1)
    left.plot([], [], "k:", linewidth=1, label="nothing but the workers")
    left.set(xlabel="workers of one core", ylabel="songs of 4 minutes an hour")
    left.set_title(f"stemwise:4stems, storage of {options.storage_gbit:g} Gbit/s", fontsize=11)
    left.grid(which="both", alpha=0.2)
    left.legend(frameon=False)
    parts = {
        "decode": [DECODE_S / 60 * options.song_s] * 3,
        "network": [NETWORK_S["stemwise:4stems"] * options.song_s] * 3,
        "encode": [N_STEMS * seconds / 60 * options.song_s for seconds in ENCODE_S.values()],
    }
    below = [0.0] * 3
    for (name, heights), colour in zip(parts.items(), ("#999999", "#56b4e9", "#e69f00"), strict=True):
        right.bar(list(ENCODE_S), heights, bottom=below, color=colour, label=name, width=0.6)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    right.set(ylabel="core seconds for a song of 4 minutes")
    right.set_title("where they go, by what is written", fontsize=11)
    right.legend(frameon=False, loc="upper left")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--song-s", type=float, default=240.0, help="mean length of a song")
    parser.add_argument("--songs-per-worker", type=int, default=100, help="in the simulation")
    parser.add_argument("--core-price", type=float, default=0.04, help="of a core for an hour, $ (assumed)")
    parser.add_argument("--cores-per-node", type=int, default=16)
    parser.add_argument("--gpu-price", type=float, default=1.0, help="of a GPU with its cores, $/h (assumed)")
    parser.add_argument("--gpu-cores", type=int, default=8, help="beside each GPU (assumed)")
    parser.add_argument(
        "--gpu-speed", type=float, default=1000.0, help="times real time (ASSUMED, never measured)"
    )
    parser.add_argument("--storage-price", type=float, default=0.023, help="$ for a GB and month (assumed)")
    parser.add_argument("--request-price", type=float, default=0.005, help="$ for 1000 writes (assumed)")
    parser.add_argument(
        "--storage-gbit", type=float, default=25.0, help="of all nodes together, Gbit/s (assumed)"
    )
    parser.add_argument("--node-gbit", type=float, default=10.0, help="of a node, Gbit/s (assumed)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help="PNG to draw")
    options = parser.parse_args()
    header = ["", "node hours", "nodes, $", "stems, TB", "storage, $ a month", "writes, $"]
    header += ["workers that fill the storage", "workers that fill one driver"]
    for n_songs in (100_000, 100_000_000):
        print(f"\n{n_songs:,} songs of {options.song_s / 60:g} minutes\n")
        rows = [
            reckoned(options, model, codec, on_gpu=on_gpu, n_songs=n_songs)
            for model, on_gpu in (*((model, False) for model in NETWORK_S), ("stemwise:4stems", True))
            for codec in ENCODE_S
        ]
        print(table(header, rows))
    for trouble in ("none", "usual", "hard"):
        print(f"\nsimulated, trouble: {trouble}\n")
        rows = []
        for codec in ENCODE_S:
            for on_gpu in (False, True) if codec == "flac" else (False,):
                worker = kind(options, "stemwise:4stems", codec, on_gpu=on_gpu)
                for n_seats in (10, 100, 1000):
                    plan = fleet(options, worker, n_seats, trouble=trouble)
                    rows.append(simulated(worker, plan, simulate(plan)))
        print(table(COLUMNS, rows))
    if options.plot is not None:
        plot(options, options.plot)


if __name__ == "__main__":
    main()
