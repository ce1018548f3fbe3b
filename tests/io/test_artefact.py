"""What is written reads back whole, says how it was made, and notices when that changes."""

import dataclasses
import errno
import fcntl
import functools
import multiprocessing
import os
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sss_lib.io import artefact as artefacts
from sss_lib.io import sealed
from sss_lib.io.artefact import (
    Artefact,
    DamagedArtefactError,
    Frames,
    StaleArtefactError,
    locked,
    replacing,
    to_frames,
    to_matrix,
)
from sss_lib.io.writing import clear_leftovers

FRAMES = Frames(
    ["b", "007"], np.arange(6, dtype=np.float32).reshape(3, 2), np.array([0, 2, 3]), 0.5
)  # two frames, then one


@pytest.fixture
def artefact(tmp_path):
    return Artefact(
        tmp_path / "deep" / "x.parquet", {"n": 3, "how": None}, {"source": "abc"}, ("io.audio",), "00_dataset"
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


# files


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "x.csv"
    path.write_text("old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.csv"]


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "deep" / "x.csv"
    with replacing(path) as temporary:
        temporary.write_text("old")
        assert temporary.parent == path.parent  # a rename across disks would not be atomic
        assert not path.exists()
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(path.parent) == ["x.csv"]


def hold(path, ready, seconds):
    with locked(path):
        ready.set()
        time.sleep(seconds)


def test_a_lock_keeps_others_out_until_its_process_is_killed(tmp_path):
    processes = multiprocessing.get_context("spawn")
    ready = processes.Event()
    other = processes.Process(target=hold, args=(tmp_path / "x", ready, 600))
    other.start()
    assert ready.wait(60)
    with pytest.raises(TimeoutError):
        locked(tmp_path / "x").acquire(timeout=0.2)
    with locked(tmp_path / "y"):
        pass
    other.kill()
    with locked(tmp_path / "x").acquire(timeout=60):
        assert names(tmp_path) == []


# recipes


def test_an_artefact_carries_its_recipe_and_extras(artefact):
    artefact.write({"x": [1]}, note={"deep": [1, 2]})
    about = artefact.metadata()
    assert about["recipe"]["parameters"] == {"n": 3, "how": None}
    assert about["recipe"]["inputs"] == {"source": "abc"}
    assert about["note"] == {"deep": [1, 2]}


def test_columns_that_do_not_fit_leave_the_old_artefact(artefact):
    artefact.write({"x": [1, 2]})
    with pytest.raises(pa.ArrowInvalid):
        artefact.write({"x": [1, 2], "y": [1]})
    assert artefact.read().to_pydict() == {"x": [1, 2]}
    assert names(artefact.path.parent) == ["x.parquet"]


def test_an_artefact_is_current_once_written_in_whatever_order_its_parameters_are(artefact):
    assert not artefact.is_current()
    artefact.write({"x": [1]})
    assert artefact.is_current()
    assert dataclasses.replace(artefact, parameters={"how": None, "n": 3}).is_current()


def test_parameters_that_json_writes_otherwise_stay_current(artefact):
    artefact = dataclasses.replace(artefact, parameters={"cutoffs": (15, 150), "share": 0.1})
    artefact.write({"x": [1]})
    assert artefact.is_current()


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"n": 4, "how": None}},
        {"parameters": {"n": 3}},
        {"inputs": {"source": "abd"}},
        {"inputs": {}},
        {"code": ("dataset",)},
    ],
)
def test_a_changed_recipe_is_not_current(artefact, change):
    artefact.write({"x": [1]})
    assert not dataclasses.replace(artefact, **change).is_current()


def test_changed_code_is_not_current(artefact, monkeypatch):
    artefact.write({"x": [1]})
    monkeypatch.setattr(artefacts, "code_digest", lambda modules: "other code")
    assert not artefact.is_current()


def test_an_artefact_is_current_until_the_content_of_its_input_changes(artefact, tmp_path):
    made = Artefact(tmp_path / "y.parquet", {}, {"x": artefact})
    with pytest.raises(FileNotFoundError, match="run 00_dataset"):
        made.write({"y": [2]})
    artefact.write({"x": [1]})
    made.write({"y": [2]})
    assert made.is_current()
    artefact.write({"x": [1]}, note="the same content, made again")
    assert made.is_current()
    artefact.write({"x": [3]})
    assert not made.is_current()
    artefact.path.unlink()
    assert not made.is_current()


@pytest.mark.parametrize("is_parquet", [False, True], ids=["damaged", "foreign"])
def test_a_file_that_is_no_artefact_is_not_current(artefact, is_parquet):
    artefact.write({"x": [1]})
    if is_parquet:
        pq.write_table(pa.table({"x": [1]}), artefact.path)
    else:
        artefact.path.write_bytes(artefact.path.read_bytes()[:-10])
    assert not artefact.is_current()


@pytest.mark.parametrize("use", [Artefact.read, Artefact.metadata, Artefact.digest])
def test_a_missing_artefact_names_the_notebook_that_writes_it(artefact, use):
    with pytest.raises(
        FileNotFoundError, match=r"x.parquet does not exist: run 00_dataset with .*'n': 3.* first"
    ):
        use(artefact)


# digests


def digest_of(artefact, columns):
    artefact.write(columns)
    return artefact.digest()


def test_the_digest_depends_on_nothing_but_the_content(artefact, tmp_path):
    other = Artefact(tmp_path / "y.parquet", {"n": 4})
    matrix = np.arange(6, dtype=np.float32).reshape(3, 2)
    columns = {"fname": ["a", "b", "c"], "x": matrix, "n": [1, 2, 3]}
    same = {
        "fname": np.array(["a", "b", "c"], object),
        "x": np.asfortranarray(matrix),
        "n": np.arange(7)[1:4],
    }
    assert digest_of(artefact, columns) == digest_of(other, columns) == digest_of(other, same)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        *(
            ({"fname": ["ab", "c"], "x": np.array([[1, 2]]).T}, after)
            for after in (
                {"fname": ["ab", "c"], "x": np.array([[1, 3]]).T},
                {"fname": ["a", "bc"], "x": np.array([[1, 2]]).T},
                {"fname": ["ab", "c"], "y": np.array([[1, 2]]).T},
                {"fname": ["ab", "c"], "x": np.array([[1.0, 2.0]]).T},
                {"fname": ["ab", "c"], "x": np.array([1, 2])},
                {"x": np.array([[1, 2]]).T, "fname": ["ab", "c"]},
            )
        ),
        ({"frames": FRAMES}, {"frames": dataclasses.replace(FRAMES, offsets=np.array([0, 1, 3]))}),
    ],
)
def test_the_digest_changes_with_a_value_a_name_a_type_or_a_border(artefact, before, after):
    assert digest_of(artefact, before) != digest_of(artefact, after)


# columns


def test_columns_of_every_kind_read_back_as_they_were(artefact):
    matrix = np.array([[1.5, -2.5], [np.pi, 0]], np.float32)
    labels, n = [["Dog", "Animal"], []], np.array([1, 2], np.int32)
    artefact.write({"fname": ["007", "é"], "labels": labels, "x": matrix, "n": n})
    table = artefact.read()
    assert table["fname"].to_pylist() == ["007", "é"]
    assert table["labels"].to_pylist() == [["Dog", "Animal"], []]
    np.testing.assert_array_equal(to_matrix(table["x"]), matrix)
    assert to_matrix(table["x"]).dtype == np.float32
    assert table["n"].type == pa.int32()


@pytest.mark.parametrize("n_rows", [0, 1, 3000])
def test_a_table_of_any_length_is_read_as_arrow_reads_it(artefact, n_rows):
    fnames = [str(i) for i in range(n_rows)]
    artefact.write({"fname": fnames, "x": np.arange(2 * n_rows).reshape(n_rows, 2)})
    for columns in (None, ["x"], ["x", "fname"]):
        expected = pq.read_table(artefact.path, columns=columns)
        assert artefact.read(columns).equals(expected, check_metadata=True)


def test_a_column_that_is_not_there_is_named(artefact):
    artefact.write({"fname": ["a"], "x": np.zeros((1, 2))})
    with pytest.raises(ValueError, match="has columns fname, x, but no 'split'"):
        artefact.read(["fname", "split"])


@pytest.mark.parametrize(
    ("select", "fnames", "offsets", "rows"),
    [
        (lambda table: table, ["b", "007"], [0, 2, 3], [0, 1, 2]),
        (lambda table: pa.concat_tables([table, table]), ["b", "007"] * 2, [0, 2, 3, 5, 6], [0, 1, 2] * 2),
        (lambda table: table.slice(1), ["007"], [0, 1], [2]),
    ],
    ids=["whole", "twice", "a part"],
)
def test_frames_read_back_with_their_offsets_and_hop(artefact, select, fnames, offsets, rows):
    artefact.write({"fname": FRAMES.fnames, "frames": FRAMES, "hop_s": np.full(2, FRAMES.hop_s, np.float32)})
    again = to_frames(select(artefact.read()))
    assert (again.fnames, again.offsets.tolist(), again.hop_s) == (fnames, offsets, 0.5)
    np.testing.assert_array_equal(again.values, FRAMES.values[rows])
    assert again.values.dtype == np.float32


def test_a_mapped_column_is_what_was_written_and_follows_the_artefact(tmp_path):
    x = np.random.default_rng(0).normal(size=(40_000, 3)).astype(np.float32)
    artefact = Artefact(tmp_path / "x [1].parquet", {})
    for values in (x, x, -x):
        artefact.write({"fname": [str(i) for i in range(len(x))], "embedding": values})
        mapped = artefact.mapped("embedding")
        assert isinstance(mapped, np.memmap)
        assert not mapped.flags.writeable
        np.testing.assert_array_equal(mapped, values)
        assert names(tmp_path) == [".x [1].embedding.npy", "x [1].parquet"]
    assert artefact.read(["fname"]).column_names == ["fname"]


def test_a_damaged_or_stale_artefact_is_not_mapped(tmp_path):
    source = Artefact(tmp_path / "source.parquet", {})
    source.write({"x": np.zeros((2, 2))})
    artefact = Artefact(tmp_path / "x.parquet", {}, {"source": source})
    artefact.write({"x": np.random.default_rng(0).normal(size=(5000, 2))})
    content = bytearray(artefact.path.read_bytes())
    content[len(content) // 3] ^= 255
    artefact.path.write_bytes(content)
    with pytest.raises(DamagedArtefactError, match=r"is damaged \(its content has another checksum"):
        artefact.mapped("x")
    assert names(tmp_path) == [".x.parquet.damaged", "source.parquet"]
    artefact.write({"x": np.ones((2, 2))})
    source.write({"x": np.ones((2, 2))})
    with pytest.raises(StaleArtefactError, match="was made from another source"):
        artefact.mapped("x")


@pytest.fixture
def copied(tmp_path):
    """An artefact of a matrix, the matrix, and the file that it was mapped from."""
    x, artefact = np.arange(12.0).reshape(4, 3), Artefact(tmp_path / "x.parquet", {})
    artefact.write({"x": x})
    artefact.mapped("x")
    return artefact, x, tmp_path / ".x.x.npy"


@pytest.mark.parametrize(
    "broken",
    [b"", b"no array", slice(0, -8), slice(0, 100), "longer", "another shape", "of another artefact"],
)
def test_a_broken_copy_is_made_again(copied, tmp_path, broken):
    artefact, x, file = copied
    content = file.read_bytes()
    if broken == "another shape":
        with file.open("wb") as out:
            np.save(out, x.reshape(3, 4))
    elif broken == "of another artefact":
        other = Artefact(tmp_path / "y.parquet", {})
        other.write({"x": x + 1})
        other.mapped("x")
        (tmp_path / ".y.x.npy").replace(file)
    else:
        file.write_bytes(
            content + bytes(8) if broken == "longer" else content[broken] if type(broken) is slice else broken
        )
    np.testing.assert_array_equal(artefact.mapped("x"), x)
    assert file.read_bytes() == content


def test_a_changed_bit_of_a_copy_is_noticed_wherever_it_is(copied):
    artefact, x, file = copied
    content = file.read_bytes()
    for at in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        file.write_bytes(damaged)
        np.testing.assert_array_equal(artefact.mapped("x"), x)


def test_an_intact_copy_is_not_made_again(copied, monkeypatch):
    artefact, x, _ = copied
    monkeypatch.setattr(Artefact, "_matrices", lambda *_: pytest.fail("decoded"))
    np.testing.assert_array_equal(artefact.mapped("x"), x)


def test_only_a_matrix_is_mapped(tmp_path):
    artefact = Artefact(tmp_path / "v.parquet", {})
    artefact.write({"fname": ["a", "b"], "embedding": np.ones((2, 3))})
    for column, kind in (("fname", "string"), ("nope", "null")):
        message = rf"column '{column}' of .* is {kind}, not one of its matrices \(embedding\): give one"
        with pytest.raises(ValueError, match=message):
            artefact.mapped(column)


@pytest.mark.parametrize("lacks", ["room", "mmap"])
def test_where_there_can_be_no_copy_the_matrix_is_read_into_memory(copied, tmp_path, monkeypatch, lacks):
    artefact, x, file = copied
    file.unlink()

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC if lacks == "room" else errno.ENODEV, "refused")

    where, name = (np.lib.format, "write_array_header_1_0") if lacks == "room" else (np, "memmap")
    monkeypatch.setattr(where, name, refuse)
    assert artefact.mapped("x").tolist() == x.tolist()
    assert names(tmp_path) == ["x.parquet"]


# damage


@pytest.mark.parametrize("where", ["name", "note", "type", "values", "end"])
def test_a_changed_byte_is_named_not_current_and_made_again(artefact, capsys, where):
    columns = {"x": np.arange(1000.0), "name of a column": ["y"] * 1000}
    artefact.write(columns, note="a note")
    content = bytearray(artefact.path.read_bytes())
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    places = {"name": content.rindex(b"name of a"), "note": content.rindex(b"a note"), "type": footer + 4}
    content[{**places, "values": 500, "end": len(content) - 2}[where]] ^= 1
    artefact.path.write_bytes(content)
    artefacts._say.cache_clear()
    assert not artefact.is_current()
    assert f"{artefact.path} is damaged" in capsys.readouterr().err
    with pytest.raises(DamagedArtefactError, match=f"{artefact.path} is damaged .*run 00_dataset again"):
        artefact.read()
    assert not artefact.path.exists()  # set aside: the next run makes it again
    artefact.write(columns)
    assert artefact.is_current()


def test_an_artefact_of_other_parameters_is_not_taken_for_ones_own(artefact, tmp_path):
    other = dataclasses.replace(artefact, path=tmp_path / "y.parquet", parameters={"n": 4, "how": None})
    other.write({"x": [1]})
    artefact.path.parent.mkdir()
    other.path.rename(artefact.path)
    with pytest.raises(StaleArtefactError, match="has n=4, not 3: run 00_dataset again"):
        artefact.read()


# file systems


@pytest.mark.filterwarnings("ignore:flock not supported")
@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOTSUP, errno.EINVAL])
def test_files_are_written_where_nothing_but_writing_is_possible(tmp_path, monkeypatch, code):
    def refuse(*_, code=code):
        raise OSError(code, os.strerror(code))

    for name in ("chmod", "fchmod", "link", "symlink", "fsync", "utime"):
        monkeypatch.setattr(os, name, refuse)
    of_lock = errno.ENOLCK if code == errno.EINVAL else code  # as NFS has it
    monkeypatch.setattr(fcntl, "flock", functools.partial(refuse, code=of_lock))
    for text in ("old", "new"):
        with locked(tmp_path / "x").acquire(timeout=5), replacing(tmp_path / "x") as temporary:
            temporary.write_text(text)
    assert (tmp_path / "x").read_text() == "new"


def test_a_full_disk_names_the_file_its_folder_and_the_space(tmp_path):
    """In a process of its own, whose files may have 100 kB."""
    code = f"""
import pathlib, resource, numpy as np
from sss_lib.io.artefact import Artefact
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
x = np.random.default_rng(0).normal(size=(500, 100))
Artefact(pathlib.Path({str(tmp_path / "x.parquet")!r}), {{}}).write({{"x": x}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    words = f"the disk is full: {tmp_path} has no room for x.parquet, which takes 0.400 MB or more"
    assert words in done.stderr
    assert names(tmp_path) == []


def test_what_killed_writers_left_is_cleared_and_nothing_of_living_ones(tmp_path):
    code = f"""
import os
from sss_lib.io.writing import replacing
with replacing({str(tmp_path / "deep" / "x.svg")!r}):
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    (tmp_path / ".y.parquet.damaged").touch()
    (tmp_path / ".hidden.1234-abc.svg").touch()
    with replacing(tmp_path / "z.svg") as living:
        clear_leftovers(tmp_path)
        assert names(tmp_path / "deep") == []
        assert names(tmp_path) == sorted([".hidden.1234-abc.svg", "deep", living.name])


SEAL = "sss_lib.seal\x18\x10" + "0123456789abcdef"
"""What a seal looks like in a footer."""


@pytest.mark.parametrize(
    ("columns", "metadata"),
    [
        ({SEAL: ["a"]}, None),
        ({"label": [SEAL]}, None),  # among the smallest and largest values
        ({"a": [1]}, {"note": SEAL}),
        ({"a": [1]}, {"sss_lib": "{}", "sss_lib.seal": "0" * 16}),
    ],
)
def test_what_looks_like_a_seal_is_not_taken_for_it(tmp_path, columns, metadata):
    path = tmp_path / "x.parquet"
    sealed.write(path, pa.table(columns, metadata=metadata), {"ours": 1})
    sealed.require_intact(path)
    assert sealed.about(path) == {"ours": 1}
    assert not sealed.is_unsealed(path)


def test_a_column_called_seal_is_no_seal(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"seal": ["seal"], "sss_lib.seal": [1]}), path)
    assert sealed.is_unsealed(path)


def test_a_file_of_an_earlier_version_is_stale_and_stays_where_it_is(artefact):
    """It has no seal; that version can still read it."""
    artefact.path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"x": [1]}), artefact.path)
    with pytest.raises(DamagedArtefactError):
        artefact.read()
    assert artefact.path.is_file()
    assert not artefact.is_current()
