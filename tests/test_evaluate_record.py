import json
import math
from pathlib import Path

import pytest

from stemwise.errors import ConfigError
from stemwise.evaluate import EvaluationTable, Record, Score, read_record, write_museval, write_record
from stemwise.evaluate.record import to_json
from stemwise.evaluate.report import groups, markdown

WINDOWS = {
    "csdr": (1.0, math.nan, 3.0),
    "isr": (4.0, math.nan, 6.0),
    "sir": (math.inf, math.nan, 9.123456789),
    "sar": (10.0, math.nan, 12.0),
}


def record() -> Record:
    scores = tuple(
        Score(track=track, stem="vocals", method=method, values={"usdr": value, "csdr": math.nan})
        for track, value in (("a_1", 1.5), ("b|2", -2.0))
        for method in ("model", "mixture", "oracle")
    )
    return Record(model="some:model", dataset="songs", table=EvaluationTable(scores), notes=("so it is",))


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = write_record(record(), tmp_path / "new" / "run")
    for source in (path, path.parent):
        again = read_record(source)
        assert (again.model, again.dataset, again.notes) == ("some:model", "songs", ("so it is",))
        assert [score.track for score in again.table.scores] == ["a_1"] * 3 + ["b|2"] * 3
        assert again.table.values("vocals", "usdr", "oracle") == {"a_1": 1.5, "b|2": -2.0}
        assert math.isnan(again.table.scores[0].values["csdr"])


def test_the_json_is_one_that_every_parser_reads() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    values = json.loads(json.dumps(to_json(record())), parse_constant=refuse)
    assert values["summary"][0]["median"] == -0.25
    assert values["summary"][0]["mean_interval"] == [None, None]
    assert values["scores"][0] == {
        "track": "a_1",
        "stem": "vocals",
        "method": "model",
        "usdr": 1.5,
        "csdr": None,
    }


def test_windows_are_written_in_museval_s_schema(tmp_path: Path) -> None:
    score = Score(track="A / song", stem="vocals", values={}, windows=WINDOWS)
    cheap = Score(track="A / song", stem="drums", values={}, windows={"csdr": (1.0,)})
    path = write_museval([score, cheap], tmp_path / "museval")
    assert path == tmp_path / "museval" / "A _ song.json"
    (target,) = json.loads(path.read_text())["targets"]
    assert target["name"] == "vocals"
    assert [frame["time"] for frame in target["frames"]] == [0.0, 1.0, 2.0]
    assert target["frames"][2] == {
        "time": 2.0,
        "duration": 1.0,
        "metrics": {"SDR": 3.0, "ISR": 6.0, "SIR": 9.12346, "SAR": 12.0},
    }
    assert math.isnan(target["frames"][0]["metrics"]["SIR"])  # museval makes NaN of infinity
    assert write_museval([cheap], tmp_path / "nothing") is None
    assert not (tmp_path / "nothing").exists()


def test_museval_s_own_files_are_read(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_museval(
            [Score(track=name, stem="vocals", values={}, windows=WINDOWS)], tmp_path / "method" / "test"
        )
    again = read_record(tmp_path / "method")
    assert again.model == "method"
    assert again.table.values("vocals", "csdr") == {"one": 2.0, "two": 2.0}
    assert again.table.values("vocals", "sir") == {"one": 9.12346, "two": 9.12346}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as scores: JSONDecodeError"),
        ("[]", "cannot be read as scores"),
        ('{"format": 2}', "has format 2: this stemwise reads format 1"),
        ('{"format": 1, "scores": [{"track": "a"}]}', "cannot be read as scores: KeyError"),
        ('{"format": 1, "scores": 7}', "cannot be read as scores: TypeError"),
        (
            '{"format": 1, "scores": [{"track": "a", "stem": "b", "method": "c", "usdr": "much"}]}',
            "cannot be read as scores: ValueError",
        ),
    ],
)
def test_files_that_are_no_record_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "scores.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_record(tmp_path)


def test_folders_that_hold_no_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no scores"):
        read_record(tmp_path)
    with pytest.raises(ConfigError, match="holds no scores"):
        read_record(tmp_path / "nowhere")
    (tmp_path / "song.json").write_text('{"targets": 5}')
    with pytest.raises(ConfigError, match=r"song\.json cannot be read as museval's scores"):
        read_record(tmp_path)


def test_songs_are_grouped_by_the_beginning_of_their_names() -> None:
    table = record().table
    assert list(groups(table, [])) == ["all songs"]
    apart = groups(table, ["a_", "absent_"])
    assert {name: part.tracks for name, part in apart.items()} == {"a_…": ("a_1",), "other songs": ("b|2",)}


def test_the_report_holds_scale_songs_notes_and_picture() -> None:
    text = markdown(record(), prefixes=["a_"], picture=Path("plots/box.svg"))
    lines = text.splitlines()
    assert lines[0] == "# some:model on songs"
    assert "> so it is" in lines
    assert "![Scores of every song](plots/box.svg)" in lines
    assert "| vocals | 1.50 |  | 1.50 |  | 1.50 | 1.50 |  | 1 |" in lines
    assert r"| b\|2 | -2.00 |" in lines
    assert "nan" not in text
    widths = {line.replace(r"\|", "").count("|") for line in lines if line.startswith("|")}
    assert widths == {3, 10}  # of the songs, of the summary
