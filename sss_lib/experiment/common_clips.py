"""Systems of a grid that can be compared, and their scores on the clips that they have in common."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sss_lib.experiment.grid import Grid
from sss_lib.experiment.results import n_clips, scores_on, split_by_availability
from sss_lib.experiment.store import Store
from sss_lib.experiment.variant import Variant
from sss_lib.io.errors import MissingStageError

if TYPE_CHECKING:
    import pandas as pd

    from sss_lib.dataset.dataset import Dataset


@dataclass(frozen=True)
class Comparable:
    """The systems of a grid that can be compared, and the clips that they are compared on.

    Attributes
    ----------
    grid : Grid
        Of the models that can be compared.
    collection : Dataset
        The clips that all of these have embedded.
    words : str
        For captions: what is left out; "" if the models have embedded the same clips.
    """

    grid: Grid
    collection: "Dataset"
    words: str


def comparable(store: Store, dataset: str, grid: Grid, everything: "Dataset") -> Comparable:
    """Which models of a grid can be compared, and on which clips: those that all of them have embedded.

    A model that would leave the others fewer than half of the clips of the fullest, or no class with two
    clips, is left out.

    Raises
    ------
    FileNotFoundError
        If no system has scores.
    """
    available = dict(reversed([(one.model, one) for one, _ in _available(store, dataset, grid)]))
    clips = {
        name: frozenset(store.embeddings(dataset, available[name]).read(["fname"])["fname"].to_pylist())
        for name in grid.models
        if name in available
    }

    def among(fnames: frozenset[str]) -> "Dataset":
        return everything.select([fname for fname in everything.clips["fname"] if fname in fnames])

    by_size = sorted(clips, key=lambda name: -len(clips[name]))
    kept, common = [by_size[0]], clips[by_size[0]]
    for name in by_size[1:]:
        both = common & clips[name]
        if both == common or (2 * len(both) >= len(clips[kept[0]]) and (among(both).class_sizes() > 1).any()):
            kept, common = [*kept, name], both
    words = []
    if any(clips[name] != common for name in kept):
        words.append(f"the {len(common)} of {len(everything)} clips that all systems compared have embedded")
    left_out = [f"{name} with {len(clips[name])} clips" for name in clips if name not in kept]
    words += [f"not compared, for too few clips in common: {', '.join(left_out)}"] if left_out else []
    models = tuple(name for name in grid.models if name in kept)
    return Comparable(replace(grid, models=models), among(common), f" ({'; '.join(words)})" if words else "")


def _available(store: Store, dataset: str, grid: Grid) -> list[tuple[Variant, str]]:
    """Systems that have scores. Raises MissingStageError if none has."""
    available, missing = split_by_availability(store, dataset, grid)
    if not available:
        n_old = sum(store.scores(dataset, *one, cutoffs=grid.cutoffs).path.is_file() for one in missing)
        old = f"; {n_old} have scores by other code or of other inputs, which don't count" if n_old else ""
        raise MissingStageError(
            f"none of the {len(missing)} systems of the grid has scores on {dataset}: run 04_evaluation "
            f"first, or all by `make run`{old}"
        )
    return available


def read_scores(
    store: Store, dataset: str, grid: Grid, collection: "Dataset | None" = None
) -> "pd.DataFrame":
    """Tidy scores of every system of a grid that has some, in the order of the grid: a DataFrame.

    Parameters
    ----------
    store : Store
    dataset : str
    grid : Grid
    collection : Dataset, optional
        Clips that all systems have: each is scored as if there were no others. Where models have embedded
        different clips, a column `covers` says how many each has that lacks some ("12 of 18 clips"). By
        default each is scored on all the clips that it has. Where rankings of others end early, a column
        `ends` says after how many results (nan for systems that rank all clips).

    Raises
    ------
    FileNotFoundError
        If none has.
    """
    import pandas as pd

    available = _available(store, dataset, grid)
    if collection is None:
        found = [store.scores(dataset, v, s, cutoffs=grid.cutoffs) for v, s in available]
    else:
        found = [scores_on(store, dataset, v, s, grid.cutoffs, collection) for v, s in available]
    scores = pd.concat([one.read().to_pandas() for one in found], ignore_index=True)
    ends = {v.model: _ends(store, dataset, v) for v, _ in available if v.is_ranking}
    if any(ends.values()):
        scores = scores.assign(ends=scores["model"].map(ends).astype("Int64"))
    n, n_all = n_clips(store, dataset, grid), store.dataset(dataset).metadata()["n_clips"]
    for variant, _ in available:
        if variant.parts:
            n[variant.model] = store.embeddings(dataset, variant).mapped("embedding").shape[0]
    if collection is None or not any(n[v.model] > len(collection) for v, _ in available):
        return scores
    covers = {name: f"{n[name]} of {n_all} clips" if n[name] < n_all else "" for name in n}
    return scores.assign(covers=scores["model"].map(covers))


def _ends(store: Store, dataset: str, variant: Variant) -> int | None:
    """After how many results a ranking of others ends that doesn't rank all of its clips; else None."""
    x = store.embeddings(dataset, variant).mapped("embedding")
    length = int((x[:, 1 : 1 + (x.shape[1] - 1) // 2] >= 0).sum(axis=1).min(initial=len(x) - 1))
    return length if length < len(x) - 1 else None
