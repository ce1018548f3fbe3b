"""Arrays as columns of Arrow tables, and back: vectors, matrices, and frames of many clips."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Frames:
    """Frame embeddings of many clips, one below the other.

    Attributes
    ----------
    fnames : list of str [n_clips]
    values : np.ndarray [shape=(n_total, dim), dtype=float32]
    offsets : np.ndarray [shape=(n_clips + 1,), dtype=int64]
        Clip i owns `values[offsets[i]:offsets[i + 1]]`.
    hop_s : float
        Seconds from one frame to the next; nan where a clip has one embedding.
    """

    fnames: list[str]
    values: np.ndarray
    offsets: np.ndarray
    hop_s: float = float("nan")


def to_table(columns: Mapping[str, object]) -> pa.Table:
    """Arrow table of columns: 1-D arrays as they are, [n, d] as fixed-size lists, `Frames` as lists of those.

    Examples
    --------
    >>> to_table({"fname": ["a", "b"], "embedding": np.zeros((2, 3), np.float32)}).schema.types
    [DataType(string), FixedSizeListType(fixed_size_list<item: float>[3])]
    """
    arrays = {}
    for name, column in columns.items():
        if isinstance(column, Frames):
            arrays[name] = pa.ListArray.from_arrays(column.offsets.astype(np.int32), _matrix(column.values))
        elif isinstance(column, np.ndarray) and column.ndim == 2:
            arrays[name] = _matrix(column)
        else:
            arrays[name] = pa.array(column)
    return pa.table(arrays)


def _matrix(values: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])


def to_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """Array [n, d] of a fixed-size list column.

    Examples
    --------
    >>> to_matrix(to_table({"x": np.array([[1, 2], [3, 4]])})["x"])
    array([[1, 2],
           [3, 4]])
    """
    width = column.type.list_size
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, width)


def to_frames(table: pa.Table) -> Frames:
    """Frame embeddings from a table with the columns fname, frames and hop_s."""
    lists = table["frames"].combine_chunks()
    offsets = lists.offsets.to_numpy().astype(np.int64)
    values = to_matrix(pa.chunked_array([lists.flatten()]))
    return Frames(table["fname"].to_pylist(), values, offsets - offsets[0], table["hop_s"][0].as_py())
