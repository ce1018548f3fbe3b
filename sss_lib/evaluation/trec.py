"""Exchange with other tools: TREC runs and qrels, and embeddings as npz.

A query is named by its clip's fname or, class-wise, by fname|label. Names are percent-encoded, as TREC parts
columns by spaces: `Keyboard_(musical)` stays, `a b` becomes `a%20b`.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
import scipy.sparse

from sss_lib.evaluation import counts
from sss_lib.evaluation import relevance as rules
from sss_lib.evaluation.relevance import Relevance
from sss_lib.io.artefact import replacing
from sss_lib.io.given_files import clip_id
from sss_lib.io.given_rankings import lists_in
from sss_lib.search.ranking import Ranking


def write_run(
    path: str | Path,
    ranking: Ranking,
    fnames: Sequence[str],
    label_matrix: scipy.sparse.csr_array | None = None,
    labels: Sequence[str] | None = None,
    *,
    tag: str = "sss_lib",
) -> None:
    """Write a ranking as a TREC run: query, Q0, clip, rank from 1, score, tag.

    Tools sort by score and break ties each in its own way. So the score is the number of results behind,
    and the similarity itself isn't written.

    Parameters
    ----------
    path : str or Path
    ranking : Ranking
        Of all clips by all clips.
    fnames : sequence of str [n_clips]
    label_matrix, labels : optional
        Given: a query for each clip and class. Else one for each clip.
    tag : str
        Name of the system.
    """
    clips = _names(fnames, len(ranking.neighbours))
    tag = _encoded(tag)
    if labels is not None and label_matrix is None:
        raise ValueError(
            f"{len(labels)} labels, but no label matrix: give both for a query a class, or neither"
        )
    if label_matrix is not None:
        label_matrix = _matrix_of(label_matrix, clips)

    def lines() -> Iterator[str]:
        for topic, row, _ in _topics(clips, label_matrix, labels):
            found = [clips[i] for i in ranking.neighbours[row] if i >= 0]
            for rank, clip in enumerate(found, 1):
                yield f"{topic} Q0 {clip} {rank} {len(found) - rank} {tag}\n"

    _write_lines(path, lines())


def read_run(path: str | Path, fnames: Sequence[str]) -> Ranking:
    """Read a ranking of others, such as a TREC run by any tool, for `metrics.evaluate`.

    Parameters
    ----------
    path : str or Path
        See `io.given_rankings.lists_in`.
    fnames : sequence of str [n_clips]
        Names of the rows.

    Returns
    -------
    Ranking
        -1 and nan where a query has fewer results than others.

    Raises
    ------
    ValueError
        As `lists_in`, or if a clip isn't among the fnames, or two of these name the same clip.
    """
    row_of = {clip_id(fname): i for i, fname in enumerate(fnames)}
    if len(row_of) < len(fnames):
        raise ValueError(f"{len(fnames)} fnames name {len(row_of)} clips: give each its own")
    found = dict(lists_in(path))
    for name in itertools.chain.from_iterable(
        (query, *(name for name, _ in own)) for query, own in found.items()
    ):
        if name not in row_of:
            raise ValueError(
                f"{path} names {name!r}, which is none of the {len(row_of)} clips: give all fnames"
            )
    n = max(map(len, found.values()), default=0)
    neighbours = np.full((len(fnames), n), -1, np.int32)
    scores = np.full((len(fnames), n), np.nan, np.float32)
    for query, own in found.items():
        row = row_of[query]
        neighbours[row, : len(own)] = [row_of[name] for name, _ in own]
        scores[row, : len(own)] = [score for _, score in own]
    return Ranking(neighbours, scores, ties=f"as in {Path(path).name}")


def write_qrels(
    path: str | Path,
    label_matrix: scipy.sparse.csr_array,
    fnames: Sequence[str],
    labels: Sequence[str] | None = None,
    *,
    relevant: Relevance | None = None,
) -> None:
    """Write what is relevant as TREC qrels: query, 0, clip, gain.

    Parameters
    ----------
    path : str or Path
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    fnames : sequence of str [n_clips]
    labels : sequence of str [n_labels], optional
        Given: a query for each clip and class. Else one for each clip, and any shared class counts.
    relevant : Relevance, optional
        By default "class". Of "graded", queries by clip have their gains.
    """
    relevant = relevant or Relevance()
    counted = relevant.counted(label_matrix)
    clips = _names(fnames, counted.shape[0])
    groups = np.arange(len(clips)) if relevant.groups is None else relevant.groups
    by_class = counted.tocsc()
    weights = relevant.gains if relevant.kind == "graded" else np.ones(counted.shape[1], int)

    def lines() -> Iterator[str]:
        for topic, row, c in _topics(clips, counted, labels):
            own = counted.indices[slice(*counted.indptr[row : row + 2])] if c is None else [c]
            gains = np.zeros(len(clips), int)
            for label in own:
                members = by_class.indices[slice(*by_class.indptr[label : label + 2])]
                gains[members] = np.maximum(gains[members], weights[label] if c is None else 1)
            gains[groups == groups[row]] = 0
            for i in np.flatnonzero(gains):
                yield f"{topic} 0 {clips[i]} {gains[i]}\n"

    _write_lines(path, lines())


def write_npz(path: str | Path, fnames: Sequence[str], x: np.ndarray) -> None:
    """Write clip embeddings for `numpy.load`: arrays fname [n_clips] and embedding [n_clips, dim]."""
    if len(fnames) != len(x):
        raise ValueError(f"{len(fnames)} fnames don't match {len(x)} embeddings: give each its own")
    with replacing(_with_suffix(path, ".npz")) as temporary:
        np.savez(temporary, fname=np.asarray(fnames, str), embedding=x)


def _topics(
    clips: list[str], label_matrix: scipy.sparse.csr_array | None, labels: Sequence[str] | None
) -> Iterator[tuple[str, int, int | None]]:
    """Name, row and class of each query; without labels, one query a clip that has any class."""
    if labels is None:
        has_any = np.ones(len(clips)) if label_matrix is None else np.diff(label_matrix.indptr)
        rows = np.flatnonzero(has_any).tolist()
        yield from ((clips[row], row, None) for row in rows)
    else:
        pairs = counts.class_pairs(label_matrix)
        names = [_encoded(label) for label in labels]
        for row, c in zip(pairs.query.tolist(), pairs.label.tolist(), strict=True):
            yield f"{clips[row]}|{names[c]}", row, c


def _names(fnames: Sequence[str], n_clips: int) -> list[str]:
    """Names as TREC takes them, one a clip."""
    clips = [_encoded(fname) for fname in fnames]
    if len(clips) != n_clips:
        raise ValueError(f"{len(clips)} fnames don't name {n_clips} clips: give each its own")
    if "" in clips or len(set(clips)) < n_clips:
        raise ValueError(f"{n_clips} clips have {len(set(clips) - {''})} different fnames: give each its own")
    return clips


def _matrix_of(label_matrix: object, clips: list[str]) -> scipy.sparse.csr_array:
    matrix = rules.as_label_matrix(label_matrix)
    if matrix.shape[0] != len(clips):
        raise ValueError(f"a label matrix of {matrix.shape[0]} clips doesn't match {len(clips)} fnames")
    return matrix


def _encoded(name: str) -> str:
    return quote(name, safe="()'&,;:+")


def _write_lines(path: str | Path, lines: Iterator[str]) -> None:
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)


def _with_suffix(path: str | Path, suffix: str) -> Path:
    """Path that ends so: numpy would add it to the temporary name alone."""
    path = Path(path)
    return path if path.suffix == suffix else path.with_name(path.name + suffix)
