"""How long the page of notebook 06 takes: to be served, seen and heard, to search with a sound, and to end.

python tests/benchmarks/listening.py, after `make run`: it needs its results, and Chromium. CPU-seconds are of
the server and its kernels: on a machine that does other work as well they say more than the seconds.
"""

import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "listening"))

import psutil
import test_page
from conftest import launched
from playwright.sync_api import Error

from sss_lib.experiment import NOTEBOOKS
from sss_lib.listening import shared_models
from sss_lib.listening.serve import LEFT_S

SOUNDS = NOTEBOOKS.parent / "data" / "mini" / "audio"
ASKED_S = {
    "served": 3.0,
    "board seen, first visit": 3.0,
    "board seen, next visit": 3.0,
    "click to sound, median of ten": 0.05,
    "first sound of one's own": 10.0,
    "next sound of one's own": 3.0,
    "kernel gone after the page": LEFT_S + 3.0,
}
HEARD = """card => new Promise(heard => {
    const began = performance.now();
    const clock = new MessageChannel(), look = () => {
        PLAYS ? heard((performance.now() - began) / 1000) : clock.port2.postMessage(0);
    };
    clock.port1.onmessage = look; // timers have 4 ms
    card.click();
    look();
})""".replace("PLAYS", test_page.PLAYS)
CLICKS = 10


class Watch:
    """Seconds and CPU-seconds of a process and all that it starts."""

    def __init__(self, pid: int):
        self.process, self.of_ended = psutil.Process(pid), {}
        self.start()

    def start(self) -> None:
        self.began_s, self.cpu_began_s = time.monotonic(), self.cpu_s()

    def cpu_s(self) -> float:
        for one in [self.process, *self.process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                self.of_ended[one.pid] = sum(one.cpu_times()[:2])
        return sum(self.of_ended.values())

    def stop(self, what: str, seconds: float | None = None) -> bool:
        """Print what was measured, and tell whether it was more than is asked for."""
        seconds = time.monotonic() - self.began_s if seconds is None else seconds
        cpu_s = self.cpu_s() - self.cpu_began_s
        print(f"  {what:32}{seconds:7.3f} s, {ASKED_S[what]:6.2f} asked; {cpu_s:5.1f} CPU-s", flush=True)
        self.start()
        return seconds > ASKED_S[what]


def wait_for(port: int) -> None:
    """Wait until something listens."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)


def search(one: test_page.Page, path: Path) -> None:
    """Search with a sound of one's own."""
    one.page.locator(".sss-drop input >> nth=0").set_input_files(path)
    shown = "name => document.querySelector('.sss-query').textContent.includes(name)"
    one.page.wait_for_function(shown, arg=path.name, timeout=300_000)
    one.until("document.querySelector('.sss-status').textContent === ''")


def models(server: psutil.Process) -> dict[psutil.Process, int]:
    """Processes that the one that shares models has, with their memory in MB."""
    (shared,) = [one for one in server.children() if shared_models.__name__ in one.cmdline()]
    return {one: one.memory_info().rss // 10**6 for one in shared.children(recursive=True)}


def main() -> int:
    """Print what was measured and what is asked; return 1 if anything took longer."""
    port, late = test_page.free_port(), []
    words = [sys.executable, "-m", "sss_lib", "listen", "--no-browser", "--port", str(port), *sys.argv[1:]]
    with tempfile.TemporaryFile() as log, launched() as browser:
        process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            watch = Watch(process.pid)
            wait_for(port)
            late.append(watch.stop("served"))
            others = set(watch.process.children(recursive=True))
            for visit in ("first", "next"):
                before = set(watch.process.children(recursive=True)) - others
                one = test_page.Page(browser, f"http://127.0.0.1:{port}/")
                late.append(watch.stop(f"board seen, {visit} visit", one.opened_s))
                if visit == "first":
                    one.context.close()
                    time.sleep(20)  # the next page is made in advance, and the kernel of this one ends
                    watch.start()
            one.page.wait_for_timeout(3000)  # cards on the screen are fetched beforehand
            watch.start()
            clicks = []
            for i in range(CLICKS):
                one.silence()
                one.page.wait_for_timeout(200)
                clicks.append(one.card(i % 5, 0).evaluate(HEARD))
            print("  clicks:", *(f"{1000 * click:.0f}" for click in clicks), "ms")
            late.append(watch.stop("click to sound, median of ten", statistics.median(clicks)))
            first, second = sorted(SOUNDS.glob("*.flac"))[:2] or sorted(SOUNDS.iterdir())[:2]
            for which, path in (("first", first), ("next", second)):
                search(one, path)
                late.append(watch.stop(f"{which} sound of one's own"))
            print("  models' processes:", *sorted(models(watch.process).values()), "MB")
            one.context.close()
            watch.start()
            before -= models(watch.process).keys()  # these stay
            while before & set(watch.process.children(recursive=True)):
                time.sleep(0.1)
            late.append(watch.stop("kernel gone after the page"))
        except Error:
            log.seek(0)
            print(log.read().decode())
            raise
        finally:
            process.terminate()
            process.wait(30)
    return int(any(late))


if __name__ == "__main__":
    sys.exit(main())
