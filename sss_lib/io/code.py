"""Digests of the code that an artefact was computed by: of what it does, not of what it says of itself."""

import ast
import contextlib
import functools
import hashlib
import importlib.util
import json
import sys
import zlib
from pathlib import Path

from sss_lib.io.writing import replacing

LIBRARY = Path(__file__).parent.parent
DATA = ("models.catalogue",)
"""No import leads a digest here: an artefact's parameters have what matters of a model's row."""
MOST_KEPT = 2000
"""Files whose digests are kept: with more, most are of code that is gone, and all are dropped."""


@functools.cache
def code_digest(names: tuple[str, ...], library: Path = LIBRARY) -> str:
    """Digest of some packages or modules of sss_lib, and of all modules of it that they import.

    Imports within functions count, those for types only don't. Comments, docstrings, the layout of lines and
    the places of files make no difference.

    Parameters
    ----------
    names : tuple of str
        As "processing" or "models.loaders.cnn14". A package stands for all its files.
    library : Path
        The folder of sss_lib.

    Raises
    ------
    ValueError
        If there is no such package or module.
    """
    reached: set[Path] = set()
    n_kept = len(_kept())
    todo = [path for name in names for path in _files(name, library)]
    while todo:
        path = todo.pop()
        if path not in reached:
            reached.add(path)
            todo += [one for name in _read(path, library)[1] for one in _files(name, library, deep=False)]
    if len(_kept()) > n_kept:
        _keep()
    digests = sorted(_read(path, library)[0] for path in reached)
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def _files(name: str, library: Path, *, deep: bool = True) -> list[Path]:
    """Files of a module or, if `deep`, of all of a package."""
    path = library.joinpath(*name.split("."))
    if path.is_dir():
        return sorted(path.rglob("*.py")) if deep else [path / "__init__.py"]
    if not path.with_suffix(".py").is_file():
        raise ValueError(f"{library} has no package or module {name!r}: name one that it has")
    return [path.with_suffix(".py")]


@functools.cache
def _read(path: Path, library: Path) -> tuple[str, tuple[str, ...]]:
    """Digest of a module by itself, and the names of the modules that it imports."""
    content = path.read_bytes()
    key = hashlib.sha256(content).hexdigest()
    if key not in _kept():
        bare = _Bare()
        tree = bare.visit(ast.parse(content))
        _kept()[key] = [hashlib.sha256(ast.dump(tree).encode()).hexdigest(), sorted(bare.imported)]
    digest, imported = _kept()[key]
    names = {name for one in imported if (name := _module(one, library))}
    return digest, tuple(sorted(names - set(DATA)))


def _module(name: str, library: Path) -> str:
    """Return the module that an import of a name reads: of that name, or which has it; "" for sss_lib."""
    path = library.joinpath(*name.split("."))
    return name if path.is_dir() or path.with_suffix(".py").is_file() else name.rpartition(".")[0]


@functools.cache
def _kept() -> dict[str, list]:
    """Digests and imports by what files contain, of earlier processes: to parse takes most of the time."""
    with contextlib.suppress(OSError, ValueError):
        checksum, _, content = _path().read_bytes().partition(b"\n")
        if int(checksum) == zlib.crc32(content):
            return json.loads(content)
    return {}


def _keep() -> None:
    """Write what is kept beside Python's own cache of this module, if that may be written."""
    if len(_kept()) > MOST_KEPT:
        _kept().clear()
    if not sys.dont_write_bytecode:
        content = json.dumps(_kept()).encode()
        with contextlib.suppress(OSError), replacing(_path()) as temporary:
            temporary.write_bytes(b"%d\n%b" % (zlib.crc32(content), content))


def _path() -> Path:
    """File of what is kept: its name has the version of Python, which decides what a syntax tree is."""
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    return Path(importlib.util.cache_from_source(__file__)).with_suffix(f".{own}.json")


class _Bare(ast.NodeTransformer):
    """Takes from a syntax tree what is only said, and collects what of sss_lib is imported."""

    def __init__(self) -> None:
        self.imported = set[str]()

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop a docstring, also one below a constant."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """Drop imports for types only."""
        is_for_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if is_for_types else self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST:
        """Collect `import sss_lib.x`."""
        self.imported |= {one.name[8:] for one in node.names if one.name.startswith("sss_lib.")}
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        """Collect `from sss_lib.x import y`, and forget where it is imported from."""
        package, _, rest = (node.module or "").partition(".")
        if package == "sss_lib":
            self.imported |= {".".join(filter(None, [rest, one.name])) for one in node.names}
            node.module = "sss_lib"
        return node
