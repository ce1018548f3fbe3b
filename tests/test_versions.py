"""The packages of this environment are those of constraints.txt, by which results and tests are made."""

import importlib.metadata
import itertools
import os
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
PROJECT, INSTALLER = "semantic-sound-similarity", "pip"


def allowed(text, environment=None):
    """Specifier of each package that a file of constraints has for an environment, by default this one."""
    lines = [Requirement(line) for line in text.splitlines()]
    return {
        canonicalize_name(line.name): line.specifier
        for line in lines
        if not line.marker or line.marker.evaluate(environment)
    }


def differences(installed, wanted):
    """A sentence for each installed version that isn't the one wanted."""
    found = []
    for name, version in sorted(installed.items()):
        if name not in wanted:
            found.append(f"{name} {version} is installed, and constraints.txt has none")
        elif not wanted[name].contains(version, prereleases=True):
            found.append(f"{name} {version} is installed, and constraints.txt has {wanted[name]}")
    return found


def test_a_difference_names_both_versions():
    text = 'a==1.0\nb==2.0 ; python_version < "3.0"\nb==3.0 ; python_version >= "3.0"\nc-d==1.0\n'
    wanted = allowed(text)
    assert differences({"a": "1.0", "b": "3.0", "c-d": "1.0+cpu"}, wanted) == []
    assert differences({"a": "1.1", "b": "2.0", "e": "5"}, wanted) == [
        "a 1.1 is installed, and constraints.txt has ==1.0",
        "b 2.0 is installed, and constraints.txt has ==3.0",
        "e 5 is installed, and constraints.txt has none",
    ]


def test_the_packages_here_are_those_of_the_constraints():
    """Fails where the tests decide, in CI; whoever wants other versions is told, and goes on."""
    installed = {
        canonicalize_name(one.metadata["Name"]): one.version for one in importlib.metadata.distributions()
    }
    del installed[PROJECT]
    installed.pop(INSTALLER, None)
    found = differences(installed, allowed(CONSTRAINTS.read_text()))
    remedy = "`make -B setup` installs those of constraints.txt, `make lock` writes the newest into it"
    if found and not os.environ.get("CI"):
        pytest.skip(f"{'; '.join(found)}: {remedy}")
    assert not found, remedy


def asked():
    """What pyproject.toml asks for, with and without extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]


PLATFORMS = [
    {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", "os_name": "posix"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64", "os_name": "posix"},
    {"sys_platform": "win32", "platform_system": "Windows", "platform_machine": "AMD64", "os_name": "nt"},
]


@pytest.mark.parametrize("python", ["3.11.9", "3.12.1", "3.13.0"])
@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda one: one["sys_platform"])
def test_each_python_has_one_version_of_everything_that_the_project_names(python, platform):
    environment = platform | {"python_version": python.rpartition(".")[0], "python_full_version": python}
    lines = [Requirement(line) for line in CONSTRAINTS.read_text().splitlines()]
    names = [one.name for one in lines if not one.marker or one.marker.evaluate(environment)]
    assert len(names) == len(set(names))
    wanted = allowed(CONSTRAINTS.read_text(), environment)
    for requirement in map(Requirement, asked()):
        applies = not requirement.marker or requirement.marker.evaluate(environment)
        if applies and requirement.name != PROJECT:
            (version,) = wanted[canonicalize_name(requirement.name)]
            assert version.operator == "=="
            assert requirement.specifier.contains(version.version, prereleases=True), requirement


def test_the_constraints_have_names_and_versions_only():
    lines = CONSTRAINTS.read_text().splitlines()
    assert lines == sorted(lines, key=lambda line: re.split("[= ]", line)[0])
    for line in lines:
        one = Requirement(line)
        assert one.url is None
        assert not one.extras
        assert re.fullmatch(r"==[\w.]+", str(one.specifier)), line
