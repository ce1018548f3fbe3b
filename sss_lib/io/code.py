"""Digests of the code that an artefact was computed by: of what it does, not of what it says of itself."""

import ast
import functools
import hashlib
from pathlib import Path

LIBRARY = Path(__file__).parent.parent
DATA = ("models.catalogue",)
"""No import leads a digest here: an artefact's parameters have what matters of a model's row."""


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
    todo = [path for name in names for path in _files(name, library)]
    while todo:
        path = todo.pop()
        if path not in reached:
            reached.add(path)
            todo += [one for name in _read(path, library)[1] for one in _files(name, library, deep=False)]
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
    bare = _Bare(library)
    tree = bare.visit(ast.parse(path.read_bytes()))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(sorted(bare.imported - set(DATA)))


class _Bare(ast.NodeTransformer):
    """Takes from a syntax tree what is only said, and collects what of sss_lib is imported."""

    def __init__(self, library: Path):
        self.library, self.imported = library, set[str]()

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
            for one in node.names:
                inner = ".".join(filter(None, [rest, one.name]))
                path = self.library.joinpath(*inner.split("."))
                is_module = path.is_dir() or path.with_suffix(".py").is_file()
                if is_module or rest:
                    self.imported.add(inner if is_module else rest)
            node.module = "sss_lib"
        return node
