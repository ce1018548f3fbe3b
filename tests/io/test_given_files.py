"""Embeddings and rankings of others: each form that they come in, and what is wrong with some of them."""

import io
import itertools
import json
import pickle
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sss_lib.io import given_files
from sss_lib.io.given_files import GivenEmbeddings, read_json_embeddings
from sss_lib.io.given_rankings import GivenRanking, lists_in


def npy_of(*shape):
    """An npy whose header tells a shape, and which has no values."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue()


def npz_of(members):
    """An archive of members, not compressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # its time would be in the ids of tests
    return file.getvalue()


VECTORS = {"7": [1.0, 2.0], "é": [3.0, 4.0], "a b": [5.0, 6.5]}
FRAMES = {"7": [[1.0, 2.0]], "é": [[3.0, 4.0], [5.0, 6.0]], "a b": [[7.0, 8.5]]}
NAMES = list(VECTORS)


def as_json(folder, clips):
    for name, values in clips.items():
        (folder / f"{name}.json").write_text(json.dumps({"audio_path": "x", "embeddings": values}))


def as_bare_json(folder, clips):
    for name, values in clips.items():
        (folder / f"{name}.json").write_text(json.dumps(values))


def as_npy(folder, clips):
    for name, values in clips.items():
        np.save(folder / f"{name}.wav.npy", np.array(values))


def as_npz_a_clip(folder, clips):
    for name, values in clips.items():
        np.savez_compressed(folder / f"{name}.npz", embeddings=np.array(values, np.float16))


def as_npz_of_clips(folder, clips):
    np.savez(folder / "all.npz", **{name: np.array(values) for name, values in clips.items()})


def as_npz_table(folder, clips):
    np.savez_compressed(folder / "all.npz", fname=[*clips], embedding=np.array([*clips.values()]))


def as_parquet(folder, clips):
    for i, name in enumerate(clips):
        columns = {"other": [0], "fname": [name], "embedding": [clips[name]]}
        pq.write_table(pa.table(columns), folder / f"part-{i}.parquet")


@pytest.mark.parametrize(
    ("write", "clips"),
    [
        *itertools.product(
            (as_json, as_bare_json, as_npy, as_npz_a_clip, as_npz_of_clips, as_parquet), (VECTORS, FRAMES)
        ),
        (as_npz_table, VECTORS),
    ],
)
def test_every_form_gives_the_same(tmp_path, write, clips):
    write(tmp_path, clips)
    (tmp_path / ".DS_Store").write_text("")
    (tmp_path / "readme.txt").write_text("")
    found = GivenEmbeddings(tmp_path)
    assert (found.dim, found.is_frames, len(found)) == (2, clips is FRAMES, 3)
    for name, values in clips.items():
        assert found(name).dtype == np.float32
        assert found(name).tolist() == np.atleast_2d(values).tolist()
    assert found("8").startswith("no embedding of it among the 3 of ")


def test_a_table_alone_and_ids_as_numbers(tmp_path):
    path = tmp_path / "all.npz"
    np.savez(path, fname=np.array([64760, 7]), embeddings=np.eye(2))
    assert GivenEmbeddings(path)("64760").tolist() == [[1, 0]]
    pq.write_table(pa.table({"fname": [64760, 7], "embedding": [[1.0, 0], [0, 1]]}), tmp_path / "x.parquet")
    assert GivenEmbeddings(tmp_path / "x.parquet")("7").tolist() == [[0, 1]]


def test_values_that_are_not_finite_are_told_of_their_clip(tmp_path):
    as_bare_json(tmp_path, {"a": [1, 2], "b": [1, float("nan")], "c": [1e300, 2], "d": [None, 2]})
    found = GivenEmbeddings(tmp_path)
    for name in "bcd":
        assert found(name).startswith("1 of its 2 values in ")
        assert found(name).endswith(" are not finite")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"a": [1, 2], "b": [1, 2, 3]},
            "'b' has one vector of dimension 3 but 'a' has one vector of dimension 2",
        ),
        (
            {"a": [1, 2], "b": [[1, 2]]},
            "'b' has a table of dimension 2 but 'a' has one vector of dimension 2",
        ),
        ({"b": [[1, 2], [3]]}, "no table of numbers with rows of one length"),
        ({"b": ["1", "2"]}, "is not a vector, or a table"),
        ({"b": []}, "is not a vector, or a table"),
        ({"b": 3}, "is not a vector, or a table"),
        ({"b": [[[1]]]}, "is not a vector, or a table"),
    ],
)
def test_what_fits_no_model_is_refused(tmp_path, content, message):
    as_json(tmp_path, content)
    with pytest.raises(ValueError, match=message):
        GivenEmbeddings(tmp_path)("b")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has none of them: give a folder with one kind of .json, .npy"),
        ({"a.json": b"[1]", "a.npy": b""}, "has 1 .json and 1 .npy: give a folder"),
        ({"a.json": b'{"embedding": [1]}'}, "a.json has no 'embeddings', but 'embedding'"),
        ({"a.json": b"{"}, "a.json can't be read"),
        ({"a.json": b"[1]", "a.wav.json": b"[1]"}, "clip 'a' has two files"),
        ({"a.npy": pickle.dumps(3)}, "a.npy can't be read"),
        ({"a.npz": b"PK"}, "a.npz can't be read: File is not a zip file"),
        ({"a.parquet": b"PAR1"}, "a.parquet can't be read"),
        ({"a.json": b'{"embeddings": ' + b"[" * 100_000}, "a.json can't be read"),
        ({"a.json": b"[1" + b"0" * 400 + b"]"}, "a.json, 'embeddings', is no table of numbers"),
        ({"a.json": b'{"embeddings": null}'}, "a.json has no 'embeddings'"),
        ({"a.json": b"null"}, "a.json has no 'embeddings', but nothing"),
        ({"a.npy": npy_of(10**15)}, "a.npy can't be read"),
        ({"a.npz": npz_of({"a.npy": npy_of(10**15)})}, "a.npz can't be read"),
        ({"a.npz": npz_of({"read.me": b""})}, "a.npz can't be read"),
        (
            {"a.npz": npz_of({"fname.npy": npy_of(0), "embedding.npy": npy_of(9, 9)})},
            "'embedding', is cut short: its header tells 9 rows",
        ),
        ({"a.npz": npz_of({"a.npy": bytes(99)}).replace(bytes(9), b"damaged!!")}, "a.npz can't be read"),
    ],
    ids=lambda one: str(one)[:50],
)
def test_what_cannot_be_read_is_named(tmp_path, files, message):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        GivenEmbeddings(tmp_path)


def refuse_to_load():
    raise AssertionError("a pickle was loaded")


class Pickled:
    def __reduce__(self):
        return refuse_to_load, ()


@pytest.mark.parametrize("where", ["npy", "npz", "npz table", "npz names"])
def test_no_pickle_is_ever_loaded(tmp_path, where):
    objects = np.array([Pickled(), Pickled()], object)
    of_npz = {
        "npz": {"a": objects},
        "npz table": {"fname": ["a", "b"], "embedding": objects[:, None]},
        "npz names": {"fname": objects, "embedding": np.eye(2)},
    }
    if where == "npy":
        np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    else:
        np.savez(tmp_path / "a.npz", **of_npz[where])
    with pytest.raises(ValueError, match=r"can't be read|is not a table of numbers"):
        GivenEmbeddings(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"fname": ["a"], "embedding": np.eye(2)}, "has 1 fnames, and another number of embeddings"),
        ({"fname": ["a", "b", "c"], "embedding": np.eye(2)}, "has 3 fnames, and another number"),
        ({"fname": ["a", "a"], "embedding": np.eye(2)}, "clip 'a' stands twice"),
        (
            {"fname": ["a", "b"], "embedding": np.asfortranarray(np.ones((2, 3)))},
            r"not a table of numbers, row by row: save np.ascontiguousarray\(embedding",
        ),
        (
            {"fname": np.array(["a", "b"], object), "embedding": np.eye(2)},
            r"save it as text or numbers, as np.array\(fname.tolist",
        ),
    ],
)
def test_a_table_whose_rows_have_no_names_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        GivenEmbeddings(tmp_path)


@pytest.mark.parametrize(
    ("form", "ids"),
    [
        *(("npz", ids) for ids in ([1.0, 2.0], [7.0, float("nan")], [True, False], [["a"], ["b"]])),
        *(("parquet", ids) for ids in ([1.0, 2.0], ["a", None], [True, False], [["a"], ["b"]])),
        *((form, [b"a", b"\xff"]) for form in ("npz", "parquet")),
    ],
)
def test_what_is_no_id_is_not_made_one(tmp_path, form, ids):
    if form == "npz":
        np.savez(tmp_path / "a.npz", fname=ids, embedding=np.eye(2))
    else:
        pq.write_table(pa.table({"fname": ids, "embedding": [[1.0, 0], [0, 1]]}), tmp_path / "a.parquet")
    why = "invalid start byte" if ids[0] == b"a" else "is no id of a clip: write all ids as text, or all as"
    with pytest.raises(ValueError, match=rf"a\.{form} can't be read: .*{why}"):
        GivenEmbeddings(tmp_path)


def test_texts_of_digits_are_no_numbers_in_parquet_either(tmp_path):
    pq.write_table(pa.table({"fname": ["a"], "embedding": [["1", "2"]]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="is not a vector, or a table"):
        GivenEmbeddings(tmp_path)


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_a_table_is_read_in_bounded_memory(tmp_path, form):
    n, dim = 8_000, 256  # 8 MB
    x, fnames = np.random.default_rng(0).normal(size=(n, dim)).astype(np.float32), [str(i) for i in range(n)]
    if form == "npz":
        np.savez(tmp_path / "a.npz", fname=fnames, embedding=x)
    else:
        column = pa.FixedSizeListArray.from_arrays(x.ravel(), dim)
        pq.write_table(pa.table({"fname": fnames, "embedding": column}), tmp_path / "a.parquet")
    tracemalloc.start()
    found = GivenEmbeddings(tmp_path)
    assert np.array_equal(found("7999")[0], x[-1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 1.3  # names and offsets are 3 MB of it


LISTS = {"a": [("b", 0.5), ("c", 0.5)], "b": [("c", 1.0), ("b", 0.9), ("a", 0.1)], "c": []}


def as_similarity_results(path, lists):
    lines = (
        {"query_fname": q, "results": [{"result_fname": f, "score": s} for f, s in found], "search": "x"}
        for q, found in lists.items()
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_ranking_is_rows_of_own_number_results_and_scores(tmp_path):
    as_similarity_results(tmp_path / "r.json", LISTS)
    found = GivenRanking(tmp_path / "r.json")
    assert found.dim == 5
    assert found("a").tolist() == [[0, 1, 2, 0.5, 0.5]]
    assert found("b")[0, :3].tolist() == [1, 2, 0]  # without itself
    assert found("c").tolist() == [[2, -1, -1, 0, 0]]
    assert found("d").startswith("no line of it as a query among the 3 of ")


def test_a_run_is_in_the_order_of_its_ranks_then_scores_then_lines(tmp_path):
    path = tmp_path / "x.run"
    path.write_text("a Q0 d 2 9 t\na Q0 c%20c 1 1 t\na Q0 e 2 10 t\na Q0 f 2 9 t\n")
    assert [name for name, _ in next(lists_in(path))[1]] == ["c c", "e", "d", "f"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no ranking"),
        ("a Q0 b 1 1\n", "line 1 of .* has 5 columns, not 6"),
        ("a Q0 b 1 1 t\na Q0 c one 1 t\n", "line 2 of .*one"),
        ("a Q0 b 1 1 t\na Q0 b 2 1 t\n", "'b' stands twice among the results of 'a'"),
        ("a|x Q0 b 1 1 t\na|y Q0 c 1 1 t\n", "has different results for 'a'"),
        ("a|x Q0 b 1 1 t\na|x Q0 c 2 1 t\na|y Q0 b 1 1 t\n", "has different results for 'a'"),
        ('{"a": [["b", 1]]}\n', "line 1 of .* is no ranking of the CBMI 2024 code.*KeyError: 'results'"),
        ("[1]\n", "line 1 of .* is no ranking of the CBMI 2024 code"),
        (
            '{"query_fname": "a", "results": [{"result_fname": null, "score": 1}]}\n',
            "None is no id of a clip",
        ),
    ],
)
def test_what_is_no_ranking_is_refused(tmp_path, text, message):
    (tmp_path / "r").write_text(text)
    with pytest.raises(ValueError, match=message):
        GivenRanking(tmp_path / "r")


def test_a_large_folder_is_looked_at_once_for_each_state(tmp_path, monkeypatch):
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", np.ones(2))
    looks = []
    look = given_files._scanned
    monkeypatch.setattr(given_files, "LONG_S", 0)  # as if it were large
    now = [0.0]
    monkeypatch.setattr(given_files.time, "perf_counter", lambda: now[0])

    def slowly(folder):
        looks.append(folder)
        now[0] += 1
        return look(folder)

    monkeypatch.setattr(given_files, "_scanned", slowly)
    states = {given_files.state_of(tmp_path, anew=False) for _ in range(1000)}
    assert (len(looks), len(states)) == (1, 1)
    np.save(tmp_path / "3.npy", np.ones(2))  # one comes
    assert len(given_files.state_of(tmp_path, anew=False)) == 4
    (tmp_path / "3.npy").unlink()
    assert len(given_files.state_of(tmp_path, anew=False)) == 3
    assert len(looks) == 3
    np.save(tmp_path / "0.npy", np.ones(3))  # in place: nothing tells it but the file
    assert given_files.state_of(tmp_path) not in states
    now[0] += 100
    assert given_files.state_of(tmp_path, anew=False) not in states


def write_json(folder, **embeddings):
    for fname, values in embeddings.items():
        (folder / f"{fname}.json").write_text(json.dumps({"audio_path": "x.wav", "embeddings": values}))


def test_frames_of_each_clip_are_read_sorted_by_fname(tmp_path):
    write_json(tmp_path, b=[[0, 1], [2, 3]], **{"007": [[4, 5]]})
    fnames, values, offsets = read_json_embeddings(tmp_path)
    assert fnames == ["007", "b"]
    assert values.tolist() == [[4, 5], [0, 1], [2, 3]]
    assert values.dtype == np.float32
    assert offsets.tolist() == [0, 1, 3]


def test_the_embedding_of_a_clip_may_be_one_list(tmp_path):
    write_json(tmp_path, a=[1, 2], b=[[3, 4]])
    fnames, values, offsets = read_json_embeddings(tmp_path)
    assert fnames == ["a", "b"]
    assert values.tolist() == [[1, 2], [3, 4]]
    assert offsets.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        ({"a": [1, 2], "b": [1, 2, 3]}, r"b.json has dimension 3 but a.json has 2"),
        ({"a": [1, "x"]}, r"a.json, 'embeddings', is not a vector"),
        ({}, r"holds no \.json file"),
    ],
)
def test_what_is_no_table_of_embeddings_is_refused(tmp_path, embeddings, message):
    write_json(tmp_path, **embeddings)
    with pytest.raises(ValueError, match=message):
        read_json_embeddings(tmp_path)


def test_a_hidden_file_as_a_killed_writer_leaves_it_is_no_clip(tmp_path):
    write_json(tmp_path, a=[1, 2])
    (tmp_path / ".b.json.x7_k.json").write_text('{"audio')
    assert read_json_embeddings(tmp_path)[0] == ["a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "line 1 of .*a.json is no ranking"),
        (
            b'{"query_fname": "a", "results": [{"result_fname": "b", "score": 1' + b"0" * 400 + b"}]}",
            "line 1 of",
        ),
        ('{"query_fname": "a", "results": []}'.encode("utf-16"), "a.json is no text in UTF-8"),
        (b'{"query_fname": "a", "results": []}\n\xff', "a.json is no text in UTF-8"),
    ],
    ids=lambda one: str(one)[:50],
)
def test_a_ranking_that_cannot_be_read_is_named(tmp_path, content, message):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        GivenRanking(tmp_path / "a.json")
