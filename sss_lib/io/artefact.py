"""Parquet files that say what made them: written whole or not at all, and read back only if intact.

Each carries a recipe in its schema metadata: the parameters, the digests of its inputs, and that of
the code that made it. It is current while a run would use the same recipe today. Its columns hold
vectors, matrices, or `Frames` of many clips.
"""

import contextlib
import functools
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sss_lib.io import sealed
from sss_lib.io.code import code_digest
from sss_lib.io.errors import MissingStageError, OneLineError
from sss_lib.io.sealed import DamagedArtefactError
from sss_lib.io.writing import DAMAGED, locked, replacing

__all__ = ["Artefact", "DamagedArtefactError", "Frames", "StaleArtefactError", "file_digest", "locked"]
__all__ += ["replacing", "to_frames", "to_matrix", "to_table"]

MOST_LOOKED_AT = 1 << 26
"""Bytes of a file that is checked whole to see whether it is current; a larger one is checked when read."""


class StaleArtefactError(OneLineError, ValueError):
    """An artefact that was made from other inputs than those that are there now."""


@dataclass(frozen=True)
class Artefact:
    """A Parquet file with the recipe that makes it.

    Attributes
    ----------
    path : Path
    parameters : mapping
        What was chosen: JSON values only.
    inputs : mapping of str to (Artefact or str)
        What it is made from: other artefacts, or digests of things that are none.
    code : tuple of str
        What of sss_lib makes it: packages and modules, with all that they import; see `code_digest`.
    made_by : str
        The notebook that writes it, for messages.
    shown_parameters : tuple of str
        The parameters that messages name; by default all.
    """

    path: Path
    parameters: Mapping[str, object]
    inputs: Mapping[str, "Artefact | str"] = field(default_factory=dict)
    code: tuple[str, ...] = ()
    made_by: str = ""
    shown_parameters: tuple[str, ...] = ()

    def recipe(self) -> dict:
        """What would make this artefact today. Inputs must exist."""
        inputs = {
            name: value if isinstance(value, str) else value.digest() for name, value in self.inputs.items()
        }
        return {
            "parameters": dict(self.parameters),
            "inputs": inputs,
            "code": code_digest(self.code),
        }

    def is_current(self) -> bool:
        """Whether the file is intact and carries the recipe that a run would use today.

        One that is damaged is named on the terminal, and made again like one that is missing.
        """
        try:
            if not self.is_intact():
                return False
            return self._glance()["recipe"] == json.loads(json.dumps(self.recipe()))
        except (FileNotFoundError, DamagedArtefactError):  # of the inputs
            return False

    def is_intact(self) -> bool:
        """Whether the file exists and is as it was written; see `MOST_LOOKED_AT`."""
        if not self.path.is_file():
            return False
        try:
            self._glance()
            if self.path.stat().st_size <= MOST_LOOKED_AT:
                self._sealed(sealed.require_intact)
        except DamagedArtefactError as error:
            _say(str(error))
            return False
        return True

    def metadata(self) -> dict:
        """What the file says of itself: its recipe, the digest of its columns, and extras."""
        self._check_exists()
        return self._sealed(sealed.about)

    def _glance(self) -> dict:
        """Metadata, as all have it who ask."""
        self._check_exists()
        return self._sealed(sealed.glance)

    def digest(self) -> str:
        """Digest of the columns: equal contents have equal digests, whatever made them."""
        return self._glance()["digest"]

    def write(self, columns: Mapping[str, object], **extra: object) -> None:
        """Write columns (see `to_table`) with their recipe, atomically.

        Parameters
        ----------
        columns : mapping of str to array
        **extra : JSON values
            Kept in the metadata beside the recipe.
        """
        table = to_table(columns)
        digest = hashlib.sha256(table.schema.to_string(show_schema_metadata=False).encode())
        for column in table.combine_chunks().columns:
            for buffer in column.chunk(0).buffers() if column.num_chunks else []:
                digest.update(buffer or b"")
        by = version("semantic-sound-similarity")
        about = {"recipe": self.recipe(), "digest": digest.hexdigest(), "version": by, **extra}
        sealed.write(self.path, table, about)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the columns back; by default all.

        Raises
        ------
        MissingStageError
            If the file doesn't exist.
        DamagedArtefactError
            If its bytes have changed since it was written. It is set aside, and the next run makes it again.
        StaleArtefactError
            If it was made from other inputs than are there now, or with other parameters.
        ValueError
            If it has no such column.
        """
        self.require_intact()
        self._check_inputs()
        # All at once, Arrow would hold the file and the levels of lists beside what it decodes.
        with pq.ParquetFile(self.path, pre_buffer=False, buffer_size=sealed.BLOCK) as file:
            names = file.schema_arrow.names
            if absent := [name for name in columns or () if name not in names]:
                raise ValueError(f"{self.path} has columns {', '.join(names)}, but no {absent[0]!r}")
            batches = list(file.iter_batches(1024, columns=columns))
            table = pa.Table.from_batches(batches) if batches else file.read(columns)
        return table.replace_schema_metadata()  # what the file says of itself isn't true of the table

    def mapped(self, column: str) -> np.ndarray:
        """Matrix [n, d] of a column, memory-mapped and read-only: rows that nobody reads take no memory.

        Parquet can't be mapped. The first call decodes the column into a file beside it, some rows at a time;
        Arrow's own format would need all of them at once. The file ends with the digest of the artefact and
        a checksum of itself. Each call compares both, and replaces a file that is stale or damaged. Where
        there can be no such file, the matrix is read into memory.

        Raises
        ------
        ValueError
            If the column isn't a matrix; else as `read`.
        """
        self._check_inputs()
        about = pq.read_metadata(self.path)
        schema = about.schema.to_arrow_schema()
        kind = schema.field(column).type if column in schema.names else pa.null()
        if not pa.types.is_fixed_size_list(kind):
            matrices = [field.name for field in schema if pa.types.is_fixed_size_list(field.type)]
            raise ValueError(
                f"column {column!r} of {self.path} is {kind}, not one of its matrices "
                f"({', '.join(matrices) or 'it has none'}): give one of these"
            )
        path = self.path.with_name(f".{self.path.stem}.{column}.npy")
        try:
            if not self._is_copy(path):
                with locked(path):
                    if not self._is_copy(path):  # another process made none meanwhile
                        self._copy(column, path, kind.value_type, (about.num_rows, kind.list_size))
            return np.load(path, mmap_mode="r")
        except OSError:  # the folder can't be written, or its disk is full, or maps no files
            return to_matrix(self.read([column])[column])

    def _copy(self, column: str, path: Path, kind: pa.DataType, shape: tuple[int, int]) -> None:
        """Write a matrix as .npy, then the digest of the columns, then the CRC-32 of all before."""
        descr = np.lib.format.dtype_to_descr(np.dtype(kind.to_pandas_dtype()))
        head = {"descr": descr, "fortran_order": False, "shape": shape}
        with replacing(path) as temporary:
            with temporary.open("wb") as file:
                np.lib.format.write_array_header_1_0(file, head)
                for values in self._matrices(column):
                    file.write(np.ascontiguousarray(values).data)
                file.write(self.digest().encode())
            checksum = zlib.crc32(np.memmap(temporary, mode="r").data)
            with temporary.open("ab") as file:
                file.write(checksum.to_bytes(4, "big"))

    def _is_copy(self, path: Path) -> bool:
        """Whether a mapped file is intact, and made from these very columns."""
        try:
            content = np.memmap(path, mode="r")
        except (OSError, ValueError):  # there is none, or it is empty
            return False
        seal = self.digest().encode()
        return bytes(content[-4 - len(seal) :]) == seal + zlib.crc32(content[:-4].data).to_bytes(4, "big")

    def _matrices(self, column: str) -> Iterator[np.ndarray]:
        self.require_intact()
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(16384, columns=[column]):
                yield to_matrix(pa.chunked_array(batch.columns))

    def _check_inputs(self) -> None:
        """Raise StaleArtefactError if the file is another's, or was made from other inputs."""
        recipe = self._glance()["recipe"]
        for name, asked in json.loads(json.dumps(dict(self.parameters))).items():
            # Weights that are missing here may have been there where it was made.
            if recipe["parameters"].get(name) != asked and not (name == "weights" and asked is None):
                raise StaleArtefactError(
                    f"{self.path} has {name}={recipe['parameters'].get(name)!r}, not {asked!r}: "
                    f"run {self.made_by or 'what makes it'} again"
                )
        for name, value in self.inputs.items():
            now = value if isinstance(value, str) else value.digest()
            if recipe["inputs"].get(name) != now:
                was = recipe["inputs"].get(name, "nothing")
                raise StaleArtefactError(
                    f"{self.path} was made from another {name} ({was[:12]}, where {now[:12]} is there now): "
                    f"run {self.made_by or 'what makes it'} again"
                )

    def require_intact(self) -> None:
        """Raise DamagedArtefactError if the file isn't as it was written, and set it aside."""
        self._check_exists()
        try:
            self._sealed(sealed.require_intact)
        except DamagedArtefactError:
            self.set_aside()
            raise

    def set_aside(self) -> None:
        """Rename the file, as far as that is possible, so that the next run makes it again.

        One without a seal is left where it is: the earlier version that made it can read it.
        """
        if sealed.is_unsealed(self.path):
            return
        with contextlib.suppress(OSError):
            os.replace(self.path, self.path.with_name(f".{self.path.name}{DAMAGED}"))

    def _sealed(self, look: Callable[[Path], Any]) -> Any:
        try:
            return look(self.path)
        except DamagedArtefactError as error:
            raise DamagedArtefactError(
                f"{self.path} is damaged ({error}): run {self.made_by or 'what makes it'} again"
            ) from None

    def _check_exists(self) -> None:
        if not self.path.is_file():
            shown = {name: self.parameters[name] for name in self.shown_parameters or self.parameters}
            remedy = f": run {self.made_by} with {shown} first" if self.made_by else ""
            raise MissingStageError(f"{self.path} does not exist{remedy}")


@functools.cache
def _say(sentence: str) -> None:
    """Print a sentence on the terminal, once."""
    print(sentence, file=sys.stderr)


@functools.cache
def file_digest(path: Path) -> str:
    """Digest of a file that stays as it is."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


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
    return _values(_in_one(column))


def _values(matrix: pa.FixedSizeListArray) -> np.ndarray:
    return matrix.flatten().to_numpy(zero_copy_only=False).reshape(-1, matrix.type.list_size)


def _in_one(column: pa.ChunkedArray) -> pa.Array:
    """All of a column; Arrow would copy one that is whole already."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def to_frames(table: pa.Table) -> Frames:
    """Frame embeddings from a table with the columns fname, frames and hop_s."""
    lists = _in_one(table["frames"])
    offsets = lists.offsets.to_numpy().astype(np.int64)
    hop_s = table["hop_s"][0].as_py()
    return Frames(table["fname"].to_pylist(), _values(lists.flatten()), offsets - offsets[0], hop_s)
