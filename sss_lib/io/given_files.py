"""Embeddings that others have computed, by clip id: their files, read in bounded memory.

A folder with a file a clip, named after it, in JSON as the CBMI 2024 code writes it, npy or npz; or tables,
in npz (arrays fname and embedding, or an array a clip) and Parquet (columns fname and embedding).
"""

import itertools
import json
import math
import numbers
import os
import tempfile
import time
import unicodedata
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sss_lib.io.names import AUDIO_SUFFIXES, listed
from sss_lib.io.writing import full_disk

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".json", ".npy", ".npz", ".parquet")
ROWS = 1024
"""Rows of a table that are held at a time."""

UNREADABLE = (
    *(OSError, EOFError, KeyError, OverflowError, MemoryError, RuntimeError),  # RecursionError is one
    *(TypeError, UnicodeError, zipfile.BadZipFile, zlib.error),
)
"""What files that are damaged or made up end in besides ValueError."""

LONG_S = 0.01
"""Seconds from which on a look at a folder is long."""

State = tuple[tuple[str, int, int], ...]
"""Path, size in bytes and time of change of each file."""
_SEEN: dict[tuple[str, int, int], tuple[State, float]] = {}
"""What the last long look at a folder found, by the folder's own state, and until when it is enough."""


def state_of(path: str | Path, *, anew: bool = True) -> State:
    """Files that hold the embeddings of a folder, or the one file that is named; none is read.

    Parameters
    ----------
    path : str or Path
    anew : bool
        False: what the last look at a folder of many files found is enough for nine times as long as that
        took, unless files came or went since. A grid asks thousands of times.

    Raises
    ------
    ValueError
        If there is no such file, or the folder holds several kinds of them.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path} does not exist: check the path behind the colon of the model's name")
    if path.is_file():
        return (_state_of_file(path),)
    folder, began = _state_of_file(path), time.perf_counter()
    state, until = _SEEN.get(folder, ((), -1.0))
    if anew or began > until:
        state = _scanned(path)
        took = time.perf_counter() - began
        for old in [one for one, (_, end) in _SEEN.items() if end < began]:
            del _SEEN[old]
        if took > LONG_S:
            _SEEN[folder] = state, began + 10 * took
    return state


def _scanned(folder: Path) -> State:
    found = [Path(path) for path in listed(folder, "*") if path.is_file()]
    kinds = {one: sum(file.suffix == one for file in found) for one in SUFFIXES}
    kinds = {one: n for one, n in kinds.items() if n}
    if len(kinds) != 1:
        has = " and ".join(f"{n} {one}" for one, n in kinds.items()) or "none of them"
        raise ValueError(f"{folder} has {has}: give a folder with one kind of {', '.join(SUFFIXES)} files")
    return tuple(_state_of_file(file) for file in found if file.suffix in kinds)


def _state_of_file(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


class GivenEmbeddings:
    """Embeddings by clip id. A file a clip is read when it is asked for; tables are unpacked once, to disk.

    Parameters
    ----------
    path : str or Path
        A file, or a folder of files of one kind.

    Attributes
    ----------
    dim : int
        Of the first clip; all others must have it.
    is_frames : bool
        Whether a clip has a table [n_frames, dim], rather than one vector.

    Raises
    ------
    ValueError
        If a file can't be read, or an id stands twice.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        files = [Path(file) for file, *_ in state_of(path)]
        self._kept = Kept(self.path)
        self._file_of: dict[str, Path] = {}
        if files[0].suffix in (".json", ".npy"):
            for file in files:
                if self._file_of.setdefault(clip_id(file.stem), file) is not file:
                    raise ValueError(f"clip {clip_id(file.stem)!r} has two files in {path}: keep one")
        else:
            for file in files:
                for name, values in _clips_in(file, is_alone=len(files) == 1):
                    self._kept.add(name, values)
        if not len(self):
            raise ValueError(f"{path} holds no embedding")
        self.first = next(iter(self.names()))
        values = self._read(self.first)
        self.is_frames, self.dim = values.ndim == 2, values.shape[-1]

    def __len__(self) -> int:
        return len(self.names())

    def names(self) -> dict:
        """Ids of the clips, as keys."""
        return self._file_of or self._kept.at

    def __call__(self, fname: str) -> np.ndarray | str:
        """Embeddings of a clip, float32 [n_frames, dim], or in words why it has none.

        Raises
        ------
        ValueError
            If its shape is not that of the first clip's.
        """
        if fname not in self.names():
            return f"no embedding of it among the {len(self)} of {self.path}, whose first is {self.first!r}"
        values = self._read(fname)
        if values.shape[-1] != self.dim or (values.ndim == 2) != self.is_frames:
            told = [
                f"{name!r} has {'a table' if shape[1:] else 'one vector'} of dimension {shape[-1]}"
                for name, shape in ((fname, values.shape), (self.first, self._read(self.first).shape))
            ]
            raise ValueError(f"in {self.path}, {' but '.join(told)}: keep one model's embeddings in a folder")
        if not len(values):
            return f"its table in {self.path} has no row"
        if n_bad := np.count_nonzero(~np.isfinite(values)):
            return f"{n_bad} of its {values.size} values in {self.path} are not finite"
        return np.atleast_2d(values)

    def _read(self, fname: str) -> np.ndarray:
        file = self._file_of.get(fname)
        return _of_file(file) if file else self._kept.read(fname)


def read_json_embeddings(folder: str | Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Frame or clip embeddings that the CBMI 2024 code wrote, all at once.

    Parameters
    ----------
    folder : str or Path
        Holds one {"audio_path": ..., "embeddings": [[...], ...] or [...]} per clip, named {fname}.json.

    Returns
    -------
    fnames : list of str [n_clips]
        In sorted order.
    frames : np.ndarray [shape=(n_total, dim), dtype=float32]
    offsets : np.ndarray [shape=(n_clips + 1,), dtype=int64]

    Raises
    ------
    ValueError
        If there is no such file, or a file's dimension differs from the first one's.
    """
    paths = listed(folder, "*.json")
    if not paths:
        raise ValueError(f"{folder} holds no .json file: give the folder with one JSON file a clip")
    rows: list[np.ndarray] = []
    for path in paths:
        rows.append(np.atleast_2d(_of_file(path)))
        if rows[-1].shape[1] != rows[0].shape[1]:
            raise ValueError(
                f"{path} has dimension {rows[-1].shape[1]} but {paths[0].name} has {rows[0].shape[1]}: "
                "keep one model's embeddings in a folder"
            )
    offsets = np.concatenate([[0], np.cumsum([len(values) for values in rows])]).astype(np.int64)
    return [path.stem for path in paths], np.concatenate(rows), offsets


class Kept:
    """Arrays by name, in a temporary file."""

    def __init__(self, source: Path):
        self.source = source
        self.at: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        weakref.finalize(self, self._file.close)

    def add(self, name: str, values: np.ndarray) -> None:
        """Keep one more array. Raises ValueError if its name is there."""
        if name in self.at:
            raise ValueError(f"clip {name!r} stands twice in {self.source}: keep one of its embeddings")
        self.at[name] = self._file.seek(0, os.SEEK_END), values.shape
        try:
            self._file.write(values.tobytes())
            self._file.flush()
        except OSError as error:
            raise full_disk(Path(tempfile.gettempdir(), self.source.name), 0, error) from None

    def read(self, name: str) -> np.ndarray:
        """Return an array."""
        start, shape = self.at[name]
        self._file.seek(start)
        return np.frombuffer(self._file.read(4 * int(np.prod(shape))), np.float32).reshape(shape)


def clip_id(name: object) -> str:
    """Id of a clip as files of others have it: a whole number or a name, perhaps that of its audio file.

    Raises
    ------
    TypeError
        If it is anything else, such as the 7.0 and nan that pandas makes of numbers with a gap.
    UnicodeError
        If it is bytes that are no UTF-8.

    Examples
    --------
    >>> clip_id(np.int64(64760)), clip_id("64760.wav"), clip_id("a.b")
    ('64760', '64760', 'a.b')
    """
    if isinstance(name, bool) or not isinstance(name, str | bytes | numbers.Integral):
        raise TypeError(f"{name!r} is no id of a clip: write all ids as text, or all as whole numbers")
    text = unicodedata.normalize("NFC", name.decode() if isinstance(name, bytes) else str(name))
    stem, suffix = os.path.splitext(text)
    return stem if suffix.lower() in AUDIO_SUFFIXES else text


def _as_embeddings(values: object, where: object) -> np.ndarray:
    """Float32 [dim] or [n_frames, dim]."""
    try:
        found = np.asarray(values)
        if found.dtype.kind not in "fiu":  # strings of digits are no numbers
            are_numbers = found.dtype == object and not any(isinstance(one, str) for one in found.flat)
            found = np.array(values, dtype=float) if are_numbers else np.empty(())
        with np.errstate(over="ignore"):  # what float32 can't hold isn't finite, and is told then
            found = found.astype(np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{where} is no table of numbers with rows of one length ({error})") from None
    if found.ndim not in (1, 2) or not found.shape[-1]:
        raise ValueError(f"{where} is not a vector, or a table with a row a frame, of numbers")
    return found


def _of_file(file: Path) -> np.ndarray:
    """Embeddings in a file of one clip."""
    try:
        if file.suffix == ".npy":
            return _as_embeddings(np.load(file, allow_pickle=False), file)
        content = json.loads(file.read_bytes())
    except (ValueError, *UNREADABLE) as error:
        raise ValueError(f"{file} can't be read: {error}") from None
    values = content.get("embeddings") if isinstance(content, dict) else content
    if values is None:
        keys = ", ".join(map(repr, content or ()))
        raise ValueError(f"{file} has no 'embeddings', but {keys or 'nothing'}")
    return _as_embeddings(values, f"{file}, 'embeddings',")


def _clips_in(file: Path, *, is_alone: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Id and embeddings of each clip of a file of several."""
    try:
        yield from _of_parquet(file) if file.suffix == ".parquet" else _of_npz(file, is_alone)
    except UNREADABLE as error:
        raise ValueError(f"{file} can't be read: {error}") from None


def _of_npz(file: Path, is_alone: bool) -> Iterator[tuple[str, np.ndarray]]:
    if file.suffix != ".npz":
        raise ValueError(f"{file} is none of {', '.join(SUFFIXES)}")
    with zipfile.ZipFile(file) as archive:
        members = [name.removesuffix(".npy") for name in archive.namelist()]
        table = next((name for name in ("embedding", "embeddings") if name in members), "")
        if table and "fname" in members:
            fnames = next(_blocks(archive, "fname", rows=None, file=file))
            blocks = _blocks(archive, table, rows=ROWS, file=file)
            rows = (row for block in blocks for row in block)
            names = [clip_id(name) for name in fnames.tolist()]
            for name, row in itertools.zip_longest(names, rows):
                if name is None or row is None:
                    raise ValueError(f"{file} has {len(names)} fnames, and another number of embeddings")
                yield name, _as_embeddings(row, f"{file}, clip {name!r},")
            return
        for name in members:
            own = file.stem if len(members) == 1 and (table or not is_alone) else name
            values = next(_blocks(archive, name, rows=None, file=file))
            yield clip_id(own), _as_embeddings(values, f"{file}, array {name!r},")


def _blocks(archive: zipfile.ZipFile, name: str, *, rows: int | None, file: Path) -> Iterator[np.ndarray]:
    """An array of an npz, some rows at a time; never one of Python's objects."""
    with archive.open(f"{name}.npy") as member:
        if rows is None:
            try:
                yield np.lib.format.read_array(member, allow_pickle=False)
            except ValueError as error:
                remedy = f"save it as text or numbers, as np.array({name}.tolist())"
                raise ValueError(f"{file}, array {name!r}, can't be read: {error}: {remedy}") from None
            return
        version = np.lib.format.read_magic(member)
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        shape, is_columns, dtype = read[version[0]](member)
        if dtype.hasobject or is_columns or len(shape) < 2:
            remedy = f"save np.ascontiguousarray({name}, float)"
            raise ValueError(f"{file}, array {name!r}, is not a table of numbers, row by row: {remedy}")
        for start in range(0, shape[0], rows):
            part = (min(rows, shape[0] - start), *shape[1:])
            content = member.read(n_bytes := math.prod(part) * dtype.itemsize)
            if len(content) < n_bytes:
                raise ValueError(f"{file}, array {name!r}, is cut short: its header tells {shape[0]:,} rows")
            yield np.frombuffer(content, dtype).reshape(part)


def _of_parquet(file: Path) -> Iterator[tuple[str, np.ndarray]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file)
        columns = table.schema_arrow.names
        wanted = next((name for name in ("embedding", "embeddings") if name in columns), "")
        if not wanted or "fname" not in columns:
            raise ValueError(f"{file} has columns {', '.join(columns)}: it needs fname and embedding")
        for batch in table.iter_batches(ROWS, columns=["fname", wanted]):
            for fname, value in zip(batch["fname"].to_pylist(), batch[wanted], strict=True):
                own = getattr(value, "values", None)  # None where a cell is no list
                found = value.as_py() if own is None or pa.types.is_nested(own.type) else _array(own)
                yield clip_id(fname), _as_embeddings(found, f"{file}, clip {fname!r},")
    except pa.ArrowException as error:
        raise ValueError(f"{file} can't be read: {error}") from None


def _array(column: "pa.Array") -> np.ndarray:
    return column.to_numpy(zero_copy_only=False)
