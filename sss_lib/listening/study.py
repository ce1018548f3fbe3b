"""A collection, its sounds, and the systems whose rankings exist."""

import functools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sss_lib.dataset import table as datasets
from sss_lib.experiment.results import index_of
from sss_lib.experiment.rules import RULE
from sss_lib.experiment.scores import best_systems, describe_system, select
from sss_lib.experiment.store import Store, to_matrix
from sss_lib.experiment.variant import Variant
from sss_lib.io.errors import MissingStageError
from sss_lib.io.names import require_known
from sss_lib.listening.sounds import Sounds
from sss_lib.models import registry as models
from sss_lib.search.index import Index
from sss_lib.search.naming import parse

SCORED = ["metric", "n", "level", "protocol", "relevance", "value"]
"""Columns of scores that tell which system is best."""


@dataclass(frozen=True)
class System:
    """A variant and a search whose ranking exists.

    Attributes
    ----------
    variant : Variant
    search : str
    top_n : int
        Results of each query in the ranking.
    cutoffs : tuple of int
        N of the evaluated AP@N; empty without an evaluation.
    """

    variant: Variant
    search: str
    top_n: int
    cutoffs: tuple[int, ...] = ()

    @property
    def measures(self) -> list[str]:
        """Names of its per-query measures: AP at each cutoff, and R1."""
        return [*(f"AP@{n}" for n in self.cutoffs), *(["R1"] if self.cutoffs else [])]

    @property
    def name(self) -> str:
        """Name in the notebook and in judgements."""
        return f"{self.variant.name}/{self.search}"

    @property
    def title(self) -> str:
        """Displayed name of its model."""
        return models.spec(self.variant.model).display_name

    @property
    def words(self) -> str:
        """Processing and search in words."""
        return describe_system(pd.Series({**self.variant.parameters(), "search": self.search}))

    @property
    def score(self) -> str:
        """What the system's scores are, in a word."""
        method = parse(self.search)
        names = {"nns": "distance", "mips": "product", "mcss": "cosine", "given": "score"}
        return "score" if method.adjustment else names[method.exact]


class Study:
    """A collection with the rankings of it that exist.

    Parameters
    ----------
    store : Store
    dataset : str
        A dataset that notebook 00 has written.
    freesound : bool
        Whether the page may play a clip without a file by Freesound's player, whose id is then its name.

    Attributes
    ----------
    collection : Dataset
    sounds : Sounds
    systems : dict of str to System
        By name.
    """

    def __init__(self, store: Store, dataset: str, *, freesound: bool = False):
        self.store, self.freesound = store, freesound
        self.collection = datasets.read(store.dataset(dataset))
        self.sounds = Sounds(self.collection.clips["path"])
        self.row_of = {fname: row for row, fname in enumerate(self.collection.clips["fname"])}
        evaluated = [one for one in store.evaluated(dataset) if not _flaw(one["model"])]
        cutoffs = {_system(one).name: tuple(one["cutoffs"]) for one in evaluated}
        self.systems: dict[str, System] = {}
        for parameters in store.ranked(dataset):
            if flaw := _flaw(parameters["model"]):
                warnings.warn(f"rankings by {parameters['model']} are left out: {flaw}", stacklevel=2)
                continue
            system = _system(parameters)
            self.systems[system.name] = replace(system, cutoffs=cutoffs.get(system.name, ()))
        if not self.systems:
            raise MissingStageError(f"{dataset!r} has no rankings in {store.data_dir}: run 03_search first")
        # Reading is slow and stepping through queries repeats it: the latest few stay in memory.
        self._ranking = functools.lru_cache(maxsize=16)(self._read_ranking)
        self._queries = functools.lru_cache(maxsize=16)(self._read_queries)
        self._index = functools.lru_cache(maxsize=5)(self._read_index)

    @functools.cached_property
    def offered(self) -> list[tuple[str, str]]:
        """Options of a control that chooses a system: its label with its MAP, and its name.

        The best of each model come first, best first, then the others likewise.
        """
        scores, best = self._scores, [one.name for one in self.best(len(self.systems))]
        of_name = dict(zip(scores["name"], scores["value"], strict=True)) if len(scores) else {}
        names = sorted(self.systems, key=lambda name: (name not in best, -of_name.get(name, -1)))
        return [
            (
                " · ".join(
                    [
                        *(self.systems[name].title, self.systems[name].words),
                        *([f"MAP {of_name[name]:.3f}"] if name in of_name else []),
                    ]
                ),
                name,
            )
            for name in names
        ]

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self.collection.name

    def system(self, name: str) -> System:
        """System by its name. Raises ValueError, with the nearest name, for an unknown one."""
        require_known(name, self.systems, "the systems with a ranking")
        return self.systems[name]

    def freesound_id(self, clip: object) -> str:
        """Id of a clip that Freesound's player may play for want of a file; "" where it may not."""
        if not self.freesound or self.sounds.path(clip).is_file():
            return ""
        fname = self.collection.clips["fname"][clip]
        return fname if fname.isascii() and fname.isdigit() else ""

    def row(self, fname: str) -> int:
        """Row of a clip. Raises ValueError, with the nearest id, for an unknown one."""
        require_known(fname, self.row_of, f"the clips of {self.name}")
        return self.row_of[fname]

    def results(
        self, system: System, row: int, n: int, passes: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """First n results of a query: rows of the collection with scores; none if it has no embedding.

        Where a mask of the clips is given, bool [n_clips], only those are results.
        """
        rows, place, table = self._ranking(system)
        if row not in place:
            return []
        neighbours = to_matrix(table["neighbours"].slice(place[row], 1))[0]
        scores = to_matrix(table["scores"].slice(place[row], 1))[0]
        found = neighbours >= 0
        if passes is not None:
            found[found] = passes[rows[neighbours[found]]]
        found = np.flatnonzero(found)[:n]
        return list(zip(rows[neighbours[found]].tolist(), scores[found].tolist(), strict=True))

    def index(self, system: System) -> Index:
        """Index of a system's clips, against which external queries are ranked."""
        return self._index(system)

    def rows(self, system: System) -> np.ndarray:
        """Rows of the collection that a system has embedded, in the order of its embeddings: int [n]."""
        return self._ranking(system)[0]

    def _read_ranking(self, system: System) -> tuple[np.ndarray, dict[int, int], pa.Table]:
        artefact = self.store.ranking(self.name, system.variant, system.search, top_n=system.top_n)
        table = artefact.read()
        rows = np.array([self.row_of[fname] for fname in table["fname"].to_pylist()])
        return rows, {row: place for place, row in enumerate(rows.tolist())}, table

    def _read_index(self, system: System) -> Index:
        return index_of(self.store, self.name, system.variant, system.search)

    def scores(self, system: System, row: int, label: str = "") -> dict[str, float]:
        """AP and R1 of a query under the standard protocol, such as {"AP@15": 0.8, "R1": 1.0}.

        Parameters
        ----------
        system : System
        row : int
        label : str
            A class of the query, or "" for any shared class.

        Returns
        -------
        dict of str to float
            Empty without an evaluation.
        """
        if not system.cutoffs:
            return {}
        of_query = self._queries(system)
        key = (self.collection.clips["fname"][row], label)
        found = of_query.loc[key].to_dict() if key in of_query.index else {}
        return {name: float(value) for name, value in found.items() if np.isfinite(value)}

    def precisions(self, system: System) -> np.ndarray:
        """AP of each clip as a query, any shared class counting; NaN where there is none: float [n_clips]."""
        fnames = self.collection.clips["fname"]
        if not system.cutoffs:
            return np.full(len(fnames), np.nan)
        return self._queries(system)[system.measures[0]].xs("", level="label").reindex(fnames).to_numpy()

    def _read_queries(self, system: System) -> pd.DataFrame:
        """AP and R1 by fname and label ("" for any class) of every query, under the standard protocol."""
        of = (self.name, system.variant, system.search)
        table = self.store.per_query(*of, cutoffs=system.cutoffs).read().to_pandas()
        table = table[(table["protocol"] == "standard") & (table["relevance"] == "class")]
        return table.set_index(["fname", "label"])[system.measures].sort_index()

    def find(self, text: str, n: int = 20) -> list[int]:
        """Rows of the first n clips that have every word in their id, title or labels.

        Case and underscores don't count. That with the id comes first, then those of which least is said.
        """
        words = text.lower().replace("_", " ").split()
        found = [row for row, about in enumerate(self._texts) if words and all(one in about for one in words)]
        is_id = self.row_of.get(text.strip())
        return sorted(found, key=lambda row: (row != is_id, len(self._texts[row])))[:n]

    @functools.cached_property
    def _texts(self) -> list[str]:
        """What is searched of each clip: its title, id and labels, in small letters."""
        clips = self.collection.clips
        titles = clips["title"] if "title" in clips else [""] * len(clips)
        about = zip(titles, clips["fname"], clips["labels"], strict=True)
        return [
            " ".join([one or "", fname, *labels]).lower().replace("_", " ") for one, fname, labels in about
        ]

    def best(self, n: int = 5) -> list[System]:
        """Each model's best system by macro MAP, best model first; the first n systems if none has scores."""
        return [self.systems[name] for name in self._best[:n]]

    @functools.cached_property
    def _best(self) -> list[str]:
        scores = self._scores
        if scores.empty:
            return list(self.systems)
        names = best_systems(scores, int(scores["n"].min())).merge(scores, how="left")["name"]
        return names.drop_duplicates().tolist()

    @functools.cached_property
    def _scores(self) -> pd.DataFrame:
        """Macro MAP of each evaluated system with its name; empty without an evaluation."""
        found, of_system = [], []
        for system in self.systems.values():
            if system.cutoffs:
                of = (self.name, system.variant, system.search)
                try:
                    table = self.store.scores(*of, cutoffs=system.cutoffs).read(
                        SCORED
                    )  # the others take long
                except (OSError, ValueError) as error:  # damaged, or of an earlier ranking
                    warnings.warn(f"the scores of {system.name} are left out: {error}", stacklevel=2)
                    continue
                table = table.filter(pc.equal(table["level"], "macro"))
                found.append(table.append_column("name", pa.array([system.name] * len(table))))
                of_system.append(
                    {**system.variant.parameters(), "search": system.search, "name": system.name}
                )
        if not found:
            return pd.DataFrame({"name": [], "value": []})
        scores = pa.concat_tables(found, promote_options="default").to_pandas()
        systems = pd.DataFrame(of_system).astype({"n_components": "Int64"})
        return select(scores, "MAP", int(scores["n"].min())).merge(systems, on="name")

    def disagreements(self, a: System, b: System) -> pd.DataFrame:
        """Queries of two systems by the difference of their AP, largest first: fname, a, b, gap (a - b)."""
        measures = [name for name in a.measures if name in b.measures]
        if not measures:
            raise ValueError(f"{a.name} and {b.name} have no AP in common: evaluate both with notebook 04")
        of_query = [self._queries(one)[measures[0]].xs("", level="label").dropna() for one in (a, b)]
        both = pd.concat(dict(zip("ab", of_query, strict=True)), axis=1, join="inner").reset_index()
        both["gap"] = both["a"] - both["b"]
        both = both.sort_values("fname", key=lambda fnames: fnames.map(self.row_of))
        return both.sort_values("gap", key=lambda gap: -gap.abs(), kind="stable", ignore_index=True)


def _flaw(model: str) -> str:
    """Why there is no such model, or ""; the user's own ones and their files may be gone, or not allowed."""
    try:
        models.spec(model)
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    return ""


def _system(about: Mapping[str, Any]) -> System:
    words = {word: about[word] for word in RULE if word in about and word != "search"}
    if words["n_components"] is not None:
        words["n_components"] = int(words["n_components"])
    return System(Variant(**words), about["search"], about.get("top_n", 0))
