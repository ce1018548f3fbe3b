"""How the packages of the library stand on each other: arrows between them run down, and in no circle."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import sss_lib

ROOT = Path(sss_lib.__file__).parent
FLOORS = (
    {"__main__"},
    {"listening", "figures"},
    {"experiment"},
    {"evaluation"},
    {"extraction", "search"},
    {"dataset", "models", "processing"},
    {"io"},
)
"""Top to bottom; the packages of one floor don't know each other."""
PACKAGES = sorted(set().union(*FLOORS) - {"__main__"})
FILES = sorted(ROOT.rglob("*.py"))


def name_of(path):
    """Name of a module below sss_lib; "" for sss_lib itself."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").rstrip(".")


MODULES = {name_of(path): path for path in FILES}


def imported(path):
    """Modules of the library that a module names in its imports, wherever these stand and whatever for."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: {ast.unparse(node)} is relative"
            names = [f"{node.module}.{one.name}" for one in node.names]
            names = [name if name[8:] in MODULES else node.module for name in names]
        else:
            continue
        yield from (name[8:] for name in names if name.split(".")[0] == "sss_lib")


ARROWS = {name: set(imported(path)) for name, path in MODULES.items()}


def test_there_are_ten_packages_and_nothing_beside_them():
    beside = {path.stem for path in ROOT.iterdir() if path.name != "__pycache__"}
    assert beside == {*PACKAGES, "__main__", "__init__"}
    assert len(PACKAGES) == 10


def test_no_import_goes_in_a_circle():
    graphlib.TopologicalSorter(ARROWS).prepare()


def test_a_circle_would_be_seen():
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(ARROWS | {"io.code": {"io.artefact"}}).prepare()


def test_no_arrow_between_packages_runs_up_or_along_a_floor():
    floor_of = {package: floor for floor, packages in enumerate(FLOORS) for package in packages}
    arrows = {(one.split(".")[0], other.split(".")[0]) for one in ARROWS for other in ARROWS[one] if one}
    assert ("evaluation", "search") in arrows
    assert not [pair for pair in arrows if pair[0] != pair[1] and floor_of[pair[0]] >= floor_of[pair[1]]]


def test_modules_are_imported_from_their_files_and_not_from_a_map():
    """What a map hands out lazily would be missing in digests of code."""
    assert not [(one, other) for one in ARROWS for other in ARROWS[one] if one and other in ("", *PACKAGES)]


MAPS = [path for path in FILES if path.name == "__init__.py" and path.parent != ROOT]


@pytest.mark.parametrize("path", MAPS, ids=name_of)
def test_the_map_of_a_package_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40


@pytest.mark.parametrize("package", PACKAGES)
def test_the_map_of_a_package_names_all_in_it(package):
    text = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8")))
    not_named = ("__init__.py", "__main__.py", "__pycache__")
    inside = [path for path in (ROOT / package).iterdir() if path.name not in not_named]
    names = [path.stem for path in inside if path.suffix == ".py"]
    names += [f"{path.name}/" for path in inside if (path / "__init__.py").is_file()]
    assert names
    assert not [name for name in names if f"`{name}`" not in text]


def test_what_a_package_offers_is_there_also_once_its_files_are_imported():
    code = f"""
import importlib, pkgutil
for name in {PACKAGES}:
    package = importlib.import_module("sss_lib." + name)
    for one in pkgutil.iter_modules(package.__path__):
        importlib.import_module("sss_lib." + name + "." + one.name)
    offered = list(getattr(package, "__all__", []))
    modules = [one for one in offered if type(getattr(package, one)) is type(importlib)]
    assert not modules, (name, modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
