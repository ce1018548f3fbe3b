"""Rankings that others have computed, by clip id: their files, read in bounded memory.

They are `similarity_results.json` of the CBMI 2024 code, a line a query, or a TREC run.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from sss_lib.io.given_files import Kept, clip_id


class GivenRanking:
    """A ranking by query, each a row of numbers; it is `search.given` that reads them.

    A row is the query's own number, the numbers of its results, best first and filled up by -1, and their
    scores. The numbers are those of the names in the file, so that they mean the same in any collection.

    Attributes
    ----------
    dim : int
        Length of a row.

    Raises
    ------
    ValueError
        As `lists_in`, or if the file is empty.
    """

    is_frames = False

    def __init__(self, path: str | Path):
        self.path, self._kept = Path(path), Kept(Path(path))
        numbers: dict[str, int] = {}
        most = 0
        for query, results in lists_in(path):
            if len(numbers) + len(results) >= 2**24:  # the most that float32 counts to
                raise ValueError(f"{path} names over {len(numbers)} clips: 16 million are the most")
            ids = [numbers.setdefault(name, len(numbers)) for name in (query, *(name for name, _ in results))]
            self._kept.add(query, np.array([*ids, *(score for _, score in results)], np.float32))
            most = max(most, len(results))
        if not numbers:
            raise ValueError(f"{path} holds no ranking")
        self.dim = 1 + 2 * most

    def names(self) -> dict:
        """Ids of the queries, as keys."""
        return self._kept.at

    def __call__(self, fname: str) -> np.ndarray | str:
        """Row of a query, float32 [1, dim], or in words why it has none."""
        if fname not in self.names():
            return f"no line of it as a query among the {len(self.names())} of {self.path}"
        values, most = self._kept.read(fname), (self.dim - 1) // 2
        n = (len(values) - 1) // 2
        row = np.zeros((1, self.dim), np.float32)
        row[0, : 1 + n], row[0, 1 + n : 1 + most] = values[: 1 + n], -1
        row[0, 1 + most : 1 + most + n] = np.nan_to_num(values[1 + n :])
        return row


def lists_in(path: str | Path) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """Each query of a ranking once, with its results and their scores, best first, and without itself.

    Results of a TREC run are in the order of their ranks, then their scores, then their lines. A query
    fname|label of it is one by fname.

    Raises
    ------
    ValueError
        If a line is of neither form, a clip stands twice among the results of a query, or a query has
        different results in two places.
    """
    seen: dict[str, int] = {}
    for query, results in _every_list(path):
        found = [(name, score) for name, score in results if name != query]
        names = [name for name, _ in found]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{path}: {twice!r} stands twice among the results of {query!r}")
        mark = hash(tuple(names))
        if seen.get(query, mark) != mark:
            raise ValueError(
                f"{path} has different results for {query!r}: give one run, each query in one place"
            )
        if query not in seen:
            seen[query] = mark
            yield query, found


def _every_list(path: str | Path) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    lines = _lines(path)
    first = next(lines, (0, ""))
    if first[0]:
        form = _of_json if first[1].lstrip()[:1] in "{[" else _of_trec
        yield from form(itertools.chain([first], lines), path)


def _lines(path: str | Path) -> Iterator[tuple[int, str]]:
    with open(path, encoding="utf-8-sig") as file:
        try:
            yield from ((i, line) for i, line in enumerate(file, 1) if line.strip())
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is no text in UTF-8: {error}") from None


def _of_json(lines: Iterator[tuple[int, str]], path: object) -> Iterator:
    for i, line in lines:
        try:
            content = json.loads(line)
            found = [(clip_id(one["result_fname"]), float(one["score"])) for one in content["results"]]
            query = clip_id(content["query_fname"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(
                f"line {i} of {path} is no ranking of the CBMI 2024 code, "
                '{"query_fname": ..., "results": [{"result_fname": ..., "score": ...}, ...]} '
                f"({type(error).__name__}: {error})"
            ) from None
        yield query, found


def _of_trec(lines: Iterator[tuple[int, str]], path: object) -> Iterator:
    def parsed() -> Iterator[tuple[str, str, int, float]]:
        for i, line in lines:
            cells = line.split()
            if len(cells) != 6:
                raise ValueError(f"line {i} of {path} has {len(cells)} columns, not 6")
            try:
                yield cells[0], clip_id(unquote(cells[2])), int(cells[3]), float(cells[4])
            except ValueError as error:
                raise ValueError(f"line {i} of {path}: {error}") from None

    for topic, own in itertools.groupby(parsed(), lambda cells: cells[0]):
        found = sorted(((rank, -score, name) for _, name, rank, score in own), key=lambda one: one[:2])
        yield clip_id(unquote(topic.split("|")[0])), [(name, -score) for _, score, name in found]
