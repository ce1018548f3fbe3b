"""Numbers of other tools, where definitions meet ours: ranx, ir_measures, pytrec_eval, scikit-learn."""

import ir_measures
import numpy as np
import pytest
import scipy.sparse
import sklearn.metrics
from test_relevance import PARENTS

from sss_lib import metrics, relevance, trec
from sss_lib.evaluation.protocols import Protocol
from sss_lib.search import rank

TREC = Protocol("trec", "R", "R")
"""AP over R: what the TREC tools compute."""
N_CLIPS, CUTOFFS = 60, (5, 20)
FNAMES = [f"clip {i:03}" for i in range(N_CLIPS)]


@pytest.fixture(scope="module")
def corpus():
    """Embeddings, labels with ancestors, and a ranking of the whole corpus."""
    rng = np.random.default_rng(0)
    labels = list(PARENTS)
    has_label = rng.random((N_CLIPS, len(labels))) < 0.15
    for child, above in (("Bark", "Dog"), ("Dog", "Animal"), ("Cat", "Animal")):
        has_label[:, labels.index(above)] |= has_label[:, labels.index(child)]
    x = rng.normal(size=(N_CLIPS, 4)).astype(np.float32)
    return x, scipy.sparse.csr_array(has_label), labels, rank(x, top_n=N_CLIPS - 1)


def ours(corpus, protocol, kind="class", cutoffs=CUTOFFS):
    """Scores by (query as TREC names it, metric, cutoff)."""
    x, label_matrix, labels, ranking = corpus
    rule = relevance.define(kind, labels, parents=PARENTS)
    results = metrics.per_query(
        x, label_matrix, cutoffs=cutoffs, ranking=ranking, relevant=rule, count_all=True
    )
    found = {}
    for queries in results:
        for (metric, n), scores in queries.scores(protocol).items():
            for q, c, score in zip(queries.query, queries.label, scores, strict=True):
                name = FNAMES[q].replace(" ", "%20") + (f"|{labels[c]}" if c >= 0 else "")
                found[name, metric, n] = score
    return found


def files(corpus, folder, kind="class"):
    """Paths of run and qrels, of both kinds of queries together; graded ones only by clip."""
    _, label_matrix, labels, ranking = corpus
    rule = relevance.define(kind, labels, parents=PARENTS)
    by_class = (None,) if kind == "graded" else (None, labels)
    for i, names in enumerate(by_class):
        trec.write_run(folder / f"run{i}", ranking, FNAMES, label_matrix, names)
        trec.write_qrels(folder / f"qrels{i}", label_matrix, FNAMES, names, relevant=rule)
    paths = []
    for name in ("run", "qrels"):
        paths.append(folder / name)
        parts = [(folder / f"{name}{i}").read_text() for i in range(len(by_class))]
        paths[-1].write_text("".join(parts))
    return paths


@pytest.mark.parametrize("provider", ["pytrec_eval", "default"])
def test_ir_measures_agrees_on_every_query(corpus, tmp_path, provider):
    run, qrels = files(corpus, tmp_path)
    tool = ir_measures.pytrec_eval if provider == "pytrec_eval" else ir_measures
    measures = [ir_measures.AP @ n for n in CUTOFFS] + [ir_measures.RR]
    theirs = tool.iter_calc(
        measures, list(ir_measures.read_trec_qrels(str(qrels))), list(ir_measures.read_trec_run(str(run)))
    )
    theirs = {(m.query_id, str(m.measure)): m.value for m in theirs}
    found = ours(corpus, TREC)
    answered = {name for name, *_ in found if np.isfinite(found[name, "MR1", None])}
    assert len(answered) > 100
    for name in answered:
        for n in CUTOFFS:
            assert theirs[name, f"AP@{n}"] == pytest.approx(found[name, "MAP", n]), name
        assert theirs[name, "RR"] == pytest.approx(1 / found[name, "MR1", None]), name


def test_trec_eval_agrees_where_nothing_is_cut_off(corpus, tmp_path):
    """Over the whole corpus min(N, R) is R, so that the standard protocol is TREC's average precision."""
    run, qrels = files(corpus, tmp_path)
    theirs = ir_measures.iter_calc(
        [ir_measures.AP, ir_measures.Rprec],
        list(ir_measures.read_trec_qrels(str(qrels))),
        list(ir_measures.read_trec_run(str(run))),
    )
    theirs = {m.query_id: m.value for m in theirs if m.measure == ir_measures.AP}
    found = ours(corpus, "standard", cutoffs=(N_CLIPS - 1,))
    for name, ap in theirs.items():
        assert ap == pytest.approx(found[name, "MAP", N_CLIPS - 1]), name


@pytest.mark.parametrize("kind", ["class", "graded"])
def test_ranx_agrees_on_every_query(ranx, corpus, tmp_path, kind):
    paths = files(corpus, tmp_path, kind)
    run, qrels = (
        ranx.Run.from_file(str(paths[0]), kind="trec"),
        ranx.Qrels.from_file(str(paths[1]), kind="trec"),
    )
    names = {("MAP", n): f"map@{n}" for n in CUTOFFS} | {("MR1", None): "mrr"}
    if kind == "graded":
        names = {("NDCG", n): f"ndcg@{n}" for n in CUTOFFS}
    ranx.evaluate(qrels, run, list(names.values()), make_comparable=True)
    found = ours(corpus, TREC, kind)
    assert len(qrels) > 30
    for (metric, n), theirs in names.items():
        for name, value in run.scores[theirs].items():
            if name not in qrels.qrels:
                continue
            expected = found[name, metric, n]
            assert value == pytest.approx(1 / expected if metric == "MR1" else expected), (name, metric, n)


def test_ir_measures_agrees_on_graded_gains(corpus, tmp_path):
    run, qrels = files(corpus, tmp_path, "graded")
    theirs = ir_measures.iter_calc(
        [ir_measures.nDCG @ n for n in CUTOFFS],
        list(ir_measures.read_trec_qrels(str(qrels))),
        list(ir_measures.read_trec_run(str(run))),
    )
    found = ours(corpus, "standard", "graded")
    n_seen = 0
    for m in theirs:
        expected = found[m.query_id, "NDCG", m.measure["cutoff"]]
        n_seen += np.isfinite(expected)
        assert m.value == pytest.approx(expected if np.isfinite(expected) else 0)
    assert n_seen > 60


def test_scikit_learn_agrees_without_ties(corpus):
    _, label_matrix, labels, ranking = corpus
    has_label = label_matrix.toarray()
    found = ours(corpus, "standard", cutoffs=(N_CLIPS - 1,))
    graded = ours(corpus, "standard", "graded")
    depths = relevance.depths(labels, PARENTS)
    n_seen = 0
    for q, neighbours in enumerate(ranking.neighbours):
        score, name = -np.arange(N_CLIPS - 1.0), FNAMES[q].replace(" ", "%20")
        for c in np.flatnonzero(has_label[q]):
            hits = has_label[neighbours, c]
            if hits.any():
                expected = sklearn.metrics.average_precision_score(hits, score)
                assert found[f"{name}|{labels[c]}", "MAP", N_CLIPS - 1] == pytest.approx(expected)
        gains = (has_label[q] & has_label[neighbours]) * depths
        gains = gains.max(axis=1)
        if gains.any():
            for n in CUTOFFS:
                expected = sklearn.metrics.ndcg_score([gains], [score], k=n)
                assert graded[name, "NDCG", n] == pytest.approx(expected)
            n_seen += 1
    assert n_seen > 20


def test_the_rankings_are_scikit_learns_neighbours(corpus):
    from sklearn.neighbors import NearestNeighbors

    x, *_, ranking = corpus
    _, found = NearestNeighbors(n_neighbors=N_CLIPS).fit(x).kneighbors(x)
    np.testing.assert_array_equal(ranking.neighbours, found[:, 1:])  # no duplicates: itself comes first
