"""What is written reads back whole, says how it was made, and notices when that changes."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sss_lib import columns, parquet
from sss_lib.io.artefact import Artefact, DamagedArtefactError, StaleArtefactError
from sss_lib.io.columns import Frames

FRAMES = Frames(
    ["b", "007"], np.arange(6, dtype=np.float32).reshape(3, 2), np.array([0, 2, 3]), 0.5
)  # two frames, then one


@pytest.fixture
def artefact(tmp_path):
    return Artefact(
        tmp_path / "deep" / "x.parquet", {"n": 3, "how": None}, {"source": "abc"}, ("io.audio",), "00_dataset"
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_artefact_carries_its_recipe_and_extras(artefact):
    artefact.write({"x": [1]}, note={"deep": [1, 2]})
    about = artefact.metadata()
    assert about["recipe"]["parameters"] == {"n": 3, "how": None}
    assert about["recipe"]["inputs"] == {"source": "abc"}
    assert about["note"] == {"deep": [1, 2]}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "x.csv"
    path.write_text("old")

    def write_half():
        with parquet.replacing(path) as temporary:
            temporary.write_text("ne")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.csv"]


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "deep" / "x.csv"
    with parquet.replacing(path) as temporary:
        temporary.write_text("old")
        assert temporary.parent == path.parent  # a rename across disks would not be atomic
        assert not path.exists()
    with parquet.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(path.parent) == ["x.csv"]


def test_columns_that_do_not_fit_leave_the_old_artefact(artefact):
    artefact.write({"x": [1, 2]})
    with pytest.raises(pa.ArrowInvalid):
        artefact.write({"x": [1, 2], "y": [1]})
    assert artefact.read().to_pydict() == {"x": [1, 2]}
    assert names(artefact.path.parent) == ["x.parquet"]


def test_what_is_not_written_is_not_current(artefact):
    assert not artefact.is_current()


def test_the_same_recipe_stays_current(artefact):
    artefact.write({"x": [1]})
    twin = Artefact(artefact.path, {"how": None, "n": 3}, {"source": "abc"}, ("io.audio",))
    assert artefact.is_current()
    assert twin.is_current()


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
    monkeypatch.setattr(parquet, "code_digest", lambda modules: "other code")
    assert not artefact.is_current()


def test_an_artefact_is_current_until_the_content_of_its_input_changes(artefact, tmp_path):
    made = Artefact(tmp_path / "y.parquet", {}, {"x": artefact})
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


def test_an_artefact_is_not_written_without_its_inputs(artefact, tmp_path):
    made = Artefact(tmp_path / "y.parquet", {}, {"x": artefact})
    with pytest.raises(FileNotFoundError, match="run 00_dataset"):
        made.write({"y": [2]})
    assert not made.path.exists()


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
    "columns",
    [
        {"fname": ["ab", "c"], "x": np.array([[1, 3]]).T},
        {"fname": ["a", "bc"], "x": np.array([[1, 2]]).T},
        {"fname": ["ab", "c"], "y": np.array([[1, 2]]).T},
        {"fname": ["ab", "c"], "x": np.array([[1.0, 2.0]]).T},
        {"fname": ["ab", "c"], "x": np.array([1, 2])},
        {"x": np.array([[1, 2]]).T, "fname": ["ab", "c"]},
    ],
)
def test_the_digest_changes_with_a_value_a_name_or_a_type(artefact, columns):
    before = digest_of(artefact, {"fname": ["ab", "c"], "x": np.array([[1, 2]]).T})
    assert digest_of(artefact, columns) != before


def test_the_digest_changes_with_where_one_clips_frames_end(artefact):
    other = dataclasses.replace(FRAMES, offsets=np.array([0, 1, 3]))
    assert digest_of(artefact, {"frames": FRAMES}) != digest_of(artefact, {"frames": other})


def test_a_mapped_column_is_what_was_written_and_follows_the_artefact(tmp_path):
    x = np.random.default_rng(0).normal(size=(40_000, 3)).astype(np.float32)
    artefact = Artefact(tmp_path / "x [1].parquet", {})
    for values in (x, x, -x):
        artefact.write({"fname": [str(i) for i in range(len(x))], "embedding": values})
        mapped = artefact.mapped("embedding")
        assert isinstance(mapped, np.memmap)
        assert not mapped.flags.writeable
        np.testing.assert_array_equal(mapped, values)
        assert len(list(tmp_path.glob(".*.npy"))) == 1
    assert artefact.read(["fname"]).column_names == ["fname"]


def test_a_damaged_or_stale_artefact_is_not_mapped(tmp_path):
    source = Artefact(tmp_path / "source.parquet", {})
    source.write({"x": np.zeros((2, 2))})
    artefact = Artefact(tmp_path / "x.parquet", {}, {"source": source})
    artefact.write({"x": np.random.default_rng(0).normal(size=(5000, 2))})
    content = bytearray(artefact.path.read_bytes())
    content[len(content) // 3] ^= 255
    artefact.path.write_bytes(content)
    with pytest.raises(DamagedArtefactError, match="is damaged: delete it"):
        artefact.mapped("x")
    assert not list(tmp_path.glob(".*"))
    source.write({"x": np.ones((2, 2))})
    with pytest.raises(StaleArtefactError, match="was made from another source"):
        artefact.mapped("x")


@pytest.mark.parametrize("broken", [b"", b"no array", slice(0, -8), slice(0, 100), "longer", "another shape"])
def test_a_broken_mapped_file_is_made_anew(tmp_path, broken):
    x = np.arange(12.0).reshape(4, 3)
    artefact = Artefact(tmp_path / "x.parquet", {})
    artefact.write({"x": x})
    artefact.mapped("x")
    (file,) = tmp_path.glob(".*.npy")
    if broken == "another shape":
        with open(file, "wb") as out:
            np.save(out, x.reshape(3, 4))
    elif broken == "longer":
        file.write_bytes(file.read_bytes() + bytes(8))
    else:
        file.write_bytes(broken if isinstance(broken, bytes) else file.read_bytes()[broken])
    np.testing.assert_array_equal(artefact.mapped("x"), x)


def test_mapping_anew_clears_what_it_left_and_nothing_of_others(tmp_path):
    def mapped(stem, column, x):
        artefact = Artefact(tmp_path / f"{stem}.parquet", {})
        artefact.write({column: x})
        return artefact.mapped(column)

    x = np.ones((2, 3))
    mapped("v", "x", x)
    (old,) = tmp_path.glob(".*.npy")
    left = tmp_path / f".{old.name}.k_3f.npy"  # as `replacing` names it
    left.write_bytes(b"half")
    mapped("v.x", "x", x)
    mapped("w", "x", x)
    mapped("v", "x", 2 * x)
    names = {file.name for file in tmp_path.glob(".*")}
    assert len(names) == 3
    assert not {old.name, left.name} & names
    assert {name.rsplit(".", 2)[0] for name in names} == {".v.x", ".v.x.x", ".w.x"}


def test_only_a_matrix_is_mapped(tmp_path):
    artefact = Artefact(tmp_path / "v.parquet", {})
    artefact.write({"fname": ["a", "b"], "embedding": np.ones((2, 3))})
    for column, kind in (("fname", "string"), ("nope", "null")):
        message = rf"column '{column}' of .* is {kind}, not one of its matrices \(embedding\): give one"
        with pytest.raises(ValueError, match=message):
            artefact.mapped(column)


def test_a_full_disk_is_not_blamed_on_the_artefact(tmp_path, monkeypatch):
    artefact = Artefact(tmp_path / "v.parquet", {})
    artefact.write({"x": np.ones((2, 3))})

    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", no_space)
    with pytest.raises(OSError, match="No space left"):
        artefact.mapped("x")
    assert not list(tmp_path.glob(".*"))


def test_a_file_of_another_compression_is_read_as_it_was(tmp_path):
    artefact, x = Artefact(tmp_path / "v.parquet", {}), np.random.default_rng(0).normal(size=(50, 3))
    artefact.write({"x": x})
    digest = artefact.digest()
    pq.write_table(artefact.read(), artefact.path, compression="zstd", write_page_checksum=True)
    assert artefact.is_current()
    assert artefact.digest() == digest
    np.testing.assert_array_equal(columns.to_matrix(artefact.read()["x"]), x)
    np.testing.assert_array_equal(artefact.mapped("x"), x)
