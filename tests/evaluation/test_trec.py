"""Files for other tools, line by line, and runs that come back as they were."""

import itertools
from urllib.parse import unquote

import numpy as np
import pytest
import scipy.sparse

from sss_lib import metrics, relevance, trec
from sss_lib.search import Ranking, rank

FNAMES = ["a b", "é|1", "007", "1e5"]
LABELS = ["Keyboard_(musical)", "Bird vocalization, song"]
HAS_LABEL = np.array([[1, 0], [1, 1], [0, 1], [1, 0]], bool)
X = np.array([[0.0], [1.0], [1.5], [3.0]])


def gains(path):
    """Gain by query and clip of qrels with a query a clip."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {(unquote(query), unquote(clip)): int(gain) for query, _, clip, gain in lines}


@pytest.mark.parametrize("by_class", [False, True])
def test_a_run_comes_back_as_it_was(tmp_path, by_class):
    ranking = rank(X, top_n=3)
    arguments = (scipy.sparse.csr_array(HAS_LABEL), LABELS) if by_class else ()
    trec.write_run(tmp_path / "run", ranking, FNAMES, *arguments)
    back = trec.read_run(tmp_path / "run", FNAMES)
    np.testing.assert_array_equal(back.neighbours, ranking.neighbours)
    plain, read = (metrics.evaluate(X, HAS_LABEL, LABELS, cutoffs=(3,), ranking=r) for r in (ranking, back))
    np.testing.assert_array_equal(plain["value"], read["value"])


def test_a_run_of_no_results_is_empty(tmp_path):
    nothing = Ranking(np.empty((4, 0), np.int32), np.empty((4, 0), np.float32))
    trec.write_run(tmp_path / "run", nothing, FNAMES)
    assert trec.read_run(tmp_path / "run", FNAMES).neighbours.shape == (4, 0)


def test_the_lines_of_a_run_and_of_qrels(tmp_path):
    trec.write_run(tmp_path / "run", rank(X, top_n=2), FNAMES, HAS_LABEL, LABELS, tag="my system")
    assert (tmp_path / "run").read_text().splitlines()[:4] == [
        "a%20b|Keyboard_(musical) Q0 %C3%A9%7C1 1 1 my%20system",
        "a%20b|Keyboard_(musical) Q0 007 2 0 my%20system",
        "%C3%A9%7C1|Keyboard_(musical) Q0 007 1 1 my%20system",
        "%C3%A9%7C1|Keyboard_(musical) Q0 a%20b 2 0 my%20system",
    ]
    trec.write_qrels(tmp_path / "qrels", HAS_LABEL, FNAMES, LABELS)
    assert (tmp_path / "qrels").read_text().splitlines()[:3] == [
        "a%20b|Keyboard_(musical) 0 %C3%A9%7C1 1",
        "a%20b|Keyboard_(musical) 0 1e5 1",
        "%C3%A9%7C1|Keyboard_(musical) 0 a%20b 1",
    ]


def test_graded_qrels_have_their_gains(tmp_path):
    rule = relevance.define("graded", LABELS, parents={LABELS[1]: ["Bird"]})
    trec.write_qrels(tmp_path / "qrels", scipy.sparse.csr_array(HAS_LABEL), FNAMES, relevant=rule)
    of_first_label = itertools.permutations(["a b", "é|1", "1e5"], 2)
    assert gains(tmp_path / "qrels") == {
        **dict.fromkeys(of_first_label, 1),
        **dict.fromkeys([("é|1", "007"), ("007", "é|1")], 2),
    }


def test_what_a_rule_excludes_is_in_neither_file(tmp_path):
    rule = relevance.Relevance(groups=np.array([0, 0, 1, 1]), excluded="uploader")
    trec.write_run(tmp_path / "run", rank(X, top_n=3, groups=rule.groups), FNAMES)
    trec.write_qrels(tmp_path / "qrels", HAS_LABEL, FNAMES, relevant=rule)
    assert sorted(trec.read_run(tmp_path / "run", FNAMES).neighbours[0].tolist()) == [2, 3]
    assert [clip for query, clip in gains(tmp_path / "qrels") if query == "é|1"] == ["007", "1e5"]


def test_a_run_by_another_tool_is_in_the_order_of_its_ranks(tmp_path):
    (tmp_path / "run").write_text("007 Q0 1e5 2 0.5 t\n007 Q0 a%20b 1 0.5 t\n1e5 Q0 007 1 0.1 t\n")
    back = trec.read_run(tmp_path / "run", FNAMES)
    assert back.neighbours.tolist() == [[-1, -1], [-1, -1], [0, 3], [2, -1]]


def test_the_query_is_none_of_its_results_and_no_score_is_over_one(tmp_path):
    lines = [
        (i, other, rank)
        for i in range(4)
        for rank, other in enumerate([i, *range(4)], 1)
        if rank < 2 or other != i
    ]
    names = [FNAMES[i].replace(" ", "%20").replace("|", "%7C") for i in range(4)]
    (tmp_path / "run").write_text("".join(f"{names[i]} Q0 {names[j]} {rank} 1 t\n" for i, j, rank in lines))
    back = trec.read_run(tmp_path / "run", FNAMES)
    assert back.neighbours.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    scores = metrics.evaluate(X, HAS_LABEL, LABELS, cutoffs=(1, 3), ranking=back)
    assert scores.loc[scores["metric"] == "MAP", "value"].max() <= 1


@pytest.mark.parametrize("ranks", [(0, 0, 0), (1, 1, 1), (7, 7, 7)])
def test_results_of_one_rank_are_ordered_by_their_scores(tmp_path, ranks):
    lines = zip(["1e5", "a%20b", "%C3%A9%7C1"], ranks, [0.5, 0.25, 0.75], strict=True)
    (tmp_path / "run").write_text("".join(f"007 Q0 {name} {rank} {score} t\n" for name, rank, score in lines))
    back = trec.read_run(tmp_path / "run", FNAMES)
    assert back.neighbours[2].tolist() == [1, 3, 0]
    np.testing.assert_array_equal(back.scores[2], np.array([0.75, 0.5, 0.25], np.float32))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("007 Q0 zzz 1 0.5 t\n", "names 'zzz', which is none of the 4 clips"),
        ("007 Q0 1e5 1 0.5\n", "line 1 of .* has 5 columns, not 6"),
        ("007|x Q0 1e5 1 1 t\n007|y Q0 a%20b 1 1 t\n", "has different results for '007'"),
    ],
)
def test_runs_that_cannot_be_read_are_refused(tmp_path, text, message):
    (tmp_path / "run").write_text(text)
    with pytest.raises(ValueError, match=message):
        trec.read_run(tmp_path / "run", FNAMES)


def test_embeddings_are_written_for_numpy(tmp_path):
    trec.write_npz(tmp_path / "x.npz", FNAMES, X)
    arrays = np.load(tmp_path / "x.npz")
    assert arrays["fname"].tolist() == FNAMES
    np.testing.assert_array_equal(arrays["embedding"], X)
    with pytest.raises(ValueError, match="1 fnames don't match 4 embeddings"):
        trec.write_npz(tmp_path / "x.npz", ["a"], X)


@pytest.mark.parametrize(
    ("names", "arguments", "message"),
    [
        (["a", "b", "c", "a"], (), "4 clips have 3 different fnames"),
        (["", "b", "c", "d"], (), "4 clips have 3 different fnames"),
        (FNAMES[:3], (), "3 fnames don't name 4 clips"),
        (FNAMES, (None, LABELS), "2 labels, but no label matrix"),
        (FNAMES, (HAS_LABEL[:3],), "a label matrix of 3 clips doesn't match 4 fnames"),
    ],
)
def test_names_and_labels_that_dont_fit_are_refused(tmp_path, names, arguments, message):
    with pytest.raises(ValueError, match=message):
        trec.write_run(tmp_path / "run", rank(X, top_n=2), names, *arguments)
    if not arguments:
        with pytest.raises(ValueError, match=message):
            trec.write_qrels(tmp_path / "qrels", HAS_LABEL, names)
