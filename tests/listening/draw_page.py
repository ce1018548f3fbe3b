"""Draw figures/listening.png, the listening page as the README shows it.

python tests/listening/draw_page.py, after `make run`: it needs its results, and Chromium.
"""

import io
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

import papermill
import test_page
from conftest import launched
from PIL import Image

from sss_lib.experiment import NOTEBOOKS
from sss_lib.listening.serve import command, environment

ROOT = NOTEBOOKS.parent
QUERY = "scratch-percussion-ride-cymbal"
N_COLOURS, HEIGHT = 96, 960


def main(target: Path = ROOT / "figures" / "listening.png") -> None:
    """Serve notebook 06 with one query, play a result, and save what the browser shows of the board."""
    with tempfile.TemporaryDirectory() as folder, launched() as browser:
        notebook, port = Path(folder) / "06.ipynb", test_page.free_port()
        parameters = {"data_dir": str(ROOT / "data"), "dataset": "mini", "query": QUERY}
        source = NOTEBOOKS / "06_listening.ipynb"
        papermill.execute_notebook(source, notebook, parameters, prepare_only=True, progress_bar=False)
        words = command("127.0.0.1", port, notebook, browser=False)
        with test_page.serving(words, port, env=environment()):
            one = test_page.Page(browser, f"http://127.0.0.1:{port}/")
            one.page.set_viewport_size({"width": 1280, "height": 3600})  # what isn't seen isn't drawn
            one.page.wait_for_timeout(1000)  # until cards have come into sight
            one.until(f"(one => !one.asking && !one.wanted.size)({test_page.BOARD}.pictures)")
            one.card(0, 1).click()
            one.page.wait_for_timeout(1500)
            shown = one.page.locator(".sss-board").first.screenshot()
    with Image.open(io.BytesIO(shown)) as image:
        top = image.convert("RGB").crop((0, 0, image.width, HEIGHT))
        top.quantize(N_COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
