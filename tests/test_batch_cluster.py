"""A real Ray cluster of several nodes on this machine."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from audio_files import write_long_song, write_wav
from conftest import song
from random_models import stemwise_like
from stemwise.batch import cluster
from stemwise.batch.cluster import ClusterExecutor
from stemwise.batch.local import Executor, LocalExecutor
from stemwise.batch.song import Job, Outcome
from stemwise.checkpoint import save_model
from stemwise.errors import ConfigError
from stemwise.journal import Journal, Row
from stemwise.worker import Task

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own: of files and sockets that it leaves to the end
]
STEMS = ("vocals", "drums", "bass", "other")
PATIENCE_S = 400.0  # a node takes seconds to start, and a minute on a machine that has much to do
NODE = {"object_store_memory": 80 << 20, "memory": 4 << 30}
QUICK = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 4,
}


def new_cluster() -> Any:
    """A cluster whose head does no work; add nodes to it."""
    made = pytest.importorskip("ray.cluster_utils").Cluster()
    add_node(made, num_cpus=0, include_dashboard=False, _system_config=QUICK)
    return made


def add_node(nodes: Any, **options: Any) -> Any:
    """Ray gives up a node that has not started after 30 s; it is tried three times."""
    for tries_left in (2, 1, 0):
        try:
            return nodes.add_node(wait=False, **NODE, **options)
        except Exception:  # Ray has no narrower one
            if not tries_left:
                raise


@pytest.fixture
def nodes() -> Iterator[Any]:
    made = new_cluster()
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(stemwise_like(), path)
    return str(path)


def job(model: str, source: Path, root: Path) -> Job:
    root.mkdir(exist_ok=True)
    name = source.stem
    paths = {stem: str(root / name / f"{stem}.wav") for stem in STEMS}
    return Job(
        task=Task(id=name, source=str(source), paths=paths, model=model, precision="float32"), root=str(root)
    )


def songs(folder: Path, n: int) -> list[Path]:
    return [write_wav(folder / f"{k:02}.wav", song(400_000 + 1000 * k)) for k in range(n)]


def run(
    executor: Executor, jobs: list[Job], then: Callable[[list[Outcome]], None] = lambda done: None
) -> list[Outcome]:
    """Do jobs as a driver does; `then` is called with what is done after every poll."""
    waiting, done, until = list(jobs), [], time.monotonic() + PATIENCE_S
    under_way = 0
    while len(done) < len(jobs):
        assert time.monotonic() < until, f"{len(done)} of {len(jobs)} songs are done"
        while waiting and under_way < executor.slots:
            executor.submit(waiting.pop(0))
            under_way += 1
        ended = [event for event in executor.poll(0.2) if isinstance(event, Outcome)]
        under_way -= len(ended)
        done += ended
        then(done)
    return done


def wait_for_slots(executor: ClusterExecutor, n: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while executor.slots < n:
        assert time.monotonic() < until
        executor.poll(0.2)


def digests(outcomes: list[Outcome]) -> dict[str, dict[str, str]]:
    assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
    found = {
        outcome.id: {stem: output["sha256"] for stem, output in outcome.outputs.items()}
        for outcome in outcomes
    }
    assert len(found) == len(outcomes), "a song was done twice"
    return found


def children() -> set[int]:
    """Worker processes below this one, wherever they stand in the tree."""
    parents, wanted = {}, set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if b"spawn_main" in (path / "cmdline").read_bytes():
                wanted.add(int(path.name))
        except (FileNotFoundError, ProcessLookupError):
            continue

    def is_below(pid: int) -> bool:
        while pid > 1:
            if pid == os.getpid():
                return True
            pid = parents.get(pid, 0)
        return False

    return {pid for pid in wanted if is_below(pid)}


def test_a_killed_node_costs_no_song_and_the_stems_are_those_of_one_process(
    nodes: Any, model: str, tmp_path: Path
) -> None:
    inputs = songs(tmp_path, 24)
    local = LocalExecutor(["cpu"], threads=1)
    expected = digests(run(local, [job(model, path, tmp_path / "one process") for path in inputs]))
    local.stop()
    first, *_ = [add_node(nodes, num_cpus=1) for _ in range(3)]
    executor = ClusterExecutor(nodes.address, root=str(tmp_path))
    seen: set[int] = set()

    def kill(done: list[Outcome]) -> None:
        nonlocal first
        seen.update(children())
        if len(done) >= 6 and first is not None:
            nodes.remove_node(first, allow_graceful=False)
            first = None

    try:
        wait_for_slots(executor, 3)
        found = digests(run(executor, [job(model, path, tmp_path / "out") for path in inputs], kill))
        assert executor.n_lost == 1
    finally:
        executor.stop()
    assert found == expected
    assert [path for path in tmp_path.rglob("*") if ".part" in path.name] == []
    assert len(seen) >= 3
    until = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in seen) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in seen), "a worker outlived its cluster"


def test_an_idle_seat_takes_what_another_has_fetched_ahead(nodes: Any, model: str, tmp_path: Path) -> None:
    for _ in range(2):
        add_node(nodes, num_cpus=1)
    executor = ClusterExecutor(nodes.address, root=str(tmp_path), ahead=1)
    paths = [write_long_song(tmp_path / "long.wav", minutes=12), *songs(tmp_path, 3)]
    try:
        wait_for_slots(executor, 4)
        run(executor, [job(model, path, tmp_path / "warm") for path in paths[1:]])
        done = run(executor, [job(model, path, tmp_path / "out") for path in paths])
    finally:
        executor.stop()
    assert digests(done)
    assert done[-1].id == "long", "a short song waited behind the long one"


def test_a_new_node_is_used_and_a_song_that_costs_three_seats_is_given_up(
    nodes: Any, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "COUNT_S", 0.5)
    executor = ClusterExecutor(nodes.address, root=str(tmp_path))
    assert executor.slots == 1  # it takes a song even before there is a seat
    add_node(nodes, num_cpus=1)
    source = write_long_song(tmp_path / "long.wav", minutes=12)

    def kill(_: list[Outcome]) -> None:
        for place in executor._places:
            if place.jobs and place.host is not None:
                executor._ray.kill(place.actor)

    try:
        (outcome,) = run(executor, [job(model, source, tmp_path / "out")], kill)
        assert (outcome.id, outcome.passing) == ("long", True)
        assert "its worker was lost 3 times" in outcome.error
        assert digests(run(executor, [job(model, path, tmp_path / "out") for path in songs(tmp_path, 2)]))
    finally:
        executor.stop()


def test_what_a_cluster_must_have_is_told_in_a_line(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"there is no Ray cluster at .127\.0\.0\.1:1."):
        ClusterExecutor("127.0.0.1:1", root=str(tmp_path))
    add_node(nodes, num_cpus=1)
    for root, version, message in (
        (str(tmp_path / "elsewhere"), cluster.__version__, "has no folder .*elsewhere"),
        (str(tmp_path), "0.0.0", "has stemwise .*, this is 0.0.0"),
    ):
        monkeypatch.setattr(cluster, "__version__", version)
        executor = ClusterExecutor(nodes.address, root=root)
        with pytest.raises(ConfigError, match=message):
            run(executor, [Job(task=Task(id="a", source="a", paths={}), root=root)])
        executor.stop()


def test_where_there_is_no_room_it_says_what_lacks_and_does_not_wait_for_ever(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "COUNT_S", 0.2)
    add_node(nodes, num_cpus=2)
    told: list[str] = []
    executor = ClusterExecutor(nodes.address, root=str(tmp_path), n_workers=3, tell=told.append)
    executor.stop()
    executor = ClusterExecutor(nodes.address, root=str(tmp_path), gpus=0.25, tell=told.append)
    for _ in range(3):
        executor.poll(0.3)
    assert told == [
        "the cluster has room for 2 of 3 workers now; the others wait for more",
        "no node of the cluster has the 0.25 GPU that each worker needs; waiting for one that has",
    ]
    monkeypatch.setattr(cluster, "ROOM_S", 0.0)
    with pytest.raises(ConfigError, match=r"^no node of the cluster has the 0\.25 GPU that each worker"):
        run(executor, [Job(task=Task(id="a", source="a", paths={}), root=str(tmp_path))])
    executor.stop()
    with pytest.raises(ConfigError, match=r"^this machine has not the 999 CPU that each worker needs: see"):
        ClusterExecutor("local", root=str(tmp_path), threads=999)
    assert not executor._ray.is_initialized()


def start(folder: Path, output: Path, model: str, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "stemwise", "batch", "run", str(folder), "-o", str(output), "-p", model]
    command += ["--precision", "float32", "--quiet", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def rows(output: Path) -> dict[str, Row]:
    if not (output / "batch.sqlite").exists():
        return {}
    with Journal(output / "batch.sqlite") as journal:
        return {row.id: row for row in journal.rows("batch", ["done"])}


def kill_all(cluster: Any) -> None:
    """The whole cluster at once, without a word."""
    for node in cluster.list_all_nodes():
        node.kill_all_processes(check_alive=False, allow_graceful=False)


def test_after_the_whole_cluster_was_killed_the_same_command_goes_on(
    model: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder, output = tmp_path / "songs", tmp_path / "out"
    inputs = [write_long_song(folder / f"{k:02}.wav", minutes=1, seed=k) for k in range(16)]
    first = new_cluster()
    request.addfinalizer(lambda: kill_all(first))
    for _ in range(2):
        add_node(first, num_cpus=1)
    with start(folder, output, model, "--ray", first.address) as command:
        until = time.monotonic() + PATIENCE_S
        while len(rows(output)) < 5:
            assert command.poll() is None, command.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.05)
        kill_all(first)
        assert command.wait(PATIENCE_S) == 1
        assert "is gone: the same command goes on once it is back" in command.stderr.read()
    kept = rows(output)
    assert 5 <= len(kept) < len(inputs)
    second = new_cluster()
    add_node(second, num_cpus=1)
    try:
        with start(folder, output, model, "--ray", second.address) as command:
            assert command.wait(PATIENCE_S) == 0, command.stderr.read()
    finally:
        second.shutdown()
    found = rows(output)
    assert len(found) == len(inputs)
    assert {id: found[id].ended for id in kept} == {id: row.ended for id, row in kept.items()}, "done twice"
    with start(folder, tmp_path / "one process", model, "--workers", "1", "--threads", "1") as command:
        assert command.wait(PATIENCE_S) == 0, command.stderr.read()
    alone = rows(tmp_path / "one process")
    for id, row in found.items():
        for stem, output_file in row.outputs.items():
            assert output_file["sha256"] == alone[id].outputs[stem]["sha256"]
