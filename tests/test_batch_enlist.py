import os
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from batches import FACTS, FakeExecutor, driver, examined, failed, listed, write_songs
from stemwise.batch import storage
from stemwise.batch.catalogue import Entry, read_catalogue
from stemwise.batch.enlist import enlist, examine, stems_of
from stemwise.batch.settings import Settings
from stemwise.batch.song import Job, Outcome, stamp_of
from stemwise.errors import ConfigError
from stemwise.journal import Journal
from stemwise.outputs import OutputFormat


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    return write_songs(tmp_path / "music", "a/one.wav", "two.wav", seconds=2.0)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def journal(songs: Path, output: Path) -> Journal:
    """Of a catalogue that is done."""
    with Journal(output / "batch.sqlite") as opened:
        listed(opened, songs, output)
        driver(opened, output).run()
        yield opened


def again(journal: Journal, songs: Path, output: Path, **options: object) -> list[str]:
    return sorted(row.id for row in examined(journal, songs, output, **options).todo)  # type: ignore[arg-type]


def test_stems_lie_where_the_song_was_found(journal: Journal) -> None:
    row = journal.get("a/one.wav")
    assert row is not None
    assert {stem: found["path"] for stem, found in row.outputs.items()} == {
        "vocals": "a/one/vocals.wav",
        "other": "a/one/other.wav",
    }
    assert row.model_sha256 == FACTS.sha256
    assert row.details["header"]["duration_s"] == 2.0


def test_what_is_done_is_left_alone(journal: Journal, songs: Path, output: Path) -> None:
    assert again(journal, songs, output) == []
    os.utime(songs / "two.wav", (1, 1))
    assert again(journal, songs, output) == []


def test_other_parameters_or_other_weights_are_made_anew(journal: Journal, songs: Path, output: Path) -> None:
    both = ["a/one.wav", "two.wav"]
    flac = OutputFormat(codec="flac")
    for settings in (Settings(output_format=flac), Settings(mwf=True), Settings(offset_s=0.5)):
        assert again(journal, songs, output, settings=settings) == both
    assert again(journal, songs, output, facts=replace(FACTS, sha256="b" * 64)) == both
    assert again(journal, songs, output, facts=replace(FACTS, precision="bfloat16", device="cuda")) == []


def test_stems_that_have_gone_are_made_anew(journal: Journal, songs: Path, output: Path) -> None:
    (output / "two/vocals.wav").unlink()
    assert again(journal, songs, output) == ["two.wav"]
    (output / "two/vocals.wav").write_text("cut")
    assert again(journal, songs, output) == ["two.wav"]
    os.utime(songs / "two.wav", (1, 1))
    assert again(journal, songs, output) == ["two.wav"]


def test_stems_of_a_changed_input_are_made_anew_once(journal: Journal, songs: Path, output: Path) -> None:
    data = bytearray((songs / "two.wav").read_bytes())
    data[-1] = 1
    (songs / "two.wav").write_bytes(data)
    os.utime(songs / "two.wav", (1, 1))
    assert again(journal, songs, output) == ["two.wav"]
    write_songs(songs, "two.wav", seconds=3.0)
    listed(journal, songs, output)
    driver(journal, output).run()
    assert again(journal, songs, output) == []


def test_a_catalogue_may_move(journal: Journal, songs: Path, output: Path, tmp_path: Path) -> None:
    moved = output.rename(tmp_path / "elsewhere")
    elsewhere = songs.rename(tmp_path / "library")
    with Journal(moved / "batch.sqlite") as opened:
        assert listed(opened, elsewhere, moved).todo == []
        row = opened.get("two.wav")
        assert row is not None
        assert row.source == str(elsewhere / "two.wav")


def test_a_bad_song_is_tried_again_when_it_has_changed(songs: Path, output: Path) -> None:
    with Journal(output / "batch.sqlite") as journal:
        listed(journal, songs, output)
        driver(journal, output, FakeExecutor(lambda job: failed(job, "no audio"))).run()
        assert again(journal, songs, output) == []
        write_songs(songs, "two.wav", seconds=3.0)
        assert again(journal, songs, output) == ["two.wav"]


def test_what_waits_in_the_journal_is_still_to_do(songs: Path, output: Path) -> None:
    with Journal(output / "batch.sqlite") as journal:
        listed(journal, songs, output)
        journal.claim("somebody", "batch")
        assert again(journal, songs, output) == ["a/one.wav", "two.wav"]


def test_what_waits_for_weights_that_are_gone_is_to_be_named_again(songs: Path, output: Path) -> None:
    with Journal(output / "batch.sqlite") as journal:
        listed(journal, songs, output)
        other = replace(FACTS, sha256="b" * 64)
        known = {row.id: row for row in journal.rows("batch")}
        with pytest.raises(ConfigError, match=r"'a/one\.wav' waits for stemwise:4stems with other weights"):
            examine(known, [], Settings(), {FACTS.name: other}, str(output))
        assert len(examine(known, [], Settings(), {FACTS.name: FACTS}, str(output)).waiting) == 2
        listed(journal, songs, output, facts=other)
        queued = journal.rows("batch", ["queued"])
        assert [row.parameters["model_sha256"] for row in queued] == ["b" * 64, "b" * 64]


def test_two_catalogues_do_not_share_stems(journal: Journal, output: Path, tmp_path: Path) -> None:
    other = write_songs(tmp_path / "other", "TWO.aiff")
    with pytest.raises(ConfigError, match=r"TWO\.aiff would be written over the stems of 'two\.wav', a song"):
        examined(journal, other, output)


def test_a_new_song_gets_no_place_that_an_old_one_keeps(tmp_path: Path, output: Path) -> None:
    songs = write_songs(tmp_path / "music", "a.mp3", "a.wav")
    with Journal(output / "batch.sqlite") as journal:
        listed(journal, songs, output)
        driver(journal, output).run()
        assert (output / "a.mp3/vocals.wav").exists()  # in a folder of its own, of two that go by `a`
        (songs / "a.wav").unlink()
        assert again(journal, songs, output) == []
        write_songs(songs, "a.mp3.wav")
        with pytest.raises(ConfigError, match=r"a\.mp3\.wav would be written over the stems of 'a\.mp3'"):
            listed(journal, songs, output)
        made = listed(journal, songs, output, settings=Settings(output_format=OutputFormat(codec="flac")))
        assert [row.id for row in made.todo] == ["a.mp3", "a.mp3.wav"]


def test_an_output_stays_below_its_folder(songs: Path, output: Path) -> None:
    with Journal(output / "batch.sqlite") as journal:
        for template in ("/tmp/{filename}/{stem}.{codec}", "../{filename}/{stem}.{codec}"):
            with pytest.raises(ConfigError, match=r"template is .*: it must stay below the output folder"):
                examined(journal, songs, output, Settings(template=template))


def test_each_song_may_have_its_own_model_and_part(tmp_path: Path, output: Path) -> None:
    from stemwise.batch.catalogue import Entry
    from stemwise.batch.enlist import new_rows

    two = replace(FACTS, name="two", stems=("vocals", "accompaniment"), sha256="c" * 64)
    entries = [
        Entry(id="a", source="a.wav", name="a.wav", model="two", offset_s=1.0, duration_s=2.0),
        Entry(id="b", source="b.wav", name="b.wav"),
    ]
    one, other = new_rows(entries, Settings(), {"two": two, FACTS.name: FACTS}, str(output))
    assert list(one.details["paths"]) == ["vocals", "accompaniment"]
    assert list(other.details["paths"]) == ["vocals", "other"]
    wanted = {"model": "two", "model_sha256": "c" * 64, "offset_s": 1.0, "duration_s": 2.0}
    assert one.parameters | wanted == one.parameters
    assert [other.parameters[key] for key in ("offset_s", "duration_s")] == [0.0, None]


def test_a_model_that_was_moved_makes_nothing_anew(journal: Journal, songs: Path, output: Path) -> None:
    def named(name: str) -> list[str]:
        facts = replace(FACTS, name=name)
        found = examined(journal, songs, output, settings=Settings(model=name), facts=facts)
        enlist(journal, found)
        return sorted({row.parameters["model"] for row in journal.rows("batch", ["queued"])})

    assert named("m.safetensors") == ["m.safetensors"]
    assert named("/x/m.safetensors") == ["/x/m.safetensors"]  # where it is to be found now
    driver(journal, output).run()
    assert named("m.safetensors") == []
    assert named("n.safetensors") == ["n.safetensors"]


def test_stems_that_have_gone_are_made_anew_by_the_model_where_it_is_now(songs: Path, output: Path) -> None:
    def found(name: str) -> dict[str, object]:
        options = {"settings": Settings(model=name), "facts": replace(FACTS, name=name)}
        return {row.id: row.parameters["model"] for row in listed(journal, songs, output, **options).todo}

    with Journal(output / "batch.sqlite") as journal:
        assert len(found("/a/m.safetensors")) == 2
        driver(journal, output).run()
        (output / "two/vocals.wav").unlink()
        before = journal.get("two.wav")
        assert found("/b/m.safetensors") == {"two.wav": "/b/m.safetensors"}
        row = journal.claim("somebody", "batch")
        assert before is not None
        assert row is not None
        assert row.parameters["model"] == "/b/m.safetensors"
        assert row.details["header"] == before.details["header"]
        assert row.details["paths"] == before.details["paths"]
        assert set(row.details["earlier"]) == {"two/vocals.wav", "two/other.wav"}


def test_stems_beside_their_songs_are_no_songs(songs: Path) -> None:
    with Journal(songs / "batch.sqlite") as journal:
        for codec, suffix in (("wav", "wav"), ("flac", "flac"), ("mp3", "mp3"), ("mp3", "mp3")):
            listed(journal, songs, songs, settings=Settings(output_format=OutputFormat(codec=codec)))
            driver(journal, songs).run()
            assert [row.id for row in journal.rows("batch")] == ["a/one.wav", "two.wav"]
            assert (songs / f"two/vocals.{suffix}").exists()
        known = {row.id: row for row in journal.rows("batch")}
        catalogue = read_catalogue([str(songs)], output=songs, stems=stems_of(known, str(songs)))
        assert catalogue.notes == (f"{songs}: stems of earlier runs are left out: 12",)


def test_a_song_in_storage_that_has_changed_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def todo(**told: object) -> int:
        entry = Entry(id="a.mp3", source="s3://b/a.mp3", name="a.mp3", **told)  # type: ignore[arg-type]
        known = {row.id: row for row in journal.rows("batch")}
        found = examine(known, [entry], Settings(), {FACTS.name: FACTS}, "s3://b/out")
        enlist(journal, found)
        return len(found.todo)

    def do(**stamp: object) -> None:
        done = Outcome(id="a.mp3", input_sha256="s", stamp=stamp, report={"duration_s": 1.0})
        assert driver(journal, tmp_path, FakeExecutor(lambda _: done)).run().n_done == 1

    content = ["s"]
    monkeypatch.setattr(storage, "sha256", lambda url: content[0])
    with Journal(tmp_path / "j.sqlite") as journal:
        assert todo(n_bytes=9, etag="x") == 1
        do()  # as an older stemwise, which kept no stamp
        assert todo(n_bytes=8, etag="y") == 0
        journal.requeue("batch")
        do(bytes=9, etag="x")
        for same in ({"n_bytes": 9, "etag": "x"}, {"n_bytes": 9, "etag": "copied"}, {"n_bytes": 9}, {}):
            assert todo(**same) == 0
        assert todo(n_bytes=8, etag="x") == 1
        do(bytes=9, etag="x")
        content[0] = "t"
        assert todo(n_bytes=9, etag="y") == 1


def test_another_place_in_storage_is_looked_at(tmp_path: Path, songs: Path) -> None:
    def put(job: Job) -> Outcome:
        for path in job.task.paths.values():
            fsspec.filesystem("memory").pipe(path, b"stem")
        outputs = {stem: {"path": path, "bytes": 4} for stem, path in job.task.paths.items()}
        return Outcome(id=job.task.id, outputs=outputs, stamp=stamp_of(job.task.source))

    def do(root: str) -> int:
        known = {row.id: row for row in journal.rows("batch")}
        entries = read_catalogue([str(songs)]).entries
        enlist(journal, examine(known, entries, Settings(), {FACTS.name: FACTS}, root))
        return driver(journal, tmp_path, FakeExecutor(put), root=root).run().n_done

    with Journal(tmp_path / "j.sqlite") as journal:
        assert do("memory://one") == 2
        fsspec.filesystem("memory").rm("/one/two/vocals.wav")
        assert do("memory://one/") == 0  # nobody asks for what is believed to be there
        assert do("memory://two") == 2
        assert fsspec.filesystem("memory").exists("/two/a/one/vocals.wav")
        assert do("memory://two") == 0
        assert do("memory://one") == 1
