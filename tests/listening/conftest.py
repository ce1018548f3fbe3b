"""Chromium, and axe-core in it, for every page that the project shows."""

import contextlib
import shutil
import subprocess

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
AXE = "axe-core@4.14.1"


@contextlib.contextmanager
def launched():
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def chromium():
    """A browser."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """A function from a page to axe-core's findings on it: None where axe-core is not to be had of npm."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if not npm or subprocess.run([npm, "pack", AXE], cwd=folder, capture_output=True, timeout=120).returncode:
        return lambda page, about="": None
    (archive,) = folder.glob("*.tgz")
    shutil.unpack_archive(archive, folder, filter="data")
    script = (folder / "package" / "axe.min.js").read_text(encoding="utf-8")

    def findings(page, about="document"):
        if not page.evaluate("Boolean(window.axe)"):
            page.evaluate(script)  # evaluated by the debugger, which a page's own policy doesn't bind
        found = page.evaluate(f"axe.run({about})")["violations"]
        return [(one["id"], one["impact"], [node["html"] for node in one["nodes"]]) for one in found]

    return findings
