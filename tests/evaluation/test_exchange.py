import numpy as np
import pytest
import scipy.sparse

from sss_lib import exchange, metrics, relevance
from sss_lib.search import Ranking, rank

FNAMES = ["a b", "é|1", "007", "1e5"]
LABELS = ["Keyboard_(musical)", "Bird vocalization, song"]
HAS_LABEL = np.array([[1, 0], [1, 1], [0, 1], [1, 0]], bool)
X = np.array([[0.0], [1.0], [1.5], [3.0]])


@pytest.mark.parametrize("by_class", [False, True])
def test_a_run_comes_back_as_it_was(tmp_path, by_class):
    ranking = rank(X, top_n=3)
    arguments = (HAS_LABEL, LABELS) if by_class else ()
    exchange.write_run(tmp_path / "run.txt", ranking, FNAMES, *arguments)
    back = exchange.read_run(tmp_path / "run.txt", FNAMES)
    np.testing.assert_array_equal(back.neighbours, ranking.neighbours)
    plain, read = (metrics.evaluate(X, HAS_LABEL, LABELS, cutoffs=(3,), ranking=r) for r in (ranking, back))
    np.testing.assert_array_equal(plain["value"], read["value"])


def test_the_lines_of_a_run_and_of_qrels(tmp_path):
    exchange.write_run(tmp_path / "run", rank(X, top_n=2), FNAMES, HAS_LABEL, LABELS, tag="my system")
    assert (tmp_path / "run").read_text().splitlines()[:4] == [
        "a%20b|Keyboard_(musical) Q0 %C3%A9%7C1 1 1 my%20system",
        "a%20b|Keyboard_(musical) Q0 007 2 0 my%20system",
        "%C3%A9%7C1|Keyboard_(musical) Q0 007 1 1 my%20system",
        "%C3%A9%7C1|Keyboard_(musical) Q0 a%20b 2 0 my%20system",
    ]
    exchange.write_qrels(tmp_path / "qrels", HAS_LABEL, FNAMES, LABELS)
    assert (tmp_path / "qrels").read_text().splitlines()[:3] == [
        "a%20b|Keyboard_(musical) 0 %C3%A9%7C1 1",
        "a%20b|Keyboard_(musical) 0 1e5 1",
        "%C3%A9%7C1|Keyboard_(musical) 0 a%20b 1",
    ]


def test_qrels_come_back_with_their_gains(tmp_path):
    rule = relevance.define("graded", LABELS, parents={LABELS[1]: ["Bird"]})
    exchange.write_qrels(tmp_path / "qrels", scipy.sparse.csr_array(HAS_LABEL), FNAMES, relevant=rule)
    back = exchange.read_qrels(tmp_path / "qrels")
    gains = {(q, d): g for q, d, g in zip(back["query"], back["fname"], back["gain"], strict=True)}
    assert gains == {
        ("a b", "é|1"): 1,
        ("a b", "1e5"): 1,
        ("é|1", "a b"): 1,
        ("é|1", "007"): 2,
        ("é|1", "1e5"): 1,
        ("007", "é|1"): 2,
        ("1e5", "a b"): 1,
        ("1e5", "é|1"): 1,
    }
    assert set(back["label"]) == {""}
    exchange.write_qrels(tmp_path / "qrels", HAS_LABEL, FNAMES, LABELS)
    assert exchange.read_qrels(tmp_path / "qrels")["label"].unique().tolist() == LABELS


def test_what_a_rule_excludes_is_in_neither_file(tmp_path):
    rule = relevance.Relevance(groups=np.array([0, 0, 1, 1]), excluded="uploader")
    exchange.write_run(tmp_path / "run", rank(X, top_n=3, groups=rule.groups), FNAMES)
    exchange.write_qrels(tmp_path / "qrels", HAS_LABEL, FNAMES, relevant=rule)
    back = exchange.read_run(tmp_path / "run", FNAMES)
    assert sorted(back.neighbours[0].tolist()) == [2, 3]
    qrels = exchange.read_qrels(tmp_path / "qrels")
    assert qrels.loc[qrels["query"] == "é|1", "fname"].tolist() == ["007", "1e5"]


def test_a_run_by_another_tool_is_in_the_order_of_its_ranks(tmp_path):
    (tmp_path / "run").write_text("007 Q0 1e5 2 0.5 t\n007 Q0 a%20b 1 0.5 t\n1e5 Q0 007 1 0.1 t\n")
    back = exchange.read_run(tmp_path / "run", FNAMES)
    assert back.neighbours.tolist() == [[-1, -1], [-1, -1], [0, 3], [2, -1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("007 Q0 zzz 1 0.5 t\n", "names 'zzz', which is none of the 4 clips"),
        ("007 Q0 1e5 1 0.5\n", "line 1 of .* has 5 columns, not 6"),
        ("007|x Q0 1e5 1 1 t\n007|y Q0 a%20b 1 1 t\n", "different results for the classes of '007'"),
    ],
)
def test_runs_that_cannot_be_read_are_refused(tmp_path, text, message):
    (tmp_path / "run").write_text(text)
    with pytest.raises(ValueError, match=message):
        exchange.read_run(tmp_path / "run", FNAMES)


def test_embeddings_come_back_from_npz(tmp_path):
    exchange.write_npz(tmp_path / "x.npz", FNAMES, X)
    fnames, x = exchange.read_npz(tmp_path / "x.npz")
    assert fnames == FNAMES
    np.testing.assert_array_equal(x, X)
    assert np.load(tmp_path / "x.npz")["fname"].tolist() == FNAMES  # without our code
    with pytest.raises(ValueError, match="1 fnames don't match 4 embeddings"):
        exchange.write_npz(tmp_path / "x.npz", ["a"], X)
    np.savez(tmp_path / "other.npz", x=X)
    with pytest.raises(ValueError, match="holds x, but no 'fname'"):
        exchange.read_npz(tmp_path / "other.npz")


def test_a_run_of_no_results_is_empty(tmp_path):
    nothing = Ranking(np.empty((4, 0), np.int32), np.empty((4, 0), np.float32))
    exchange.write_run(tmp_path / "run", nothing, FNAMES)
    assert exchange.read_run(tmp_path / "run", FNAMES).neighbours.shape == (4, 0)


def test_names_and_labels_that_dont_fit_are_refused(tmp_path):
    x, has_label = np.arange(4.0)[:, None], np.eye(4, dtype=bool)
    ranking, fnames = rank(x, top_n=2), ["a", "b", "c", "d"]
    for names in (["a", "b", "c", "a"], ["", "b", "c", "d"]):
        with pytest.raises(ValueError, match="4 clips have 3 different fnames"):
            exchange.write_run(tmp_path / "a.run", ranking, names)
    with pytest.raises(ValueError, match="3 fnames don't name 4 clips"):
        exchange.write_run(tmp_path / "a.run", ranking, fnames[:3])
    with pytest.raises(ValueError, match="3 fnames don't name 4 clips"):
        exchange.write_qrels(tmp_path / "a.qrels", has_label, fnames[:3])
    with pytest.raises(ValueError, match="4 labels, but no label matrix"):
        exchange.write_run(tmp_path / "a.run", ranking, fnames, None, fnames)
    with pytest.raises(ValueError, match="a label matrix of 3 clips doesn't match 4 fnames"):
        exchange.write_run(tmp_path / "a.run", ranking, fnames, has_label[:3])
    exchange.write_run(tmp_path / "a.run", ranking, fnames, has_label)  # an array, not a sparse one
    np.testing.assert_array_equal(
        exchange.read_run(tmp_path / "a.run", fnames).neighbours, ranking.neighbours
    )
