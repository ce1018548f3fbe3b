"""A stored index finds what a plain search finds, grows, shrinks, and is refused if it is another."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reference import rank_others

from sss_lib import approximate, experiment, naming, search, timing
from sss_lib.experiment.store import Artefact, DamagedArtefactError, StaleArtefactError
from sss_lib.io import sealed
from sss_lib.search.index import Index

pytest.importorskip("faiss")

SEARCHES = (
    *("nns", "mips", "mcss", "nns-Flat", "mcss-SQfp16", "nns-PQ8x4", "nns-HNSW8-efSearch=32"),
    *("mips-HNSW8-PQ8x4-efSearch=32", "mcss-IVF16-nprobe=4", "nns-IVF16-PQ8x4-nprobe=4"),
)
LOOKS_EVERYWHERE = ("nns", "mips", "mcss", "nns-Flat", "mips-Flat", "mcss-Flat", "nns-IVF16-nprobe=16")


def clips(n=300, seed=0):
    """Clips around a dozen centres, and their names."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(12, 16))
    x = (centres[rng.integers(0, 12, n)] + 0.4 * rng.normal(size=(n, 16))).astype(np.float32)
    return [f"{seed}-{i}" for i in range(n)], x


def results(one: Index, queries: np.ndarray, n: int = 10) -> list[list[str]]:
    """Names that each query finds."""
    found = one.rank(queries, n).neighbours
    return [[one.fnames[row] for row in rows if row >= 0] for rows in found]


def plain(fnames: list[str], x: np.ndarray, queries: np.ndarray, name: str, n: int = 10) -> list[list[str]]:
    """What each query finds, by a plain loop over the clips."""
    exact = naming.parse(name).exact
    every = (rank_others(np.vstack([x, query]).astype(float), len(x), exact) for query in queries)
    return [[fnames[row] for row in rows[:n]] for rows in every]


@pytest.fixture
def artefact(tmp_path):
    return lambda name, built_from="a" * 64: Artefact(
        tmp_path / "index.parquet", {"search": name}, {"embeddings": built_from}, made_by="03_search"
    )


@pytest.mark.parametrize("name", LOOKS_EVERYWHERE)
def test_new_sounds_find_what_a_plain_loop_finds(name):
    fnames, x = clips()
    queries = clips(15, seed=1)[1]
    assert results(Index.build(fnames, x, name), queries) == plain(fnames, x, queries, name)


@pytest.mark.parametrize("name", ["nns", "mips", "mcss"])
@pytest.mark.parametrize("size", [1e4, 1e8, 1e18, 1e30])
def test_a_query_finds_the_same_to_the_bit_whatever_else_is_asked(name, size):
    fnames, x = clips()
    one, queries = Index.build(fnames, x, name), clips(9, seed=1)[1]
    alone = one.rank(queries, 20)
    beside = one.rank(np.vstack([np.full((300, 16), size), queries, -queries * size, x[:2]]), 20)
    np.testing.assert_array_equal(beside.neighbours[300:309], alone.neighbours)
    np.testing.assert_array_equal(beside.scores[300:309], alone.scores)
    assert results(one, queries) == plain(fnames, x, queries, name)


@pytest.mark.parametrize(
    "name", ["nns", "mips", "mcss", "nns-Flat", "mips-HNSW8-efSearch=32", "nns-IVF16-nprobe=4"]
)
def test_what_single_precision_cannot_hold_is_refused_and_leaves_the_index_as_it_was(name):
    fnames, x = clips()
    one = Index.build(fnames, x, name)
    before = one.rank(x[:5])
    huge = np.full((1, 16), 1e60)
    with pytest.raises(ValueError, match=r"a value of .* is beyond single precision, .*: scale them"):
        one.add(["huge"], huge)
    with pytest.raises(ValueError, match="beyond single precision"):
        one.rank(huge)
    assert len(one) == len(one.clips) == 300
    np.testing.assert_array_equal(one.rank(x[:5]).scores, before.scores)
    if one.method.is_exact:
        with pytest.raises(ValueError, match="beyond single precision"):
            Index.build(["huge"], huge, name)


@pytest.mark.parametrize("size", [2.0**60, 2.0**100])
def test_clips_nearest_to_a_far_sound_are_those_furthest_in_its_direction(size):
    fnames, x = clips()
    queries = clips(9, seed=1)[1]
    found = Index.build(fnames, x, "nns").rank(queries * size, 5)
    towards = Index.build(fnames, x - x.mean(axis=0), "mips").rank(queries, 5)
    np.testing.assert_array_equal(found.neighbours, towards.neighbours)
    lengths = np.linalg.norm(queries.astype(float), axis=1, keepdims=True) * size
    np.testing.assert_allclose(found.scores, np.broadcast_to(lengths, found.scores.shape), rtol=1e-6)


def test_one_clip_is_found_and_a_clip_that_asks_is_its_own_nearest():
    one = Index.build(["a"], np.array([[0.3, 0.7]]), "nns").rank(np.array([[0.3, 0.7], [0.3, 1.7]]))
    np.testing.assert_array_equal(one.neighbours, [[0], [0]])
    np.testing.assert_allclose(one.scores, [[0], [1]], rtol=1e-6)
    with pytest.raises(ValueError, match=r"a corpus of 1 clip\(s\) can't be searched by its clips"):
        timing.rank_members(["a"], np.array([[0.3, 0.7]]), "nns")
    fnames, x = clips()
    itself = Index.build(fnames, x + 1000, "nns").rank(x + 1000, 1)
    np.testing.assert_array_equal(itself.neighbours[:, 0], np.arange(300))
    np.testing.assert_array_equal(itself.scores, 0)


@pytest.mark.parametrize(
    "name", ["nns-IVF16-nprobe=4", "mcss-IVF16-SQfp16-nprobe=4", "nns-IVF16-PQ8x4-nprobe=4"]
)
def test_adding_to_the_same_centroids_equals_taking_all_in_at_once(name):
    (fnames, x), (more, y), queries = clips(), clips(80, seed=2), clips(15, seed=1)[1]
    grown, at_once = Index.build(fnames, x, name), Index.build(fnames, x, name)
    grown.add(more, y)
    at_once.clips.index.reset()  # what was learnt stays
    at_once.clips.add(np.vstack([x, y]))
    a, b = grown.rank(queries, 50), Index(fnames + more, at_once.clips).rank(queries, 50)
    np.testing.assert_array_equal(a.neighbours, b.neighbours)
    np.testing.assert_array_equal(a.scores, b.scores)


@pytest.mark.parametrize("name", SEARCHES)
def test_what_is_deleted_is_never_found(name):
    fnames, x = clips()
    one, gone = Index.build(fnames, x, name), fnames[::2]
    one.delete(gone)
    assert len(one) == 150
    found = results(one, x, 150)  # each deleted clip queries too, nearest to itself
    assert not set(gone) & {fname for names in found for fname in names}
    assert all(found)
    with pytest.raises(ValueError, match=r"1 of 1 clips to delete are not among the 150 of the index"):
        one.delete(gone[:1])


@pytest.mark.parametrize("name", [*LOOKS_EVERYWHERE[:-1], "nns-IVF4-nprobe=4"])
@pytest.mark.parametrize("seed", range(2))
def test_any_order_of_adding_and_deleting_finds_what_a_plain_loop_finds(name, seed):
    rng = np.random.default_rng(seed)
    fnames, x = clips(20)
    one, there = Index.build(fnames, x, name), dict(zip(fnames, x, strict=True))
    for step in range(2, 14):
        if rng.random() < 0.5 and len(there) > 8:
            gone = rng.choice(list(there), 5, replace=False).tolist()
            one.delete(gone)
            for fname in gone:
                del there[fname]
        else:
            more, y = clips(int(rng.integers(0, 9)), seed=step)
            one.add(more, y)
            there |= dict(zip(more, y, strict=True))
        assert len(one) == len(there)
        query = clips(1, seed=50 + step)[1]
        (found,) = results(one, query, 100)
        assert found == plain(list(there), np.array(list(there.values())), query, name, 100)[0]


@pytest.mark.parametrize("name", SEARCHES)
def test_a_deleted_clip_can_come_back_elsewhere(name):
    fnames, x = clips()
    one = Index.build(fnames, x, name)
    one.delete(["0-7"])
    assert "0-7" not in one
    one.add(["0-7"], -x[7:8])
    assert "0-7" in one
    assert len(one) == 300
    assert "0-7" in results(one, -x[7:8], 20)[0]


@pytest.mark.parametrize("name", SEARCHES)
def test_an_index_is_read_back_as_it_was_and_goes_on(name, artefact):
    (fnames, x), queries = clips(), clips(15, seed=1)[1]
    one = Index.build(fnames, x, name)
    one.add(*clips(40, seed=2))
    one.delete(fnames[50:90])
    one.write(artefact(name))
    again = Index.read(artefact(name))
    assert again.method == one.method
    assert len(again) == len(one) == 300
    for seed in (3, 4):
        np.testing.assert_array_equal(again.rank(queries).neighbours, one.rank(queries).neighbours)
        np.testing.assert_array_equal(again.rank(queries).scores, one.rank(queries).scores)
        if "HNSW" in name:  # how many levels a new clip has is drawn anew
            break
        for either in (one, again):
            either.add(*clips(20, seed))
    assert len(again) == len(one)


def test_other_embeddings_are_refused_with_both_digests_and_the_mend(artefact):
    Index.build(*clips(), "nns-Flat").write(artefact("nns-Flat", "a" * 64))
    message = r"another embeddings \(aaaaaaaaaaaa, where bbbbbbbbbbbb is there now\): run 03_search again"
    with pytest.raises(StaleArtefactError, match=message):
        Index.read(artefact("nns-Flat", "b" * 64))


def test_another_search_is_refused_with_both(artefact):
    Index.build(*clips(), "nns-Flat").write(artefact("nns-Flat"))
    with pytest.raises(StaleArtefactError, match=r"search='nns-Flat', not 'mips-Flat': run 03_search"):
        Index.read(artefact("mips-Flat"))
    with pytest.raises(StaleArtefactError, match=r"for search 'nns', not 'mips-Flat'"):
        Index.build(*clips(), "nns").write(artefact("mips-Flat"))


def rewritten(artefact, **columns):
    """Put other columns into a stored index, and leave what it says of itself."""
    table, about = artefact.read(), artefact.metadata()
    for name, column in columns.items():
        table = table.set_column(table.schema.names.index(name), name, column)
    sealed.write(artefact.path, table, about)


def test_a_changed_content_is_refused_before_faiss_sees_it(artefact, monkeypatch):
    stored = artefact("nns-Flat")
    Index.build(*clips(), "nns-Flat").write(stored)
    content = pq.read_table(stored.path)["content"].to_pylist()
    content[100] = bytes([content[100][0] ^ 1]) + content[100][1:]
    rewritten(stored, content=pa.array(content, pa.large_binary()))
    monkeypatch.setattr("faiss.deserialize_index", lambda content: pytest.fail("was read"))
    with pytest.raises(DamagedArtefactError, match=r"not the index that it says: delete it .* sha256"):
        Index.read(stored)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("nns-Flat", "nns-HNSW8-efSearch=32"),
        ("nns-Flat", "mips-Flat"),
        ("nns-PQ8x4", "nns-Flat"),
        ("nns-IVF16-nprobe=4", "nns-Flat"),
        ("nns-HNSW8-efSearch=32", "nns-HNSW8-SQfp16-efSearch=32"),
    ],
)
def test_an_index_of_another_kind_is_refused(name, other):
    fnames, x = clips()
    content = Index.build(fnames, x, other).clips.to_bytes()
    with pytest.raises(ValueError, match=r"holds a \w+ of 16 dimensions, not the \w+ of 16"):
        approximate.FaissIndex.from_bytes(content, naming.parse(name), 16, 0)


def test_a_half_file_and_a_foreign_one_are_refused(artefact):
    stored = artefact("nns-Flat")
    with pytest.raises(FileNotFoundError, match=r"does not exist: run 03_search with"):
        Index.read(stored)
    Index.build(*clips(), "nns-Flat").write(stored)
    content = stored.path.read_bytes()
    for bad in (content[: len(content) // 2], b"PK\x03\x04 nothing", b""):
        stored.path.write_bytes(bad)
        with pytest.raises(DamagedArtefactError, match="is damaged"):
            Index.read(stored)
    for bad in (b"", b"x", b"IxF2" + bytes(60)):
        with pytest.raises(ValueError, match=r"not an index of faiss|holds a"):
            approximate.FaissIndex.from_bytes(np.frombuffer(bad, np.uint8), naming.parse("nns-Flat"), 16, 0)
    stored.write({"fname": ["a"]})
    with pytest.raises(DamagedArtefactError, match="not the index that it says"):
        Index.read(stored)


@pytest.mark.parametrize("name", ["nns", "nns-Flat"])
def test_what_does_not_fit_is_refused(name):
    fnames, x = clips()
    one = Index.build(fnames, x, name)
    with pytest.raises(ValueError, match="embeddings of 3 dimensions don't fit an index of 16"):
        one.rank(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="1 of 1 embeddings are not finite"):
        one.rank(np.full((1, 16), np.nan))
    with pytest.raises(ValueError, match="embeddings of 3 dimensions don't fit an index of 16"):
        one.add(["new"], np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"2 fnames \(2 different, 1 already in the index\)"):
        one.add(["new", "0-5"], np.zeros((2, 16)))
    with pytest.raises(ValueError, match=r"2 fnames \(1 different, 0 already in the index\)"):
        one.add(["new", "new"], np.zeros((2, 16)))
    with pytest.raises(ValueError, match="2 clips have 1 different fnames"):
        Index.build(["a", "a"], x[:2], name)
    with pytest.raises(ValueError, match="299 fnames don't name the 300 clips"):
        Index.build(fnames[1:], x, name)
    assert len(one) == len(one.clips) == 300  # what was refused has left nothing behind
    one.delete(fnames)
    with pytest.raises(ValueError, match="top_n=10 of 0 clips: ask for at least one of at least one"):
        one.rank(x[:1], 10)


def test_a_value_beyond_half_precision_is_refused():
    fnames, x = clips()
    one = Index.build(fnames, x, "nns-SQfp16")
    one.add(["large"], 100 * x[:1])
    with pytest.raises(ValueError, match="is beyond half precision here, which holds up to"):
        one.add(["huge"], 1e9 * x[:1])


def test_an_index_of_a_collection_is_of_its_embeddings(small_store):
    import small_study

    for variant, exact in small_study.SYSTEMS.items():
        one = experiment.index_of(small_store, small_study.NAME, variant, exact)
        stored = small_store.embeddings(small_study.NAME, variant).read()
        assert one.fnames == stored["fname"].to_pylist()
        stored_index = small_store.index(small_study.NAME, variant, f"{exact}-Flat")
        built, ranking, cost = timing.rank_members(one.fnames, one.clips.x, f"{exact}-Flat", 5)
        built.write(stored_index)
        again = experiment.index_of(small_store, small_study.NAME, variant, f"{exact}-Flat")
        np.testing.assert_array_equal(
            ranking.neighbours, search.rank(one.clips.x, f"{exact}-Flat", 5).neighbours
        )
        assert results(again, one.clips.x, 3) == results(one, one.clips.x, 3)
        assert dataclasses.asdict(cost) == cost.parameters()
        assert cost.bytes_per_clip > 4 * one.clips.dim
        stored_index.path.unlink()


def test_the_cost_of_an_exact_search_is_its_vectors():
    fnames, x = clips()
    _, ranking, cost = timing.rank_members(fnames, x, "nns", 20)
    assert cost.bytes_per_clip == 64
    assert cost.query_ms > 0
    expected = search.rank(x, "nns", 20)
    np.testing.assert_array_equal(ranking.neighbours, expected.neighbours)
    np.testing.assert_array_equal(ranking.scores, expected.scores)


@pytest.mark.parametrize("exact", list(search.SEARCHES))
def test_what_an_exact_index_has_prepared_follows_what_is_added_and_deleted(exact):
    fnames, x = clips()
    built = Index.build(fnames, x, exact)
    queries = np.vstack([x[:2], x[:3] + 0.25])
    alone = built.rank(queries[3:4], 10)
    np.testing.assert_array_equal(built.rank(queries, 10).scores[3], alone.scores[0])
    built.delete([fnames[5]])
    built.add(["new"], x[:1] * 0.5)
    kept = [row for row in range(len(x) + 1) if row != 5]
    now = np.vstack([x, x[:1] * 0.5])[kept]
    expected = search.rank_outside(now, queries, exact, 10)
    found = built.rank(queries, 10)
    np.testing.assert_array_equal(found.neighbours, np.array(kept)[expected.neighbours])
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_sounds_of_other_dimensions_are_refused():
    with pytest.raises(ValueError, match="sounds of 3 dimensions don't fit clips of 2"):
        search.rank_outside(np.eye(2), np.eye(3))
