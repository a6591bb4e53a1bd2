import json
import pickle
import pickletools
from collections.abc import Iterator
from pathlib import Path

import pytest

from batches import FACTS, FakeExecutor, driver, examined, failed, listed, write_songs, written
from random_models import stemwise_like
from stemwise.batch.enlist import QUEUE
from stemwise.batch.machine import choose_workers, n_cores
from stemwise.batch.manifest import describe_run, read_runs, write_manifest
from stemwise.batch.plan import Plan, make_plan
from stemwise.batch.report import failures, total, write_csv
from stemwise.batch.settings import Settings, _facts
from stemwise.batch.trial import Speed
from stemwise.batch.verify import Fault, find_faults
from stemwise.checkpoint import save_model
from stemwise.errors import ConfigError
from stemwise.journal import Journal
from stemwise.outputs import OutputFormat
from stemwise.worker import Pace

SPEED = Speed(start_s=4.0, pace=Pace(per_song_s=0.5, per_audio_s=0.1), stem_share=1.0, worker_bytes=1)


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    return write_songs(tmp_path / "music", "a.wav", "b.wav", "c.wav", seconds=2.0)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def journal(songs: Path, output: Path) -> Iterator[Journal]:
    """Of two songs that are done and one that has failed."""

    def answer(job):  # type: ignore[no-untyped-def]
        return failed(job, f"{job.task.source}: no audio") if job.task.id == "b.wav" else written(job)

    with Journal(output / "batch.sqlite") as opened:
        listed(opened, songs, output)
        driver(opened, output, FakeExecutor(answer)).run()
        yield opened


@pytest.mark.parametrize(
    ("codec", "options", "stem_bytes"),
    [
        ("wav", {}, 32_000),
        ("wav", {"bit_depth": 24}, 48_000),
        ("wav", {"stereo": True, "sample_rate": 16000}, 128_000),
        ("flac", {}, 16_000),
        ("mp3", {"bitrate": 64_000}, 16_000),
    ],
)
def test_a_plan_knows_what_stems_will_fill(
    songs: Path, output: Path, codec: str, options: dict[str, object], stem_bytes: int
) -> None:
    settings = Settings(output_format=OutputFormat(codec=codec, **options))  # type: ignore[arg-type]
    with Journal(output / "batch.sqlite") as journal:
        plan = make_plan(examined(journal, songs, output, settings).todo, str(output))
    assert plan.output_bytes == 3 * 2 * stem_bytes
    assert (plan.n_songs, plan.n_unreadable, plan.audio_s, plan.longest_s) == (3, 0, 6.0, 2.0)


def test_only_the_part_that_is_wanted_counts(songs: Path, output: Path) -> None:
    with Journal(output / "batch.sqlite") as journal:
        todo = examined(journal, songs, output, Settings(offset_s=0.5, duration_s=1.0)).todo
        assert make_plan(todo, str(output)).audio_s == 3.0
        todo = examined(journal, songs, output, Settings(offset_s=1.5, duration_s=1.0)).todo
        assert make_plan(todo, str(output)).audio_s == 1.5


def test_a_song_that_cannot_be_read_is_counted(songs: Path, output: Path) -> None:
    (songs / "bad.mp3").write_text("no audio")
    with Journal(output / "batch.sqlite") as journal:
        assert make_plan(examined(journal, songs, output).todo, str(output)).n_unreadable == 1


def test_time_is_shared_by_workers_but_for_the_longest_song() -> None:
    plan = Plan(
        n_songs=11, n_unreadable=1, audio_s=1000.0, longest_s=100.0, output_bytes=0.0, free_bytes=None
    )
    assert plan.wall_s(SPEED, 1) == pytest.approx(4 + 5 + 100)
    assert plan.wall_s(SPEED, 2) == pytest.approx(4 + 105 / 2)
    assert plan.wall_s(SPEED, 100) == pytest.approx(4 + 0.5 + 10)


def test_a_disk_that_is_too_small_is_refused() -> None:
    def plan(free_bytes: int | None) -> Plan:
        return Plan(
            n_songs=1, n_unreadable=0, audio_s=1, longest_s=1, output_bytes=3e9, free_bytes=free_bytes
        )

    plan(4 * 10**9).check_room()
    plan(None).check_room()
    with pytest.raises(ConfigError, match=r"^the stems need 3\.0 GB, 2\.0 GB are free: choose another"):
        plan(2 * 10**9).check_room()


def test_the_facts_of_a_model_need_no_torch_to_be_read(tmp_path: Path) -> None:
    save_model(stemwise_like(), tmp_path / "small.safetensors")
    facts = _facts(Settings(two_stems="vocals"), str(tmp_path / "small.safetensors"))
    assert facts.stems == ("vocals", "accompaniment")
    assert len(facts.sha256) == 64
    names = {name for _, name, _ in pickletools.genops(pickle.dumps(facts)) if isinstance(name, str)}
    assert not [name for name in names if name.startswith("torch.")]


def test_workers_are_cores_or_gpus() -> None:
    from dataclasses import replace

    devices, threads = choose_workers(FACTS, None, None)
    assert (set(devices), len(devices) <= n_cores(), threads >= 1) == ({"cpu"}, True, True)
    assert choose_workers(FACTS, 3, 2) == (["cpu"] * 3, 2)
    gpus = replace(FACTS, device="cuda", n_devices=2)
    assert choose_workers(gpus, None, None)[0] == ["cuda:0", "cuda:1"]
    assert choose_workers(gpus, 3, None)[0] == ["cuda:0", "cuda:1", "cuda:0"]
    assert choose_workers(replace(FACTS, device="cuda:1"), None, None)[0] == ["cuda:1"]


def test_a_report_sums_up_and_names_reasons(journal: Journal, output: Path) -> None:
    rows = journal.rows(QUEUE)
    totals = total(rows)
    assert totals.states == {"done": 2, "failed": 1}
    assert totals.done_s == 2.0
    assert totals.output_bytes == 2 * len("vocalsother")
    assert [(why, [row.id for row in songs]) for why, songs in failures(rows)] == [("no audio", ["b.wav"])]
    write_csv(rows, output / "songs.csv")
    lines = (output / "songs.csv").read_text().splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("b.wav,failed,")
    assert "no audio" in lines[2]


def test_a_table_of_songs_is_written_whole_or_not_at_all(journal: Journal, output: Path) -> None:
    rows = journal.rows(QUEUE)
    table = output / "songs.csv"
    table.write_text("old")

    def broken():  # type: ignore[no-untyped-def]
        yield from rows
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_csv(broken(), table)
    assert table.read_text() == "old"
    assert list(output.glob(".songs*")) == []
    with pytest.raises(OSError, match="No such file") as caught:
        write_csv(rows, output / "nowhere" / "songs.csv")
    assert caught.value.filename == str(output / "nowhere" / "songs.csv")


def test_what_has_changed_on_disk_is_found(journal: Journal, output: Path) -> None:
    rows = journal.rows(QUEUE, ["done"])
    assert list(find_faults(rows, str(output))) == []
    (output / "a/vocals.wav").write_text("vokals")
    (output / "c/other.wav").unlink()
    assert list(find_faults(rows, str(output))) == [
        Fault("a.wav", "vocals", "a/vocals.wav", "changed"),
        Fault("c.wav", "other", "c/other.wav", "missing"),
    ]


def test_a_manifest_holds_every_run_and_song(journal: Journal, output: Path) -> None:
    path = output / "manifest.json"
    for id in ("first", "second", "second"):
        run = describe_run(id, {FACTS.name: FACTS}, command=["run"], devices=["cpu"], threads=1, now=0.0)
        write_manifest(path, journal, run)
    manifest = json.loads(path.read_text())
    assert [run["id"] for run in manifest["runs"]] == ["first", "second"]
    assert manifest["runs"][0]["models"][FACTS.name]["weights_sha256"] == FACTS.sha256
    assert manifest["runs"][0]["started"] == "1970-01-01T00:00:00+00:00"
    assert [song["id"] for song in manifest["songs"]] == ["a.wav", "c.wav"]
    row = journal.get("a.wav")
    assert row is not None
    assert manifest["songs"][0]["input_sha256"] == row.input_sha256
    assert manifest["songs"][0]["outputs"] == row.outputs
    assert [file.name for file in output.glob(".*part")] == []
    path.write_text("{}")
    with pytest.raises(ConfigError, match=r"manifest\.json is no manifest of a batch: move it away$"):
        read_runs(path)
