"""Words as queries, for models that embed them in the space of their sounds.

Texts are embedded by a text tower (`models.text_tower`), and compared with clips by cosine, exactly. Both are
taken as the model gives them, without processing that was fitted on clips alone.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.dataset.ground_truth import DatasetError, read_csv
from sss_lib.evaluation.across import per_query_across
from sss_lib.evaluation.comparisons import Agreement, rank_agreement
from sss_lib.evaluation.measures import average_precision
from sss_lib.evaluation.relevance import as_label_matrix
from sss_lib.evaluation.resampling import require_options
from sss_lib.search.exact import rank_outside

CUTOFFS = (1, 5, 10)
"""Of R@k, as for Clotho."""


def embed(tower: Callable[[str], np.ndarray], texts: Sequence[str]) -> np.ndarray:
    """Embedding of each text: float32 [n_texts, dim]. Of class names, "_" is read as a space."""
    return np.stack([np.asarray(tower(text.replace("_", " ")), np.float32) for text in texts])


def zero_shot(
    texts: np.ndarray, x: np.ndarray, label_matrix: scipy.sparse.csr_array, n: int | None = None
) -> np.ndarray:
    """AP of each class whose name searches all clips; nan of a class without a clip.

    Parameters
    ----------
    texts : np.ndarray [shape=(n_labels, dim)]
        Embeddings of the names of the classes, from `embed`.
    x : np.ndarray [shape=(n_clips, dim)]
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    n : int, optional
        Cutoff of AP@N, over min(N, R); by default AP of the whole ranking, over R.

    Returns
    -------
    np.ndarray [shape=(n_labels,), dtype=float64]

    Examples
    --------
    >>> x, labels = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[True, False], [True, True]])
    >>> zero_shot(np.array([[1.0, 0.1], [1.0, 0.2]]), x, labels)
    array([1. , 0.5])
    """
    labels, n = as_label_matrix(label_matrix), n or len(x)
    own = scipy.sparse.eye_array(len(texts), dtype=bool, format="csr")
    class_wise, _ = per_query_across(texts, x, own, labels, search="mcss", cutoffs=(n,))
    scores = np.full(len(texts), np.nan)
    scores[class_wise.label] = class_wise.scores("standard")["MAP", n]
    return scores


def read_captions(path: str | Path, fnames: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Captions of clips, and the row of each caption's clip: int [n_captions].

    Parameters
    ----------
    path : str or Path
        Table with a line a caption, fname,caption; or Clotho's, file_name,caption_1,caption_2,... A file's
        name may have its suffix.
    fnames : sequence of str [n_clips]
        Captions of other clips are left out.

    Raises
    ------
    DatasetError
        If the table has no such columns, or no caption of any of the clips.
    """
    table = read_csv(path)
    name = next((one for one in ("fname", "file_name") if one in table), None)
    columns = [one for one in table if one == "caption" or one.startswith("caption_")]
    if not name or not columns:
        raise DatasetError(f"{path} has columns {', '.join(table)}: give fname,caption")
    row_of = {fname: row for row, fname in enumerate(fnames)}
    rows = [row_of.get(one, row_of.get(Path(one).stem, -1)) for one in table[name]]
    texts = table[columns].to_numpy()
    found = [
        (text, row) for of_clip, row in zip(texts, rows, strict=True) for text in of_clip if text.strip()
    ]
    found = [(text, row) for text, row in found if row >= 0]
    if not found:
        raise DatasetError(f"{path} has captions of none of the {len(fnames)} clips: name them by fname")
    return [text for text, _ in found], np.array([row for _, row in found])


def captioned(texts: np.ndarray, x: np.ndarray, clip_of: np.ndarray) -> pd.DataFrame:
    """R@1, R@5, R@10 and mAP@10 of captions that search their clip, and of clips that search their captions.

    R@k is the share of queries with a right result among the first k. AP@10 is divided by min(10, R), R being
    1 for a caption.

    Parameters
    ----------
    texts : np.ndarray [shape=(n_captions, dim)]
    x : np.ndarray [shape=(n_clips, dim)]
        A clip without a caption is found, but asks nothing.
    clip_of : np.ndarray [shape=(n_captions,), dtype=int]
        From `read_captions`.

    Returns
    -------
    pd.DataFrame [index text to audio, audio to text]
        R@1, R@5, R@10, mAP@10, n_queries.

    References
    ----------
    Drossos, Lipping and Virtanen (2020), Clotho: an audio captioning dataset, ICASSP; DCASE challenge, task
    of language-based audio retrieval.
    """
    with_text, rows = np.unique(clip_of), {}
    sides = {
        "text to audio": (x, texts, clip_of, np.arange(len(x))),
        "audio to text": (texts, x[with_text], with_text, clip_of),
    }
    for side, (corpus, queries, wanted, of_result) in sides.items():
        found = rank_outside(corpus, queries, "mcss", min(max(CUTOFFS), len(corpus))).neighbours
        hits = of_result[found] == wanted[:, None]
        n_right = np.bincount(of_result, minlength=len(x))[wanted]
        precision = average_precision(hits, np.minimum(n_right, 10), 10)
        recall = {f"R@{k}": hits[:, :k].any(axis=1).mean() for k in CUTOFFS}
        rows[side] = {**recall, "mAP@10": precision.mean(), "n_queries": len(hits)}
    return pd.DataFrame(rows).T


def agreement(
    by_audio: np.ndarray, by_text: np.ndarray, *, n_draws: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Agreement:
    """Whether systems come in the same order when clips search and when class names do: Kendall's tau-b.

    Classes are drawn anew, the same ones for both; see `comparisons.rank_agreement`.

    Parameters
    ----------
    by_audio, by_text : np.ndarray [shape=(n_systems, n_labels)]
        Scores of each class; one that is nan anywhere is left out.
    n_draws, confidence, seed
        As in `intervals.bootstrap_intervals`.
    """
    require_options(n_draws, confidence)
    if by_audio.shape != by_text.shape:
        raise ValueError(f"scores of shapes {by_audio.shape} and {by_text.shape}: give both of all systems")
    answered = np.flatnonzero(np.isfinite(by_audio + by_text).all(axis=0))
    drawn = np.random.default_rng(seed).choice(answered, (n_draws, len(answered)))
    draws = [
        np.column_stack([one[:, answered].mean(1), one[:, drawn].mean(2)]) for one in (by_audio, by_text)
    ]
    return rank_agreement(*draws, confidence=confidence)
