import errno
import json
import os
import sys
from pathlib import Path

import pytest

from batches import write_songs
from stemwise.batch import storage
from stemwise.batch.catalogue import COLUMNS, Entry, read_catalogue
from stemwise.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_songs(tmp_path / "music", "a/one.wav", "a/b/two.wav", "three.wav")


def ids(*inputs: object, output: Path | None = None) -> list[str]:
    return [entry.id for entry in read_catalogue([str(text) for text in inputs], output=output).entries]


def test_songs_of_a_folder_go_by_their_paths_below_it(folder: Path) -> None:
    entries = read_catalogue([str(folder)]).entries
    assert [(entry.id, entry.folder, entry.name) for entry in entries] == [
        ("a/b/two.wav", "a/b", "two.wav"),
        ("a/one.wav", "a", "one.wav"),
        ("three.wav", "", "three.wav"),
    ]


def test_stems_of_an_earlier_run_are_no_songs(folder: Path) -> None:
    assert ids(folder, output=folder / "a") == ["three.wav"]


def test_what_is_not_walked_into_is_told_and_a_link_to_nowhere_is_a_song_that_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "gone.mp3").symlink_to("nowhere.mp3")
    (folder / "more").symlink_to("a")
    scan = os.scandir

    def closed(path: str) -> object:
        if Path(path) == folder / "a" / "b":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = read_catalogue([str(folder)])
    assert [entry.id for entry in found.entries] == ["a/one.wav", "gone.mp3", "three.wav"]
    assert found.notes == (
        f"{folder}/more is a link to a folder: its songs are left out",
        f"{folder}/a/b cannot be read (Permission denied): its songs are left out",
    )
    assert ids(folder / "*.*") == ["gone.mp3", "three.wav"]


def test_a_name_that_is_no_text_is_refused(folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    (folder / name).touch()
    message = r"caf\\xe9\.wav: a path must be UTF-8 text: rename it$"
    with pytest.raises(ConfigError, match=message):
        ids(folder)


def test_a_folder_whose_path_is_no_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "a.wav").touch()
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError, match=r"caf\\xe9/a\.wav: a path must be UTF-8 text: rename it$"):
        read_catalogue(["a.wav"])


def test_patterns_match_any_folders(folder: Path) -> None:
    assert ids(folder / "**" / "*.wav") == ["a/b/two.wav", "a/one.wav", "three.wav"]
    assert ids(folder / "a" / "*.wav") == ["one.wav"]
    with pytest.raises(ConfigError, match=r"^pattern '.*\*\.mp3' matches no audio file$"):
        ids(folder / "*.mp3")


def test_a_file_goes_by_the_path_it_was_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert ids("a/one.wav", "three.wav", "missing.wav") == ["a/one.wav", "three.wav", "missing.wav"]


def test_of_two_folders_the_same_name_may_come_from_each(tmp_path: Path) -> None:
    for name in ("x", "y"):
        write_songs(tmp_path / name, "01.wav")
    assert ids(tmp_path / "x", tmp_path / "y") == ["x/01.wav", "y/01.wav"]


ROWS = [
    {"path": "a/one.wav"},
    {"path": "a/one.wav", "id": "chorus", "offset": 30, "duration": 12.5, "model": "spleeter:2stems"},
    {"path": "https://host/x%20y.mp3?k=1", "id": "set/remote 1.5"},
    {"path": "s3://bucket/a/b.mp3"},
]
ENTRIES = [
    {"id": "a/one.wav", "folder": "a", "name": "one.wav"},
    {"id": "chorus", "name": "chorus.wav", "offset_s": 30.0, "duration_s": 12.5, "model": "spleeter:2stems"},
    {"id": "set/remote 1.5", "folder": "set", "name": "remote 1.5.mp3"},
    {"id": "s3://bucket/a/b.mp3", "name": "b.mp3"},
]


def write_manifest(path: Path, kind: str) -> Path:
    path = path / f"songs.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps(row | {"artist": "x"}) for row in ROWS) + "\n\n", "utf-8")
    elif kind in ("csv", "tsv"):
        keys = ("path", "id", "offset", "duration", "model", "artist")
        mark = "," if kind == "csv" else "\t"
        lines = [keys, *([str(row.get(key, "")) for key in keys] for row in ROWS)]
        path.write_text("\ufeff" + "\n".join(mark.join(line) for line in lines), "utf-8")
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        table = pyarrow.Table.from_pylist([dict.fromkeys(COLUMNS) | {"artist": "x"} | row for row in ROWS])
        parquet.write_table(table, path)
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_manifests_of_every_kind_say_the_same(tmp_path: Path, kind: str) -> None:
    path = write_manifest(tmp_path, kind)
    catalogue = read_catalogue([str(path)])
    sources = [*[str(tmp_path / "a/one.wav")] * 2, *(row["path"] for row in ROWS[2:])]
    expected = [Entry(source=source, **given) for source, given in zip(sources, ENTRIES, strict=True)]  # type: ignore[arg-type]
    assert list(catalogue.entries) == expected
    assert catalogue.notes == (f"{path}: columns that mean nothing here: artist",)


def test_a_manifest_in_storage_is_read_as_one_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(url: str, folder: Path) -> Path:
        path = folder / storage.file_name(url)
        path.write_text(text)
        return path

    text = "path,artist\na/one.wav,x\n../two.wav,x\n/music/three.wav,x\ns3://c/four.wav,x"
    monkeypatch.setattr(storage, "fetch", fetch)
    catalogue = read_catalogue(["s3://b/lists/new.csv"])
    assert [(entry.id, entry.source) for entry in catalogue.entries] == [
        ("a/one.wav", "s3://b/lists/a/one.wav"),
        ("../two.wav", "s3://b/two.wav"),
        ("/music/three.wav", "/music/three.wav"),
        ("s3://c/four.wav", "s3://c/four.wav"),
    ]
    assert catalogue.notes == ("s3://b/lists/new.csv: columns that mean nothing here: artist",)
    text = "path,id\na.wav,x,y"
    with pytest.raises(ConfigError, match=r"^https://h/new\.csv\?key=1, line 2: has more fields"):
        read_catalogue(["https://h/new.csv?key=1"])


def test_parquet_without_its_package_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "songs.parquet").touch()
    with pytest.raises(ConfigError, match=r"songs\.parquet: Parquet needs pyarrow: pip install "):
        ids(tmp_path / "songs.parquet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "path,offset\na.wav,1\nb.wav,x",
            r"songs\.csv, line 3: offset is 'x': it must be seconds, 0 or",
        ),
        ("path,offset\na.wav,-1", r"line 2: offset is '-1'"),
        ("path,duration\na.wav,0", r"line 2: duration is '0': it must be seconds, more than 0$"),
        ("path,duration\na.wav,nan", r"line 2: duration is 'nan'"),
        ("file\na.wav", r"line 2: has no path \(columns: file\)$"),
        ("path", r"songs\.csv has no songs$"),
        (
            "path,id\na.wav,x,,\nx/Crosby, Stills & Nash.mp3,y",
            r'songs\.csv, line 3: has more fields than the 2 columns: put "quotes" around ',
        ),
        ("path,id\na.wav,x\nb.wav,x", r"a\.wav and .*b\.wav both go by 'x': name one of them otherwise"),
        ("path,offset\na.wav,1\na.wav,2", r"a\.wav is there twice, cut differently: give each an id"),
    ],
)
def test_a_bad_manifest_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "songs.csv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        ids(tmp_path / "songs.csv")


def test_bad_json_lines_are_named(tmp_path: Path) -> None:
    (tmp_path / "songs.jsonl").write_text('{"path": "a.wav"}\n["a.wav"]')
    with pytest.raises(ConfigError, match=r"songs\.jsonl, line 2: must be an object"):
        ids(tmp_path / "songs.jsonl")
    (tmp_path / "songs.jsonl").write_text("{")
    with pytest.raises(ConfigError, match=r"songs\.jsonl, line 1: is no JSON"):
        ids(tmp_path / "songs.jsonl")
    for key, value in (("path", "a\\u0000.wav"), ("id", "a\\ud800"), ("id", "a\\u0000")):
        given = f'"path": "a.wav", "{key}": "{value}"'
        (tmp_path / "songs.jsonl").write_text(f"{{{given}}}")
        with pytest.raises(ConfigError, match=rf"line 1: {key} is 'a.*': it must be UTF-8 text without NUL$"):
            ids(tmp_path / "songs.jsonl")
    (tmp_path / "songs.jsonl").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"songs\.jsonl is not UTF-8"):
        ids(tmp_path / "songs.jsonl")
    with pytest.raises(ConfigError, match=r"missing\.jsonl cannot be read: No such file"):
        ids(tmp_path / "missing.jsonl")


@pytest.mark.parametrize("pattern", ["**/*.wav", "*/**/*.wav", "a/**"])
def test_a_pattern_finds_no_song_in_the_output_folder(folder: Path, pattern: str) -> None:
    songs = ids(folder / pattern)
    output = folder / "a" / "stems"
    write_songs(output, "one/vocals.wav")
    assert len(ids(folder / pattern)) == len(songs) + 1
    assert ids(folder / pattern, output=output) == songs
    with pytest.raises(ConfigError, match=r"\*\.wav has no songs but the stems of earlier runs$"):
        ids(folder / "a/s*/**/*.wav", output=output)


def test_storage_has_no_songs_in_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [("songs/a.wav", ""), ("songs/stems/a/vocals.wav", "stems/a"), ("songs/stems2/b.wav", "stems2")]
    monkeypatch.setattr(
        storage,
        "find_songs",
        lambda url: [storage.Found(f"s3://b/{name}", place, 1) for name, place in found],
    )
    for output in ("s3://b/songs/stems", "s3://b/songs/stems/"):
        entries = read_catalogue(["s3://b/songs"], output=output).entries
        assert [entry.id for entry in entries] == ["a.wav", "stems2/b.wav"]
    assert len(read_catalogue(["s3://b/songs"], output="s3://b/songs").entries) == 3
