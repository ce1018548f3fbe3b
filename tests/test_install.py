"""tools/install.py shows in one line how far pip is, and all of what pip says if it fails."""

import os
import re
import runpy
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import pip
import pytest

SCRIPT = Path(__file__).parent.parent / "tools" / "install.py"
INSTALL = runpy.run_path(str(SCRIPT))
FETCHING = [
    "Collecting numpy>=2.2 (from project)\n",
    "  Downloading numpy-2.4.6-cp311.whl.metadata (6.6 kB)\n",
    "  Downloading numpy-2.4.6-cp311.whl (16.5 MB)\n",
    "Collecting tiny (from project)\n",
    "  Using cached tiny-1.0-py3-none-any.whl (500 kB)\n",
]


def test_the_line_counts_packages_and_megabytes():
    state = INSTALL["state"]
    assert state([], 3, 3) == "fetching: 0 packages, 0 MB"
    assert state(FETCHING[:3], 3, 3) == "fetching: 1 packages, 16 MB, now numpy-2.4.6"
    assert state(FETCHING, 3, 3) == "fetching: 2 packages, 17 MB, now tiny-1.0"
    begun = [*FETCHING, "Installing collected packages: tiny, numpy\n"]
    assert state(begun, 3, 4) == "installing: 1 of 2 packages"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment of its own, and a wheel to install into it."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "venv")
    (packages,) = folder.glob("venv/[Ll]ib/**/site-packages")
    (packages / "pip").symlink_to(Path(pip.__file__).parent)  # a copy of its own would take seconds
    wheel = folder / "small-1.0-py3-none-any.whl"
    about = {
        "small.py": "",
        "small-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n",
        "small-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "small-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in about.items():
            archive.writestr(name, text)
    return folder / "venv" / "bin" / "python", wheel


def test_what_installs_says_little(environment):
    python, wheel = environment
    command = [python, SCRIPT, "--no-index", "--force-reinstall", wheel]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    *shown, last = done.stdout.splitlines()
    assert re.fullmatch(r"[01] packages installed in \d+ s", last)
    assert len(shown) <= 1
    subprocess.run([python, "-c", "import small"], check=True)


def test_what_fails_says_all_and_fails(environment):
    python, wheel = environment
    limits = wheel.with_name("constraints.txt")
    limits.write_text("small==2.0\n")
    command = [python, SCRIPT, "--no-index", "--constraint", limits, wheel]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "The user requested (constraint) small==2.0" in done.stderr
    assert "ResolutionImpossible" in done.stderr
    assert "installed in" not in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal")
def test_on_a_terminal_the_line_is_rewritten(environment):
    import pty

    python, wheel = environment
    ours, theirs = pty.openpty()
    command = [python, SCRIPT, "--no-index", "--force-reinstall", wheel]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        shown = b""
        begin = time.monotonic()
        while time.monotonic() - begin < 60:
            try:
                shown += os.read(ours, 1000)
            except OSError:  # closed
                break
    os.close(ours)
    assert running.returncode == 0
    first, last, rest = shown.decode().split("\r\n")
    assert first.startswith("\r")
    assert "installing: " in first or "fetching: " in first
    assert "packages installed in" in last
    assert rest == ""
