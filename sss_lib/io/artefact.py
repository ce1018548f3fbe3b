"""Parquet files that say what made them: written whole or not at all, and read back only if intact.

Each carries a recipe in its schema metadata: the parameters, the digests of its inputs, and that of
the code that made it. It is current while a run would use the same recipe today.
"""

import contextlib
import functools
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sss_lib.io.code import code_digest
from sss_lib.io.columns import to_matrix, to_table

_KEY = b"sss_lib"


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; rename it to `path` if the block succeeds.

    A reader sees the old file or the whole new one, and a failed or killed writer leaves the old one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    try:
        yield Path(name)
        with open(name, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


class DamagedArtefactError(ValueError):
    """A file that is no artefact: damaged, or written by something else."""


class StaleArtefactError(ValueError):
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
    told : tuple of str
        The parameters that messages name; by default all.
    """

    path: Path
    parameters: Mapping[str, object]
    inputs: Mapping[str, "Artefact | str"] = field(default_factory=dict)
    code: tuple[str, ...] = ()
    made_by: str = ""
    told: tuple[str, ...] = ()

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
        """Whether the file exists and carries the recipe that a run would use today."""
        try:
            return self.metadata()["recipe"] == json.loads(json.dumps(self.recipe()))
        except (FileNotFoundError, DamagedArtefactError):
            return False

    def metadata(self) -> dict:
        """What the file says of itself: its recipe, the digest of its columns, and extras."""
        self._require()
        try:
            return json.loads(pq.read_schema(self.path).metadata[_KEY])
        except (pa.ArrowException, KeyError, TypeError) as error:
            raise DamagedArtefactError(
                f"{self.path} is not an artefact of sss_lib: delete it ({error})"
            ) from None

    def digest(self) -> str:
        """Digest of the columns: equal contents have equal digests, whatever made them."""
        return self.metadata()["digest"]

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
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: json.dumps(about)})
        with replacing(self.path) as temporary:
            # Floats hardly shrink: of what shrinks them, this is the fastest to undo.
            pq.write_table(table, temporary, compression="lz4", write_page_checksum=True)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the columns back; by default all.

        Raises
        ------
        FileNotFoundError
            If the file doesn't exist.
        DamagedArtefactError
            If its bytes have changed since it was written.
        StaleArtefactError
            If it was made from other inputs than are there now.
        """
        self._require_inputs()
        with self._intact():
            return pq.read_table(self.path, columns=columns, page_checksum_verification=True)

    def mapped(self, column: str) -> np.ndarray:
        """Column [n, d], memory-mapped and read-only: what isn't looked at is not read. Raises as `read`.

        Parquet can't be mapped, so that the first call decodes the column, some rows at a time, into a file
        beside it. This bears the digest of the columns: a changed artefact gets a new one, and the old goes.
        One that has not the size or the head that it should have is made anew.
        """
        self._require_inputs()
        with self._intact():
            about = pq.read_metadata(self.path)
        schema = about.schema.to_arrow_schema()
        kind = schema.field(column).type if column in schema.names else pa.null()
        if not pa.types.is_fixed_size_list(kind):
            matrices = [field.name for field in schema if pa.types.is_fixed_size_list(field.type)]
            raise ValueError(
                f"column {column!r} of {self.path} is {kind}, not one of its matrices "
                f"({', '.join(matrices) or 'it has none'}): give one of these"
            )
        dtype, shape = np.dtype(kind.value_type.to_pandas_dtype()), (about.num_rows, kind.list_size)
        name = f".{self.path.stem}.{column}."
        path = self.path.with_name(f"{name}{self.digest()[:16]}.npy")
        if not _is_array(path, dtype, shape):
            head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
            with replacing(path) as temporary, open(temporary, "wb") as file:
                np.lib.format.write_array_header_1_0(file, head)
                for values in self._matrices(column):
                    file.write(np.ascontiguousarray(values).data)
            # Of this column alone: what was mapped before, and what a killed run has left of it.
            made = re.compile(rf"\.?{re.escape(name)}[0-9a-f]{{16}}\.npy(\..*\.npy)?")
            for other in path.parent.iterdir():
                if made.fullmatch(other.name) and path.name not in other.name:
                    other.unlink(missing_ok=True)
        return np.load(path, mmap_mode="r")

    def _matrices(self, column: str) -> Iterator[np.ndarray]:
        with self._intact(), pq.ParquetFile(self.path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(16384, columns=[column]):
                yield to_matrix(pa.chunked_array(batch.columns))

    def _require_inputs(self) -> None:
        recorded = self.metadata()["recipe"]["inputs"]
        for name, value in self.inputs.items():
            now = value if isinstance(value, str) else value.digest()
            if recorded.get(name) != now:
                was = recorded.get(name, "nothing")
                raise StaleArtefactError(
                    f"{self.path} was made from another {name} ({was[:12]}, where {now[:12]} is there now): "
                    f"run {self.made_by or 'what makes it'} again"
                )

    @contextlib.contextmanager
    def _intact(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise DamagedArtefactError(
                f"{self.path} is damaged: delete it and make it again ({error})"
            ) from None

    def _require(self) -> None:
        if not self.path.is_file():
            told = {name: self.parameters[name] for name in self.told or self.parameters}
            mend = f": run {self.made_by} with {told} first" if self.made_by else ""
            raise FileNotFoundError(f"{self.path} does not exist{mend}")


def _is_array(path: Path, dtype: np.dtype, shape: tuple[int, int]) -> bool:
    """Whether there is a file of just such an array."""
    try:
        array = np.load(path, mmap_mode="r")
        is_whole = path.stat().st_size == array.offset + array.nbytes
        return is_whole and (array.dtype, array.shape) == (dtype, shape)
    except (OSError, EOFError, ValueError):
        return False


@functools.cache
def file_digest(path: Path) -> str:
    """Digest of a file that stays as it is."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
