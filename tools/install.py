"""Install with pip, and show in one line how far it is.

    python tools/install.py --constraint constraints.txt --editable '.[all]'

takes what `pip install` takes. On a terminal the line is rewritten; in a log there is a new one every ten
seconds. What pip says is kept, and printed in full if it fails.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

EVERY_S = 10.0
"""Seconds between two lines in a log."""
UNITS = {"bytes": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}


def state(said: list[str], n_before: int, n_now: int) -> str:
    """How far pip is.

    Parameters
    ----------
    said : list of str
        Lines that pip has printed.
    n_before, n_now : int
        Packages in the environment, at the start and now: while it installs, pip says nothing.
    """
    for line in said:
        if line.startswith("Installing collected packages: "):
            return f"installing: {n_now - n_before} of {line.count(',') + 1} packages"
    n_named = sum(line.startswith("Collecting ") for line in said)
    files = re.findall(r"(?:Downloading|Using cached) (\S+\.(?:whl|gz)) \(([\d.]+) (\w+)\)", "".join(said))
    size = sum(float(number) * UNITS[unit] for _, number, unit in files)
    last = f", now {'-'.join(files[-1][0].split('-')[:2])}" if files else ""
    return f"fetching: {n_named} packages, {size:,.0f} MB{last}"


def n_installed() -> int:
    """How many packages this environment has."""
    return len(list(Path(sysconfig.get_path("purelib")).glob("*.dist-info")))


def show(text: str, *, again: bool) -> None:
    """Print a line, on a terminal in place of the last."""
    if again:
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{text[:width]:{width}}", end="", flush=True)
    else:
        print(text, flush=True)


def main(arguments: list[str]) -> int:
    """Install; return pip's exit code."""
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"]
    is_terminal = sys.stdout.isatty()
    said: list[str] = []
    begin, told, n_before = time.monotonic(), "", n_installed()
    with subprocess.Popen(
        [*pip, "--progress-bar=off", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        reader = threading.Thread(target=lambda: [said.append(line) for line in process.stdout])
        reader.start()
        while reader.is_alive():
            reader.join(0.5 if is_terminal else EVERY_S)
            if (text := state(said, n_before, n_installed())) != told:
                show(text, again=is_terminal)
                told = text
    if is_terminal:
        print()
    if process.returncode:
        print("".join(said), end="", file=sys.stderr)
    else:
        print(f"{n_installed() - n_before} packages installed in {time.monotonic() - begin:.0f} s")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
