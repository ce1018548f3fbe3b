"""An index of clips that new sounds are ranked against: stored in a file, added to, deleted from."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from sss_lib.io.artefact import Artefact, DamagedArtefactError, StaleArtefactError
from sss_lib.processing.checks import in_single_precision, require_finite
from sss_lib.search.approximate import FaissIndex
from sss_lib.search.exact import ranking_of
from sss_lib.search.naming import Method, parse
from sss_lib.search.rank import rank
from sss_lib.search.ranking import Ranking
from sss_lib.search.similarity import Similarities


class Index:
    """Clips by name, for one search, exact or approximate.

    Parameters
    ----------
    fnames : sequence of str [n_clips]
    clips : Vectors or FaissIndex
        The same clips, by row.
    alive : np.ndarray [shape=(n_clips,), dtype=bool], optional
        Which have not been deleted.

    Examples
    --------
    >>> index = Index.build(["a", "b", "c"], np.array([[0.0], [2.0], [5.0]]), "nns")
    >>> index.delete(["b"])
    >>> index.add(["d"], np.array([[3.0]]))
    >>> [index.fnames[row] for row in index.rank(np.array([[2.0]]), 2).neighbours[0]]
    ['d', 'a']
    """

    def __init__(self, fnames: Sequence[str], clips: "Vectors | FaissIndex", alive: np.ndarray | None = None):
        self.fnames, self.clips = list(fnames), clips
        self.alive = np.ones(len(self.fnames), bool) if alive is None else alive
        if not len(self.fnames) == len(self.alive) == len(clips):
            raise ValueError(
                f"{len(self.fnames)} fnames don't name the {len(clips)} clips of an index: give each its own"
            )
        self._row_of = {fname: row for row, fname in enumerate(self.fnames) if self.alive[row]}
        if len(self._row_of) < np.count_nonzero(self.alive):
            raise ValueError(
                f"{len(self)} clips have {len(self._row_of)} different fnames: give each its own"
            )

    @classmethod
    def build(cls, fnames: Sequence[str], x: np.ndarray, search: str) -> "Index":
        """Index of clips for a search.

        Parameters
        ----------
        fnames : sequence of str [n_clips]
        x : np.ndarray [shape=(n_clips, dim)]
            Kept in single precision, or as the search says.
        search : str
            As in `rank`; see `naming`.
        """
        method = parse(search)
        if method.adjustment:
            raise ValueError(
                f"{search} ranks the clips of a corpus for each other, no new sounds: use {method.exact}"
            )
        return cls(fnames, (Vectors if method.is_exact else FaissIndex).build(x, method))

    @property
    def method(self) -> Method:
        """How the index searches."""
        return self.clips.method

    def __len__(self) -> int:
        return int(np.count_nonzero(self.alive))

    def __contains__(self, fname: str) -> bool:
        return fname in self._row_of

    def rank(self, x: np.ndarray, top_n: int = 150) -> Ranking:
        """Ranking of the clips for queries outside the index.

        Parameters
        ----------
        x : np.ndarray [shape=(n_queries, dim)]
            Processed as the clips were, by what was fitted on them: see `Store.read_fitted`.
        top_n : int
            Results a query, at most as many as there are clips.

        Returns
        -------
        Ranking
            Neighbours are positions in `fnames`; -1 where an approximate search finds no more.

        Raises
        ------
        ValueError
            If no clip is left, `top_n` < 1, or the embeddings don't fit.
        """
        if top_n < 1 or not len(self):
            raise ValueError(f"top_n={top_n} of {len(self)} clips: ask for at least one of at least one")
        return Ranking(*self.clips.search(np.atleast_2d(x), min(top_n, len(self)), self.alive))

    def add(self, fnames: Sequence[str], x: np.ndarray) -> None:
        """Add clips; what was trained, such as centroids, stays.

        Parameters
        ----------
        fnames : sequence of str [n_clips]
            None of them in the index.
        x : np.ndarray [shape=(n_clips, dim)]
        """
        known = [fname for fname in fnames if fname in self]
        if known or len(set(fnames)) < len(fnames) or len(fnames) != len(x):
            raise ValueError(
                f"{len(fnames)} fnames ({len(set(fnames))} different, {len(known)} already in the index) "
                f"don't name {len(x)} new clips: delete clips before they are added again"
            )
        self.clips.add(x)
        self._row_of |= {fname: len(self.fnames) + i for i, fname in enumerate(fnames)}
        self.fnames += fnames
        self.alive = np.append(self.alive, np.ones(len(fnames), bool))

    def delete(self, fnames: Sequence[str]) -> None:
        """Delete clips by name. They keep their memory until the index is built again.

        Parameters
        ----------
        fnames : sequence of str
        """
        unknown = [fname for fname in fnames if fname not in self]
        if unknown:
            raise ValueError(
                f"{len(unknown)} of {len(fnames)} clips to delete are not among the {len(self)} of the "
                f"index (first: {unknown[0]!r}): give names that are"
            )
        for fname in set(fnames):
            self.alive[self._row_of.pop(fname)] = False

    def write(self, artefact: Artefact) -> None:
        """Write the index with the recipe of an artefact, among whose inputs is the digest of the embeddings.

        Parameters
        ----------
        artefact : Artefact
            From `Store.index`, or of your own path; its parameters name the search.
        """
        _require_search(artefact, self.method.name)
        content = self.clips.to_bytes()
        # The bytes are cut into one piece a clip: Parquet holds no value above 2 GiB.
        ends = np.linspace(0, len(content), len(self.fnames) + 1).astype(np.int64)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(content)]
        pieces = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(self.fnames), buffers)
        artefact.write(
            {"fname": self.fnames, "alive": self.alive, "content": pieces},
            dim=self.clips.dim,
            exponent=self.clips.exponent,
            sha256=hashlib.sha256(content.data).hexdigest(),
        )

    @classmethod
    def read(cls, artefact: Artefact) -> "Index":
        """Read a stored index; nothing in the file is executed.

        Parameters
        ----------
        artefact : Artefact

        Raises
        ------
        FileNotFoundError
            If there is none.
        StaleArtefactError
            If it was built from other embeddings than the current ones, or for another search.
        DamagedArtefactError
            If the content doesn't match its checksum or its description.
        """
        table, about = artefact.read(), artefact.metadata()
        method = _require_search(artefact, about["recipe"]["parameters"].get("search"))
        try:
            pieces = table["content"].combine_chunks()
            _, ends, content = pieces.buffers()
            ends = np.frombuffer(ends, np.int64)[pieces.offset : pieces.offset + len(pieces) + 1]
            content = np.frombuffer(content, np.uint8)[ends[0] : ends[-1]]
            if hashlib.sha256(content.data).hexdigest() != about["sha256"]:
                raise ValueError(f"its content doesn't have the sha256 {about['sha256'][:12]} that it names")
            kind = Vectors if method.is_exact else FaissIndex
            clips = kind.from_bytes(content, method, about["dim"], about["exponent"])
            return cls(table["fname"].to_pylist(), clips, table["alive"].to_numpy())
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedArtefactError(
                f"{artefact.path} is not the index that it says: delete it and build it again ({error})"
            ) from None


class Vectors:
    """Clips for an exact search, with the methods of `FaissIndex`."""

    exponent = 0

    def __init__(self, x: np.ndarray, method: Method):
        self.x, self.method, self.dim = x, method, x.shape[1]
        self._prepared: tuple[np.ndarray, Similarities] | None = None

    @classmethod
    def build(cls, x: np.ndarray, method: Method) -> "Vectors":
        """Clips in single precision."""
        require_finite(x, "embeddings")
        return cls(in_single_precision(x, "embeddings").copy(), method)

    def __len__(self) -> int:
        return len(self.x)

    def add(self, x: np.ndarray) -> None:
        """Add clips."""
        self.x, self._prepared = np.vstack([self.x, self._fitting(x)]), None

    def search(self, x: np.ndarray, n: int, alive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and scores of the n best clips of each vector; see `FaissIndex.search`."""
        queries, kept = self._fitting(x), np.flatnonzero(alive)
        if self._prepared is None or not np.array_equal(self._prepared[0], kept):
            clips = self.x if len(kept) == len(self.x) else self.x[kept]
            self._prepared = kept, Similarities(clips, self.method.exact)
        asked = self._prepared[1].with_queries(queries)
        found = ranking_of(asked, np.arange(len(queries)), min(n, len(kept)))
        return kept[found.neighbours].astype(np.int32), found.scores

    def rank(self, x: np.ndarray, rows: np.ndarray, top_n: int, groups: np.ndarray | None = None) -> Ranking:
        """Ranking for some of the clips themselves; see `FaissIndex.rank`."""
        return rank(x, self.method.exact, top_n, rows, groups=groups)

    def to_bytes(self) -> np.ndarray:
        """The vectors, one after the other: uint8 [n_bytes]."""
        return np.frombuffer(np.ascontiguousarray(self.x, "<f4"), np.uint8)

    @classmethod
    def from_bytes(cls, content: np.ndarray, method: Method, dim: int, exponent: int) -> "Vectors":
        """Read what `to_bytes` gave."""
        return cls(content.view("<f4").reshape(-1, dim).astype(np.float32), method)

    def _fitting(self, x: np.ndarray) -> np.ndarray:
        require_finite(x, "embeddings")
        x = in_single_precision(x, "embeddings")
        if x.shape[1] != self.dim:
            raise ValueError(f"embeddings of {x.shape[1]} dimensions don't fit an index of {self.dim}")
        return x


def _require_search(artefact: Artefact, name: object) -> Method:
    wanted = artefact.parameters.get("search")
    if name != wanted:
        raise StaleArtefactError(
            f"{artefact.path} holds an index for search {name!r}, not {wanted!r}: "
            f"run {artefact.made_by or 'what builds it'} again"
        )
    return parse(str(name))
