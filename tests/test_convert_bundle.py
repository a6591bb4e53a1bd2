import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from stemwise.convert.bundle import Bundle, index_bytes, table, write_bundle
from stemwise.convert.bundle.crc32c import _of_bytes, crc32c, masked_crc32c
from stemwise.convert.bundle.wire import field
from stemwise.errors import CheckpointError

VECTOR = Path(__file__).parent / "vectors" / "bundle.npz"
TENSORS: dict[str, Any] = {
    "a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a/bias": np.ones(1),
    "b": np.array(7),
}
INDEX, DATA = "model.index", "model.data-00000-of-00001"


def parts(vector: Any, kind: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(kind): vector[name] for name in vector if name.startswith(kind)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(tmp_path, TENSORS)
    return tmp_path


def rewrite_index(folder: Path, change: dict[bytes, bytes]) -> None:
    entries = table.read_table((folder / INDEX).read_bytes()) | change
    (folder / INDEX).write_bytes(table.table_bytes(entries))


# RFC 3720, B.4
@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_crc_of_the_standard(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc


@pytest.mark.parametrize(
    "size", [2047, 2048, 2049, 4 * 5685 - 1, 4 * 5685, 4 * 5686, 4 * 10008, 4 * 10009, 400_007]
)
def test_crc_by_words_is_the_crc_by_bytes(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    assert crc32c(data) == _of_bytes(data, 0xFFFFFFFF) ^ 0xFFFFFFFF


def test_reads_what_tensorflow_wrote(tmp_path: Path) -> None:
    vector = np.load(VECTOR)
    for name, content in parts(vector, "file:").items():
        (tmp_path / name).write_bytes(content.tobytes())
    bundle, expected = Bundle(tmp_path / "model"), parts(vector, "tensor:")
    assert set(bundle) == set(expected)
    for name, array in expected.items():
        assert bundle[name].dtype == array.dtype
        np.testing.assert_array_equal(bundle[name], array)


def test_writes_byte_for_byte_what_tensorflow_wrote(tmp_path: Path) -> None:
    vector = np.load(VECTOR)
    write_bundle(tmp_path, parts(vector, "tensor:"))
    for name, content in parts(vector, "file:").items():
        assert (tmp_path / name).read_bytes() == content.tobytes(), name


@settings(max_examples=30, deadline=None)
@given(
    tensors=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
        st.sampled_from(["f4", "f8", "i8", "i4", "f2"]).flatmap(
            lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, min_side=0, max_side=3))
        ),
        max_size=40,
    )
)
def test_read_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Any]
) -> None:
    bundle = Bundle(write_bundle(tmp_path_factory.mktemp("bundle"), tensors))
    assert list(bundle) == sorted(tensors, key=str.encode)
    for name, array in tensors.items():
        assert bundle[name].dtype == array.dtype
        np.testing.assert_array_equal(bundle[name], array)


def test_a_large_index_has_several_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "BLOCK_BYTES", 200)
    tensors = {f"layer_{n}/kernel": np.full(2, n, np.float32) for n in range(50)}
    bundle = Bundle(write_bundle(tmp_path, tensors))
    assert len(bundle) == 50
    assert all((bundle[name] == array).all() for name, array in tensors.items())


def test_several_shards(folder: Path) -> None:
    whole = Bundle(folder)
    expected = dict(whole)
    data = (folder / DATA).read_bytes()
    cut = whole.entries["b"].offset
    entries = {
        name: type(entry)(
            dtype=entry.dtype, shape=entry.shape, shard=int(name == "b"), size=entry.size, crc=entry.crc,
            offset=0 if name == "b" else entry.offset,
        )
        for name, entry in whole.entries.items()
    }  # fmt: skip
    (folder / DATA).unlink()
    (folder / "model.data-00000-of-00002").write_bytes(data[:cut])
    (folder / "model.data-00001-of-00002").write_bytes(data[cut:])
    (folder / INDEX).write_bytes(index_bytes(entries, n_shards=2))
    bundle = Bundle(folder)
    assert all((bundle[name] == array).all() for name, array in expected.items())
    (folder / "model.data-00001-of-00002").unlink()
    with pytest.raises(CheckpointError, match="00001-of-00002 is missing: the checkpoint is incomplete"):
        Bundle(folder)


def test_any_flipped_bit_is_noticed(folder: Path) -> None:
    for name in (INDEX, DATA):
        content = bytearray((folder / name).read_bytes())
        for at in range(len(content)):
            for bit in range(8):
                content[at] ^= 1 << bit
                (folder / name).write_bytes(content)
                with pytest.raises(CheckpointError):
                    dict(Bundle(folder))
                content[at] ^= 1 << bit


@pytest.mark.parametrize("name", [INDEX, DATA])
def test_any_cut_is_noticed(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    for size in range(len(content)):
        (folder / name).write_bytes(content[:size])
        with pytest.raises(CheckpointError, match="cut short"):
            dict(Bundle(folder))


@pytest.mark.parametrize("content", [b"", b"hello", bytes(100), bytes(range(256)) * 4])
def test_not_an_index(folder: Path, content: bytes) -> None:
    (folder / INDEX).write_bytes(content)
    with pytest.raises(CheckpointError, match="not a TensorFlow checkpoint index"):
        Bundle(folder)


def test_compressed_index(folder: Path) -> None:
    content = bytearray((folder / INDEX).read_bytes())
    footer = content[-48:]
    _, _, at = table._read_handle(bytes(footer), 0)
    offset, size, _ = table._read_handle(bytes(footer), at)
    content[offset + size] = table.SNAPPY
    struct.pack_into(
        "<I", content, offset + size + 1, masked_crc32c(bytes(content[offset : offset + size + 1]))
    )
    (folder / INDEX).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"compressed \(snappy\)"):
        Bundle(folder)


@pytest.mark.parametrize(
    ("header", "message"),
    [(b"", "no bundle header"), (field(1, 1) + field(2, 1), "big-endian")],
)
def test_foreign_header(folder: Path, header: bytes, message: str) -> None:
    rewrite_index(folder, {b"": header})
    with pytest.raises(CheckpointError, match=message):
        Bundle(folder)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (field(1, 7) + field(5, 8), "data type 7"),
        (field(1, 1) + field(5, 8) + field(7, b""), "stored in slices"),
        (
            field(1, 1) + field(2, field(2, field(1, 3))) + field(5, 8),
            r"8 bytes, which is not its shape \(3,\)",
        ),
        (field(1, 1) + field(2, field(2, field(1, 2))) + field(5, 8), "checksum of b is wrong"),
        (field(1, 1) + field(3, 4), "shard 4 of 1"),
        (field(1, 1) + field(4, 2**40) + field(5, 8), "cut short"),
        (b"\x0a\xff\x01", "does not fit"),
        (b"\xff" * 11, "more than ten bytes"),
        (b"\x08", "runs past its end"),
    ],
)
def test_foreign_entry(folder: Path, entry: bytes, message: str) -> None:
    rewrite_index(folder, {b"b": entry})
    with pytest.raises(CheckpointError, match=message):
        dict(Bundle(folder))


def test_what_nobody_reads_may_be_of_any_type(folder: Path) -> None:
    rewrite_index(folder, {b"_CHECKPOINTABLE_OBJECT_GRAPH": field(1, 7) + field(5, 8)})
    assert Bundle(folder)["b"] == 7


def test_missing_data(folder: Path) -> None:
    (folder / DATA).unlink()
    with pytest.raises(CheckpointError, match=f"{DATA} is missing"):
        Bundle(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "a file named 'checkpoint' is missing"),
        ("", "names no checkpoint"),
        ('all_model_checkpoint_paths: "model"\n', "names no checkpoint"),
        ('model_checkpoint_path: "other"\n', re.escape("other.index is missing")),
        ('model_checkpoint_path: "/"\n', re.escape(".index is missing")),
    ],
)
def test_folder_without_checkpoint(folder: Path, text: str | None, message: str) -> None:
    (folder / "checkpoint").unlink()
    if text is not None:
        (folder / "checkpoint").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        Bundle(folder)


def test_a_checkpoint_file_that_cannot_be_read(folder: Path) -> None:
    (folder / "checkpoint").unlink()
    (folder / "checkpoint").mkdir()
    with pytest.raises(CheckpointError, match=r"checkpoint cannot be read: Is a directory$"):
        Bundle(folder)


@pytest.mark.parametrize(
    "named", ["model.ckpt-10", "/home/somebody/else/model.ckpt-10", r"C:\\models\\model.ckpt-10"]
)
def test_the_checkpoint_file_names_the_prefix(tmp_path: Path, named: str) -> None:
    write_bundle(tmp_path, {"step": np.array(1)}, prefix="model.ckpt-5")
    write_bundle(tmp_path, {"step": np.array(2)}, prefix="model.ckpt-10")
    (tmp_path / "checkpoint").write_text(
        f'model_checkpoint_path: "{named}"\nall_model_checkpoint_paths: "model.ckpt-5"\n'
    )
    assert Bundle(tmp_path)["step"] == 2
    assert Bundle(tmp_path / "model.ckpt-5")["step"] == 1


def test_the_checkpoint_file_escapes_what_is_not_ascii(tmp_path: Path) -> None:
    write_bundle(tmp_path, TENSORS, prefix="modèle")
    (tmp_path / "checkpoint").write_text(r'model_checkpoint_path: "mod\303\250le"')
    assert Bundle(tmp_path)["b"] == 7


@pytest.mark.parametrize(
    "named",
    [r"C:\Users\me\model", r"C:\new\x\model", r"\x\modèle", r"..\N\new", r"C:\models\2stems", r"\777"],
)
def test_the_checkpoint_file_may_be_edited_by_hand(tmp_path: Path, named: str) -> None:
    write_bundle(tmp_path, TENSORS, prefix=named.rpartition("\\")[2])
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{named}"', encoding="utf-8")
    assert Bundle(tmp_path)["b"] == 7


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a folder of that name"):
        Bundle(tmp_path / "nothing")


def test_a_type_that_tensorflow_lacks_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has type <U3"):
        write_bundle(tmp_path, {"text": np.array("abc")})


def test_the_real_spleeters_checkpoints_byte_for_byte(parity_folder: Path, tmp_path: Path) -> None:
    folders = sorted(parity_folder.glob("*/model"))
    assert len(folders) == 5
    for number, folder in enumerate(folders):
        write_bundle(tmp_path / str(number), dict(Bundle(folder)))
        for name in ("checkpoint", INDEX, DATA):
            assert (tmp_path / str(number) / name).read_bytes() == (folder / name).read_bytes()
