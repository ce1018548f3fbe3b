"""Notebook 06 in Chromium, as Voila serves it and in JupyterLab: every control, every sound, the keyboard."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
import small_study
import soundfile

from sss_lib import leaderboard
from sss_lib.experiment import NOTEBOOKS
from sss_lib.experiment.store import Store
from sss_lib.listening import Judgements
from sss_lib.listening import serve as serving_page
from sss_lib.listening.serve import command, environment

pytestmark = pytest.mark.browser
PATIENCE_MS = 60_000
WAY = (
    *(("ArrowDown", "0,1"), ("ArrowRight", "1,1"), ("End", "1,9"), ("Home", "1,0"), ("ArrowLeft", "0,0")),
    *(("ArrowUp", "-1,0"), ("ArrowDown", "0,0")),
)
WAY_OVER_GAPS = (
    *(("ArrowRight", "3,1"), ("ArrowRight", "3,1"), ("ArrowLeft", "1,1"), ("ArrowLeft", "1,1")),
    *(("Home", "1,0"), ("ArrowUp", "-1,0"), ("ArrowDown", "1,0")),
)
BOARD = "[...document.querySelectorAll('*')].find(el => el.sssBoard).sssBoard"
PLAYER = f"{BOARD}.player"
PLAYS = f"(one => one.playing && one.deck.audio.currentTime > 0)({PLAYER})"
MAP = "[...document.querySelectorAll('*')].find(el => el.sssMap).sssMap.spaces[0]"
CARDS = ".sss-board >> nth=0 >> .sss-card"


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory):
    """Data folder of the small study, with notebook 06 of it beside."""
    import papermill

    folder = tmp_path_factory.mktemp("page")
    small_study.make(folder)
    parameters = {"data_dir": str(folder), "dataset": small_study.NAME, "query": "tone1"}
    papermill.execute_notebook(
        NOTEBOOKS / "06_listening.ipynb",
        folder / "06.ipynb",
        {**parameters, "n_judged": 2, "n_queries": 3},
        prepare_only=True,
    )
    return folder


@contextlib.contextmanager
def serving(arguments, port, **options):
    """A server while it runs."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def server(study_folder):
    """The process that serves the page, and its URL."""
    port = free_port()
    arguments = command("127.0.0.1", port, study_folder / "06.ipynb", browser=False)
    with serving(arguments, port, env=environment()) as process:
        yield process, f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def voila(server):
    """URL of the served page."""
    return server[1]


def kernels(process):
    """Process ids of a server's kernels: children of the process that forks them."""
    forking = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)
    parents = ",".join(forking.stdout.split())
    found = subprocess.run(["pgrep", "-P", parents], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


@contextlib.contextmanager
def halted(processes):
    """Processes that do nothing for a while."""
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def lab_command(port, folder):
    """Command that serves a folder in JupyterLab."""
    return [
        *(sys.executable, "-m", "jupyterlab", f"--port={port}", "--no-browser", "--ServerApp.token="),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={folder}", "--allow-root"),
        *("--LabApp.expose_app_in_browser=True", "--ServerApp.disable_check_xsrf=True"),
        *("--LabApp.news_url=None", f"--LabApp.workspaces_dir={folder}/workspaces"),
    ]


@pytest.fixture(scope="module")
def lab(study_folder, chromium):
    """The notebook in JupyterLab, run."""
    port = free_port()
    with serving(lab_command(port, study_folder), port):
        one = Page(chromium, f"http://127.0.0.1:{port}/lab/tree/06.ipynb", run=True)
        yield one
        one.context.close()


class Page:
    """A page with the board, and what went wrong on it."""

    def __init__(self, browser, url, *, run=False, context=None, **options):
        viewport = {"width": 1280, "height": 900}
        self.context = context or browser.new_context(viewport=viewport, **options)
        self.page = self.context.new_page()
        self.errors, self.elsewhere = [], []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console", lambda one: one.type == "error" and self.errors.append(f"{one.text} {one.location}")
        )
        self.page.on("request", self._note)
        began = time.monotonic()
        self.page.goto(url)
        if run:
            self.run_all()
        self.page.wait_for_selector(".sss-card", timeout=PATIENCE_MS)
        self.page.get_by_role("button", name="Filter and step").click()
        self.opened_s = time.monotonic() - began

    def _note(self, request):
        if not request.url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")):
            self.elsewhere.append(request.url)

    def run_all(self):
        """Run the notebook in JupyterLab."""
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PATIENCE_MS)
        self.page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel", timeout=PATIENCE_MS
        )
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def card(self, column=0, rank=0):
        return self.page.locator(f"{CARDS}[data-column='{column}'][data-rank='{rank}']")

    def show(self, fname):
        """Let a clip query through the control."""
        box = self.page.get_by_label("Clip", exact=True)
        box.fill(fname)
        box.press("Enter")
        self.page.wait_for_function(
            "name => document.querySelector('.sss-query').textContent.includes(name)", arg=fname
        )

    def until(self, script, arg=None):
        self.page.wait_for_function(script, arg=arg, timeout=PATIENCE_MS)

    def silence(self):
        self.page.evaluate(f"{PLAYER}.pause()")

    def player(self, what):
        """A property of the first board's player."""
        return self.page.evaluate(f"{PLAYER}.{what}")


@contextlib.contextmanager
def opened(chromium, url, *, context=None):
    """The notebook's page, on which nothing may go wrong."""
    one = Page(chromium, url, context=context)
    yield one
    one.context.close()
    assert [error for error in one.errors if "net::ERR" not in error] == []
    assert one.elsewhere == []


@pytest.fixture(scope="module")
def page(chromium, voila):
    """The page that Voila serves."""
    with opened(chromium, voila) as one:
        yield one


@pytest.fixture
def board(page):
    """The page, silent, with tone1 as the query and the first result in focus."""
    page.silence()
    page.show("tone2")
    page.show("tone1")
    return page


def test_the_program_comes_in_one_file(page):
    asked = page.page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    assert 1 <= sum("/voila/static/" in one for one in asked) < 20  # what it loads later, it loads in parts


def test_a_click_plays_and_the_sound_goes_on(board):
    board.card(0, 1).locator(".sss-title").click()
    board.until(PLAYS)
    before = board.player("deck.audio.currentTime")
    board.page.wait_for_timeout(250)
    assert board.player("deck.audio.currentTime") > before
    assert board.card(0, 1).evaluate("card => card.classList.contains('sss-plays')")
    next_clip = int(board.card(0, 2).get_attribute("data-clip"))
    board.until(f"clip => {PLAYER}.sounds.has(clip)", next_clip)  # before it is asked for
    board.card(0, 1).locator(".sss-title").click()
    board.until(f"!({PLAYS})")


def test_a_sound_at_hand_is_heard_within_50_ms_of_the_click(board):
    """At an analyser: when its first sample was, in the best of some clicks, as the machine may be busy."""
    is_decoded, times_ms = board.page.evaluate(
        f"""async () => {{
        const player = {PLAYER}, card = document.querySelector('.sss-query .sss-title');
        const clip = Number(card.closest('.sss-card').dataset.clip), times = [];
        await player.prepare(clip);
        const deck = player.decks[1], tap = player.context.createAnalyser();
        tap.fftSize = 32768;
        deck.gain.connect(tap);
        const wave = new Float32Array(tap.fftSize), second = player.context.sampleRate;
        const pause = (ms) => new Promise((done) => setTimeout(done, ms));
        const first = () => (tap.getFloatTimeDomainData(wave), wave.findIndex((one) => Math.abs(one) > 1e-4));
        player.resume();
        for (let i = 0; i < 5; i++) {{
            do await pause(300); while (first() >= 0);
            const began = performance.now();
            card.click();
            while (first() < 0) await pause(0);
            times.push(performance.now() - began - 1000 * (wave.length - first()) / second);
            player.stop();
        }}
        return [deck.audio !== deck.file, times]; }}"""
    )
    assert is_decoded
    assert min(times_ms) < 50, times_ms


def test_samples_of_few_sounds_are_held_and_none_of_a_long_one(board):
    is_null, sizes = board.page.evaluate(
        f"""async () => {{
        const player = {PLAYER}, n = 30 * 8000;  // 30 s of 8 bits at 8 kHz
        const wav = new Uint8Array(44 + n).fill(128), head = new DataView(wav.buffer);
        ['RIFF', 'WAVE', 'fmt ', 'data'].forEach((word, i) => [...word].forEach(
            (one, j) => head.setUint8([0, 8, 12, 36][i] + j, one.charCodeAt(0))));
        for (const [at, value] of Object.entries(
            {{ 4: 36 + n, 16: 16, 20: 0x10001, 24: 8000, 28: 8000, 32: 0x80001, 40: n }}))
            head.setUint32(at, value, true);
        const sounds = Array.from({{ length: 20 }}, () => ({{ blob: new Blob([wav]) }}));
        for (const sound of sounds) await player.decode(sound);
        const long = player.decode({{ blob: new Blob([new Uint8Array(2 ** 22 + 1)]) }});
        return [long === null, sounds.map(({{ buffer }}) => (buffer ? 4 * buffer.length : 0))]; }}"""
    )
    assert is_null
    assert sizes[0] == 0 < sizes[-1]
    assert sum(sizes) <= 2**26 < sum(sizes) + 2 * sizes[-1]


def test_a_click_on_the_picture_seeks_and_the_space_bar_pauses(board):
    board.show("tone3")  # of 3 s
    picture = board.page.locator(".sss-query .sss-picture >> nth=0")
    box = picture.bounding_box()
    picture.click(position={"x": 0.6 * box["width"], "y": box["height"] / 2})
    board.until(PLAYS)
    assert 0.599 < board.player("progress") < 0.9
    board.page.keyboard.press("Space")
    board.until(f"!({PLAYS})")
    at = board.player("progress")
    assert 0.6 <= at < 1
    assert board.page.locator(".sss-query .sss-paused .sss-cursor").is_visible()
    board.page.keyboard.press(",")
    board.until(PLAYS)
    assert board.player("progress") < at
    board.page.keyboard.press("Space")
    board.until(f"!({PLAYS})")
    at = board.player("progress")
    board.page.keyboard.press("Space")
    board.until(PLAYS)
    assert at <= board.player("progress") < 1
    board.page.keyboard.press("Escape")
    assert board.player("progress") == 0


def test_a_clip_whose_file_goes_on_is_played_on_and_its_picture_is_of_the_clip(board):
    board.show("tone3")  # of 3 s, of which the clip is the first one here
    clip = int(board.page.locator(".sss-query .sss-card").first.get_attribute("data-clip"))
    shorten = f"async ([clip, seconds]) => {{ (await {PLAYER}.fetch(clip)).seconds = seconds; }}"
    board.page.evaluate(shorten, [clip, 1])
    picture = board.page.locator(".sss-query .sss-picture >> nth=0")
    box = picture.bounding_box()
    picture.click(position={"x": 0.8 * box["width"], "y": box["height"] / 2})
    board.until(PLAYS)
    assert 0.799 < board.player("deck.audio.currentTime") < 1.5
    board.until(f"{PLAYER}.progress > 1.3")
    cursor = board.page.locator(".sss-query .sss-plays .sss-cursor").first
    assert cursor.evaluate("cursor => cursor.style.left") == "100%"
    board.page.keyboard.press("Space")
    at = board.player("deck.audio.currentTime")
    board.page.keyboard.press("Space")
    board.until(PLAYS)
    assert board.player("deck.audio.currentTime") >= at  # goes on from where it was
    board.page.evaluate(f"{PLAYER}.setLoop(true)")
    board.until(f"{PLAYER}.deck.audio.currentTime < 1")  # repeats the clip
    board.page.evaluate(f"{PLAYER}.setLoop(false)")
    board.page.keyboard.press("Escape")
    board.page.evaluate(shorten, [clip, None])


@pytest.fixture(scope="module")
def phone(chromium, voila):
    """The page on a phone that, as Safari, says it plays no Ogg; that it fails on FLAC shows as it plays."""
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.add_init_script(
        """const [can, url] = [HTMLMediaElement.prototype.canPlayType, URL.createObjectURL];
        HTMLMediaElement.prototype.canPlayType = function (mime) {
            return mime.includes('ogg') ? '' : can.call(this, mime); };
        URL.createObjectURL = (blob) => url(blob.type === 'audio/flac' ? new Blob(['no sound']) : blob);
        const decode = BaseAudioContext.prototype.decodeAudioData;
        BaseAudioContext.prototype.decodeAudioData = function (bytes) {
            const isFlac = new TextDecoder().decode(bytes.slice(0, 4)) === 'fLaC';
            return isFlac ? Promise.reject(new Error('no sound')) : decode.call(this, bytes); };"""
    )
    with opened(chromium, voila, context=context) as one:
        yield one


def test_what_a_browser_does_not_play_or_fails_to_play_comes_as_wav(phone):
    for fname in ("noise2", "tone1"):
        phone.show(fname)
        phone.page.locator(f"{CARDS} >> nth=0").focus()
        phone.page.keyboard.press("q")
        phone.until(PLAYS)
        assert phone.player("deck.sound.mime") == "audio/wav", fname
        phone.page.keyboard.press("Escape")


def test_every_format_plays_and_a_broken_file_says_so(board):
    for fname in ("tone0", "tone1", "tone2", "noise1", "noise2", "click1", "broken"):
        board.show(fname)
        board.page.locator(f"{CARDS} >> nth=0").focus()
        board.page.keyboard.press("q")
        if fname == "broken":
            board.until("document.querySelector('.sss-now').textContent.includes('broken.wav')")
            assert "no embedding of the query" in board.page.locator(".sss-columns >> nth=0").inner_text()
        else:
            board.until(PLAYS)
            expected_s = len(small_study.sounds()[fname]) / small_study.RATE_HZ
            assert board.player("deck.audio.duration") == pytest.approx(expected_s, abs=0.15)
        board.page.keyboard.press("Escape")


def test_the_keyboard_alone_suffices(board):
    keys = board.page.keyboard
    board.card(0, 0).focus()
    at = "document.activeElement.dataset"
    for key, place in WAY:
        keys.press(key)
        assert board.page.evaluate(f"[{at}.column, {at}.rank].join()") == place, key
    keys.press("Space")
    board.until(PLAYS)
    assert board.player("deckName") == "result"
    keys.press("l")
    assert board.player("deck.audio.loop")
    keys.press("l")
    assert not board.player("deck.audio.loop")
    keys.press("v")
    assert not board.player("matched")
    board.until(f"Math.abs({PLAYER}.deck.gain.gain.value - 1) < 1e-3")
    keys.press("v")
    board.until(f"Math.abs({PLAYER}.deck.gain.gain.value - {PLAYER}.deck.sound.gain) < 1e-3")
    keys.press("Escape")
    board.until(f"!({PLAYS})")
    clip = board.page.evaluate(f"{at}.clip")
    keys.press("Enter")
    board.until("clip => document.querySelector('.sss-query .sss-card').dataset.clip === clip", clip)


def test_the_keyboard_passes_over_systems_without_results(board):
    def show(*lengths):
        board.page.evaluate(
            """lengths => {
            const { model } = [...document.querySelectorAll('*')].find(el => el.sssBoard).sssBoard;
            const view = model.get('view'), [column] = view.columns;
            const columns = lengths.map(n => ({...column, results: column.results.slice(0, n)}));
            model.set('view', {...view, columns}); }""",
            lengths,
        )

    stops = "document.querySelector('.sss-board').querySelectorAll(\".sss-card[tabindex='0']\")"
    at = f"[...{stops}].map(card => [card.dataset.column, card.dataset.rank].join())"
    show(0, 5, 0, 2)
    assert board.page.evaluate(at) == ["1,0"]
    board.card(1, 0).focus()
    board.page.keyboard.press("End")
    for key, place in WAY_OVER_GAPS:
        board.page.keyboard.press(key)
        assert board.page.evaluate(at) == [place], key
    show(0, 0)
    assert board.page.evaluate(at) == ["-1,0"]


def test_jupyterlab_plays_and_keeps_its_shortcuts_with_control_alone(lab):
    lab.card(0, 1).click()
    lab.until(PLAYS)
    lab.page.keyboard.press("Escape")
    lab.until(f"!({PLAYS})")
    for key, is_ours in (("v", True), ("Control+F9", False), ("v", True)):
        lab.page.keyboard.press(key)
        suppressed = "document.activeElement.hasAttribute('data-lm-suppress-shortcuts')"
        assert lab.page.evaluate(suppressed) == is_ours, key
    clip = lab.card(0, 1).get_attribute("data-clip")
    lab.page.keyboard.press("Enter")
    lab.until("clip => document.querySelector('.sss-query .sss-card').dataset.clip === clip", clip)
    assert [error for error in lab.errors if "net::ERR" not in error] == []


def test_a_kernel_that_is_gone_is_told(board):
    told = board.page.evaluate(
        f"() => {{ const {{ kernel }} = {BOARD};"
        """
        const { model } = kernel;
        kernel.model = { send: () => { throw new Error('Cannot send') } };
        const told = kernel.ask({ask: 'hello'}).catch(error => error.message);
        kernel.model = model;
        return told; }"""
    )
    assert told == "No kernel answers: run this notebook's cells to listen, or reload the page."


def test_what_is_seen_is_also_named_and_of_enough_contrast(board):
    page = board.page
    for role, name in [
        ("region", "listening board"),
        ("group", "Log-mel statistics, PCA 3, L2, NNS"),
        ("combobox", "add a class it has"),
        ("combobox", "add a class it lacks"),
    ]:
        assert page.get_by_role(role, name=name, exact=True).count() == 1, name
    assert "NNS (distance)" in page.locator(".sss-column >> nth=0").inner_text()
    assert "distance 0." in board.card(0, 0).get_attribute("aria-label")
    page.get_by_label("Query class", exact=True).focus()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    board.card(0, 0).click()
    ratios = page.evaluate(
        """() => {
        const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
        const luminance = (...colours) => {
            for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
            const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map(
                c => c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const raised = getComputedStyle(document.querySelector('.sss-board button')).backgroundColor;
        const texts = ['.sss-score', '.sss-from', '.sss-mark-class', '.sss-mark-shared', '.sss-mark-none'];
        return texts.map(one => {
            const text = getComputedStyle(document.querySelector('.sss-board ' + one)).color;
            const [dark, light] = [luminance('#fff', raised, text), luminance('#fff', raised)];
            return (light + 0.05) / (dark + 0.05); }); }"""
    )
    assert min(ratios) >= 4.5, ratios


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(board, axe, theme):
    """In the colours of JupyterLab's themes, which are variables that the page's style refers to."""
    (path,) = Path(sys.prefix).glob(f"share/jupyter/lab/themes/@jupyterlab/theme-{theme}-extension/index.css")
    style = board.page.add_style_tag(content=path.read_text(encoding="utf-8"))
    is_light = board.page.evaluate("document.body.dataset.jpThemeLight ?? 'true'")
    board.page.evaluate(
        """light => { document.body.dataset.jpThemeLight = light;
        document.body.style.background = 'var(--jp-layout-color1)'; }""",
        str(theme == "light").lower(),
    )
    board.page.get_by_text("Save", exact=True).first.click()
    background = "getComputedStyle(document.querySelector('.sss-board')).backgroundColor"
    assert (board.page.evaluate(background) == "rgb(255, 255, 255)") == (theme == "light")
    found = axe(board.page)
    board.page.get_by_text("Save", exact=True).first.click()
    board.page.evaluate(
        """light => { document.body.dataset.jpThemeLight = light; document.body.style.background = ''; }""",
        is_light,
    )
    style.evaluate("one => one.remove()")
    if found is None:
        pytest.skip("axe-core is not to be had: install npm")
    assert [one for one in found if one[1] in ("serious", "critical")] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_leaderboard_shows_the_best_of_each_model_and_axe_finds_nothing_serious(
    chromium, axe, study_folder, tmp_path, scheme
):
    shutil.copytree(study_folder, tmp_path / "data")
    leaderboard.publish(Store(tmp_path / "data"), tmp_path / "page.html")
    context = chromium.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    systems = page.locator("tbody td:first-child")
    assert sorted(systems.all_inner_texts()) == ["Duration and level", "Log-mel statistics"]
    of_best = page.locator("tbody tr", has_text="Log-mel").locator("td.number >> nth=0").inner_text()
    found = axe(page)
    page.get_by_label("best of each model").uncheck()
    every = page.locator("tbody tr", has_text="Log-mel").locator("td.number:nth-child(3)").all_inner_texts()
    assert len(every) == 2
    assert of_best == max(every)
    context.close()
    assert [one for one in found or () if one[1] in ("serious", "critical")] == []


def test_switching_to_the_query_has_no_gap(board):
    board.card(0, 0).focus()
    board.page.keyboard.press("l")  # the sounds are short
    board.page.keyboard.press("Space")
    board.until(PLAYS)
    board.page.evaluate(
        f"""() => {{ window.gaps = 0; window.watch = setInterval(() => {{
        if ({PLAYER}.decks.every(deck => deck.audio.paused)) window.gaps += 1; }}, 2); }}"""
    )
    for deck in (1, 0, 1, 0):  # the query's, the results'
        board.page.keyboard.press("b")
        board.until(f"!{PLAYER}.decks[{deck}].audio.paused && {PLAYER}.decks[{1 - deck}].audio.paused")
    assert board.page.evaluate("(clearInterval(window.watch), window.gaps)") == 0
    board.page.keyboard.press("l")


def test_a_random_clip_has_what_is_asked_for(board):
    page = board.page
    page.get_by_text("13 clips", exact=True).wait_for()
    for nth, label in ((1, "Music"), (2, "Click")):
        box = page.locator(".sss-controls .jupyter-widget-tagsinput input").nth(nth)
        box.fill(label)
        box.press("Tab")  # Enter would first close the list of suggestions
    page.get_by_text("4 clips", exact=True).wait_for()
    for _ in range(3):
        before = board.page.locator(".sss-query .sss-title >> nth=0").get_attribute("title")
        page.get_by_role("button", name="Random clip").click()
        page.wait_for_timeout(300)
        now = board.page.locator(".sss-query .sss-title >> nth=0").get_attribute("title")
        assert now.startswith("tone"), before
    for _ in range(2):
        page.locator(".sss-controls .jupyter-widget-tag-close").last.click()
    page.get_by_text("13 clips", exact=True).wait_for()


def test_the_controls_change_what_is_shown(board):
    page = board.page
    for button, place in (("Next", 1), ("Next", 2), ("Back", 1)):
        page.get_by_role("button", name=button).click()
        page.get_by_text(f"{place} of 12: AP", exact=False).wait_for()
    board.show("tone1")
    box = page.locator(".sss-controls .jupyter-widget-taginput >> nth=0")
    offered = box.evaluate("box => [...box.list.options].map(one => one.value)")
    assert box.get_attribute("aria-label")
    maps = [float(one.rsplit(" ", 1)[1]) for one in offered]
    assert len(offered) == len(maps) == 3
    assert maps[0] >= maps[1]  # the best of each model, then the others
    assert len({one.split(" · ")[0] for one in offered[:2]}) == 2
    box.fill(next(one for one in offered if "Log-mel statistics · raw, MIPS" in one))
    box.press("Tab")
    board.until("document.querySelector('.sss-columns').children.length === 3")
    page.locator(".sss-controls .jupyter-widget-tag-close").nth(2).click()
    board.until("document.querySelector('.sss-columns').children.length === 2")
    for label, chosen, shown in [
        ("Query class", "Music", "querySelector('.sss-legend').textContent.includes('has Music')"),
        ("Results", "5", "querySelector('.sss-column').querySelectorAll('.sss-card').length === 5"),
        ("Results", "10", "querySelector('.sss-column').querySelectorAll('.sss-card').length === 10"),
    ]:
        page.get_by_label(label, exact=True).select_option(label=chosen)
        board.until(f"document.{shown}")


def test_what_is_chosen_may_be_typed_in_any_case_and_what_there_is_not_is_told(other):
    page = other.page
    typed = page.locator(".sss-controls .jupyter-widget-tagsinput input")
    typed.nth(1).fill(" music ")
    typed.nth(1).press("Tab")
    page.get_by_text("8 clips", exact=True).wait_for()
    typed.nth(1).fill("Musik")
    typed.nth(1).press("Tab")
    page.get_by_text("There is no Musik: choose one of the list.").wait_for()
    systems = page.locator(".sss-controls .jupyter-widget-tagsinput").first.locator(
        ".jupyter-widget-tag-close"
    )
    for n in (2, 1):
        assert systems.count() == n
        systems.first.click()
        page.wait_for_function(
            "n => document.querySelectorAll('.sss-column').length === Math.max(n - 1, 1)", arg=n
        )
    page.get_by_text("0 systems are chosen: choose 1 to 5").wait_for()
    assert systems.count() == page.locator(".sss-column").count() == 1


def test_words_of_a_title_find_a_clip_and_it_is_suggested(board):
    box = board.page.get_by_label("Clip", exact=True)
    box.fill(" A  NOISE ")
    board.until("document.activeElement.list?.options.length === 5")  # the broken one is of class Noise
    assert box.evaluate("box => box.list.options[0].value") == "a noise0 · noise0"
    box.fill("a noise2 · noise2")
    board.until("document.querySelector('.sss-query').textContent.includes('noise2')")
    box.fill("click a")
    box.press("Enter")
    board.until("document.querySelector('.sss-query').textContent.includes('click0')")
    box.fill("zither")
    box.press("Enter")
    board.until("document.querySelector('.sss-status').textContent.includes('zither')")


def test_a_card_searches_with_its_sound_and_one_goes_back(board):
    query = "document.querySelector('.sss-query .sss-card').dataset.clip"
    first = board.page.evaluate(query)
    clip = board.card(1, 1).get_attribute("data-clip")
    board.card(1, 1).get_by_text("More like this").click()
    board.until(f"clip => {query} === clip", clip)
    assert (
        f"q={board.page.locator('.sss-query .sss-title >> nth=0').get_attribute('title')}" in board.page.url
    )
    board.page.go_back()
    board.until(f"clip => {query} === clip", first)
    board.page.go_forward()
    board.until(f"clip => {query} === clip", clip)
    board.page.locator(f"{CARDS} >> nth=0").focus()
    board.page.keyboard.press("Backspace")
    board.until(f"clip => {query} === clip", first)
    board.page.get_by_label("Query class", exact=True).select_option("Music")
    board.until("document.querySelector('.sss-legend').textContent.includes('has Music')")
    board.page.get_by_title("Backspace: the query before").first.click()
    board.until("document.querySelector('.sss-legend').textContent.includes('has Tone')")


def test_marks_are_kept_in_the_browser_and_saved(board):
    pin = board.card(0, 0).get_by_title("M: mark this clip")
    fname = pin.get_attribute("data-id")
    board.card(0, 0).focus()
    board.page.keyboard.press("m")
    assert pin.get_attribute("aria-pressed") == "true"
    assert json.loads(board.page.evaluate("localStorage.getItem('sss-marks-tiny')")) == [fname]
    board.show("tone2")
    board.show("tone1")
    assert pin.get_attribute("aria-pressed") == "true"
    board.page.get_by_text("Save (1 marked)").click()
    for name, ending in (("List (CSV)", "csv"), ("Page with sounds", "html"), ("Files (zip)", "zip")):
        with board.page.expect_download() as download:
            board.page.get_by_role("button", name=name).click()
        assert download.value.suggested_filename == f"tiny-tone1.{ending}"
    assert zipfile.ZipFile(download.value.path()).namelist()[1:] == ["LICENCES.txt"]
    pin.click()
    assert board.page.evaluate("localStorage.getItem('sss-marks-tiny')") == "[]"
    assert pin.inner_text() == "✗ Unlike"
    pin.click()
    assert pin.inner_text() == "Mark"
    board.page.get_by_text("Save", exact=True).first.click()


def test_keys_act_on_the_card_that_has_the_focus_or_else_on_the_one_chosen_by_arrows(board):
    board.card(0, 0).focus()
    board.page.keyboard.press("ArrowDown")
    for place, focused in (
        ((1, 2), board.card(1, 2)),
        ((1, 2), board.page.get_by_role("button", name="Loop").first),
    ):
        focused.focus()
        pin = board.card(*place).get_by_title("M: mark this clip")
        for shown in ("✓ Marked", "✗ Unlike", "Mark"):
            board.page.keyboard.press("m")
            assert pin.inner_text() == shown


def test_marked_clips_query_together_and_away_from_unlike_ones(board):
    board.show("tone1")
    near, far = (board.card(0, rank).get_by_title("M: mark this clip") for rank in (0, 1))
    like, unlike = near.get_attribute("data-id"), far.get_attribute("data-id")
    search = board.page.get_by_role("button", name="Like the marked")
    assert not search.is_visible()
    near.click()
    for _ in range(2):
        far.click()
    assert [near.inner_text(), far.inner_text()] == ["✓ Marked", "✗ Unlike"]
    search.click()
    board.page.get_by_text(f"like {like}, unlike {unlike}").first.wait_for()
    shown = board.page.locator(f"{CARDS} .sss-pin").evaluate_all("all => all.map(one => one.dataset.id)")
    assert shown
    assert not {like, unlike} & set(shown)
    for key in ("sss-marks-tiny", "sss-marks-tiny-unlike"):
        board.page.evaluate("key => localStorage.setItem(key, '[]')", key)
    board.show("tone1")


def tab_to(board, what, arg=None, most=120):
    """Press Tab until what has the focus fits: JavaScript of `one`, the element, and `arg`."""
    for _ in range(most):
        board.page.keyboard.press("Tab")
        if board.page.evaluate(f"arg => (one => {what})(document.activeElement)", arg):
            return
    raise AssertionError(f"Tab never comes to {arg or what}")


@pytest.fixture
def other(chromium, voila):
    """Another visit, whose filters no other test sees."""
    with opened(chromium, voila) as one:
        yield one


def test_the_keyboard_alone_filters_results_and_saves_them(other):
    board, page, named = other, other.page, "one.labels?.[0]?.textContent.trim() === arg"
    page.evaluate("document.activeElement.blur()")
    tab_to(board, named, "Clip")
    tab_to(board, "one.textContent.trim() === arg", "Filter and step")
    for _ in range(2):  # folds and unfolds
        page.keyboard.press("Space")
    tab_to(board, named, "Licence")
    page.keyboard.type("CC0")
    tab_to(board, named, "Class")
    page.keyboard.type("Noise")
    tab_to(board, named, "Seconds")
    page.keyboard.type("0.5 - 2.5")
    page.keyboard.press("Tab")
    board.until("location.search.includes('seconds=0.5-2.5')")
    assert "has=Noise" in page.url
    shown = "[...document.querySelectorAll('.sss-column .sss-labels')]"
    board.until(f"{shown}.length && {shown}.every(one => one.textContent.includes('Noise'))")
    assert page.evaluate("document.activeElement.type") == "checkbox"  # that with no uploader's other clips
    page.keyboard.press("Space")
    board.until("document.querySelector('.sss-column').textContent.includes('passes the filter')")
    page.keyboard.press("Space")
    board.until("!document.querySelector('.sss-column').textContent.includes('passes the filter')")
    tab_to(board, "one.matches('summary') && one.textContent === arg", "Save")
    page.keyboard.press("Enter")
    for name, ending in (("List (CSV)", "csv"), ("Page with sounds", "html"), ("Files (zip)", "zip")):
        tab_to(board, "one.textContent === arg", name, most=3)
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == f"tiny-tone1.{ending}"


def test_controls_fold_and_keep_what_one_types_while_the_kernel_is_busy(other, server):
    page, steps = other.page, other.page.get_by_role("button", name="Filter and step")
    seconds = page.get_by_label("Seconds")
    seconds.wait_for()
    with halted(kernels(server[0])):
        for is_shown in (False, True):
            steps.press("Space")
            assert seconds.is_visible() == is_shown
        tab_to(other, "one.labels?.[0]?.textContent.trim() === arg", "Seconds")
        page.keyboard.type("0.5 - ")
    page.keyboard.type("2.5")
    page.keyboard.press("Tab")
    other.until("location.search.includes('seconds=0.5-2.5')")


def test_the_address_of_a_finding_shows_it(chromium, voila):
    name = next(f"{variant.name}/{search}" for variant, search in small_study.SYSTEMS.items())
    with opened(chromium, f"{voila}?q=tone3&class=Music&systems={name}&has=Music&seconds=-2.5") as one:
        one.until("document.querySelector('.sss-query').textContent.includes('tone3')")
        one.until("document.querySelector('.sss-legend').textContent.includes('has Music')")
        assert one.page.locator(".sss-columns >> nth=0").locator(".sss-column").count() == 1
        assert one.page.locator(".sss-controls .jupyter-widget-tag-close").count() == 1
        assert one.page.get_by_title("Backspace: the query before").first.is_disabled()
        labels = one.page.locator(".sss-column .sss-labels").all_inner_texts()
        assert labels
        assert all("Music" in label for label in labels)
        assert one.page.get_by_label("Seconds").input_value() == "-2.5"
        one.page.get_by_label("not this uploader").check()
        one.until("document.querySelector('.sss-column').textContent.includes('passes the filter')")
        assert one.page.url.endswith("has=Music&seconds=-2.5&others=1&systems=" + name.replace("/", "%2F"))


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (820, 1100), (390, 844)])
def test_results_are_on_the_first_screen(request, width, height):
    one = request.getfixturevalue("page" if width > 1000 else "phone")
    steps, page = one.page.get_by_role("button", name="Filter and step"), one.page
    page.set_viewport_size({"width": width, "height": height})
    folded = page.get_by_text("disagree most:")
    folded.wait_for(timeout=PATIENCE_MS)
    steps.click()  # which the page opens without
    folded.wait_for(state="hidden", timeout=PATIENCE_MS)
    page.evaluate("window.scrollTo(0, 0)")
    card = one.card(0, 0)
    top = card.locator(".sss-picture").evaluate("one => one.getBoundingClientRect().top + scrollY")
    assert 0 < top + 48 < height
    assert card.evaluate("card => card.scrollWidth <= card.clientWidth + 1")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    board = page.locator(".sss-columns >> nth=0")
    assert board.evaluate("one => one.scrollHeight <= one.clientHeight + 1")  # no scroll within scroll
    steps.click()


def test_the_focus_is_never_under_the_heads_of_the_columns(board):
    board.card(0, 0).focus()
    board.page.keyboard.press("End")
    for rank in range(8, -1, -1):
        board.page.keyboard.press("ArrowUp")
        top = board.card(0, rank).bounding_box()["y"]
        head = board.page.locator(".sss-column >> nth=0 >> header").bounding_box()
        assert top >= head["y"] + head["height"] - 1, rank
        assert head["y"] >= -3, rank  # they stay in sight


def test_names_from_the_collection_stay_text(board):
    board.show("tone0")
    assert small_study.HOSTILE in board.page.locator(".sss-query >> nth=0").inner_text()
    assert "false" not in board.page.locator(".sss-board >> nth=0").inner_text()
    assert board.page.evaluate("window.hacked") is None
    assert board.page.locator(".sss-board img").count() == 0
    assert board.page.locator(".sss-board a[href^='javascript']").count() == 0


def test_marks_tell_by_shape_what_is_shared(board):
    board.show("tone3")
    board.page.get_by_label("Query class", exact=True).select_option("Tone")
    board.until("document.querySelector('.sss-legend').textContent.includes('has Tone')")
    signs = board.page.locator(".sss-column >> nth=0").locator(".sss-sign").all_inner_texts()
    labels = board.page.locator(".sss-column >> nth=0").locator(".sss-labels").all_inner_texts()
    expected = ["★" if "Tone" in one else "●" if "Music" in one else "○" for one in labels]
    assert signs == expected
    assert set(signs) == {"★", "●", "○"}


def test_a_sound_of_ones_own_is_searched_and_played(board, tmp_path):
    names = ["my <i>tone.wav", *(["another.m4a", "a.webm", "a.wma"] if shutil.which("ffmpeg") else [])]
    for fname, name in zip(("tone0", "tone1", "tone2", "tone3"), names, strict=False):
        wave = small_study.sounds()[fname]
        soundfile.write(tmp_path / "a.wav", wave, small_study.RATE_HZ)
        if name.endswith(".wav"):
            (tmp_path / "a.wav").rename(tmp_path / name)
        else:
            words = ["ffmpeg", "-loglevel", "error", "-y", "-i", tmp_path / "a.wav", tmp_path / name]
            subprocess.run(words, check=True)
        board.silence()
        board.page.locator(".sss-drop input >> nth=0").set_input_files(tmp_path / name)
        board.until("name => document.querySelector('.sss-query').textContent.includes(name)", name)
        board.until("document.querySelector('.sss-status').textContent === ''")
        if name.endswith(".wav"):
            assert f"{fname} ·" in board.card(0, 0).inner_text()
        board.card(0, 0).focus()
        board.page.keyboard.press("q")
        board.until(PLAYS)
        assert board.player("deck.audio.duration") == pytest.approx(len(wave) / small_study.RATE_HZ, abs=0.15)


def test_a_file_dropped_beside_the_board_is_searched_and_the_page_stays(board, tmp_path):
    wave = small_study.sounds()["tone2"]
    soundfile.write(tmp_path / "dropped.wav", wave, small_study.RATE_HZ)
    is_kept = board.page.evaluate(
        """bytes => {
        const data = new DataTransfer(), about = { bubbles: true, cancelable: true, dataTransfer: data };
        data.items.add(new File([new Uint8Array(bytes)], 'dropped.wav', { type: 'audio/wav' }));
        const heading = document.querySelector('h1');
        return ['dragover', 'drop'].map(kind => !heading.dispatchEvent(new DragEvent(kind, about))); }""",
        list((tmp_path / "dropped.wav").read_bytes()),
    )
    assert is_kept == [True, True]
    board.until("document.querySelector('.sss-query').textContent.includes('dropped.wav')")


def test_a_sound_that_can_not_be_searched_says_so(board, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(22050), 22050)
    for name, content, message in [
        ("text.wav", b"not a sound", "text.wav can't be decoded"),
        ("empty.wav", b"", "the file is empty"),
        ("silent.wav", (tmp_path / "silent.wav").read_bytes(), "silent.wav is silent"),
        ("large.wav", b"0" * 32_000_001, "large.wav is too large: 32.0 MB"),
    ]:
        (tmp_path / name).write_bytes(content)
        board.page.locator(".sss-drop input >> nth=0").set_input_files(tmp_path / name)
        board.until("text => document.querySelector('.sss-status').textContent.includes(text)", message)


def test_the_map_plays_and_marks(board):
    page = board.page
    canvas = page.locator(".sss-map canvas[tabindex='0']")
    canvas.scroll_into_view_if_needed()
    place = f"{MAP}.at(4)"
    x, y = page.evaluate(place)
    canvas.click(position={"x": x, "y": y})
    board.until(PLAYS)
    page.wait_for_function("document.querySelector('.sss-map-about').textContent.length > 3")
    box = canvas.bounding_box()
    corners = [(2, 2), (box["width"] - 2, 2), (box["width"] - 2, box["height"] - 2), (2, box["height"] - 2)]
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    for dx, dy in [*corners, corners[0]]:
        page.mouse.move(box["x"] + dx, box["y"] + dy, steps=3)
    page.mouse.up()
    page.get_by_text("12 clips of 12 marked on the map").wait_for()
    canvas.focus()
    page.keyboard.press("Escape")
    page.get_by_text("13 clips", exact=True).wait_for()
    page.keyboard.press("m")
    page.get_by_text("1 clip of 1 marked on the map").wait_for()
    page.keyboard.press("Escape")
    board.silence()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    board.until(PLAYS)
    query = "document.querySelector('.sss-query .sss-card').dataset.clip"
    before = page.evaluate(query)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    board.until(f"before => {query} !== before", before)
    page.get_by_label("Layout").select_option("t-SNE")
    board.until(f"before => String({place}) !== before", f"{x},{y}")


def test_the_map_has_one_scale_and_tells_what_is_under_the_pointer(board):
    page, canvas = board.page, board.page.locator(".sss-map canvas[tabindex='0']")
    page.get_by_label("Layout").select_option("principal components")
    page.get_by_text("of the variance").wait_for()
    canvas.scroll_into_view_if_needed()
    scales = page.evaluate(
        f"""() => {{ const map = {MAP}, [a, b] = [map.at(0), map.at(4)];
        return [0, 1].map(i => (b[i] - a[i]) / (map.places[8 + i] - map.places[i])); }}"""
    )
    assert scales[0] == pytest.approx(scales[1])
    x, y = page.evaluate(f"{MAP}.at(4)")
    canvas.hover(position={"x": x, "y": y})
    tip = page.locator(".sss-map-tip")
    tip.wait_for()
    box, at = tip.bounding_box(), canvas.bounding_box()
    assert abs(box["y"] - at["y"] - y) < 40
    clip = page.evaluate(f"{MAP}.view.hovered")
    canvas.dblclick(position={"x": x, "y": y})
    board.until("clip => document.querySelector('.sss-query .sss-card').dataset.clip === String(clip)", clip)
    canvas.click(position={"x": x, "y": y})
    board.until(f"clip => {MAP}.view.heardClip === clip", clip)  # it plays, and is marked
    for by, name in [
        ("class", "Noise"),
        ("uploader", "ann"),
        ("AP as a query", "AP 0.8 to 1"),
        ("hits of the query", "not found"),
    ]:
        page.get_by_label("Colour by").select_option(by)
        page.locator(".sss-map-legend").get_by_role("button", name=name).wait_for()
    legend = page.locator(".sss-map-legend").get_by_role("button", name="not found")
    n_shown = f"[...{MAP}.rows.keys()].filter(i => {MAP}.nearest(...{MAP}.at(i), 0.5) >= 0).length"
    before = page.evaluate(n_shown)
    legend.click()
    assert legend.get_attribute("aria-pressed") == "false"
    assert 0 < page.evaluate(n_shown) < before
    page.get_by_label("Colour by").select_option("family")


def test_a_clip_under_the_pointer_is_ringed_on_the_maps_of_both_systems(board):
    page, other = board.page, MAP.replace("[0]", "[1]")
    page.get_by_label("Beside it").select_option(index=2)
    board.until(f"{MAP}.view.spaces.length === 2 && {MAP}.rows.length === 12")
    assert page.locator(".sss-map-legend").count() == 1
    colours = (
        "one => [...one.rows].map((row, i) => [row, one.families[i]]).sort((a, b) => a[0] - b[0]).flat()"
    )
    assert page.evaluate(f"({colours})({MAP})") == page.evaluate(f"({colours})({other})")
    titles = page.locator(".sss-map-space p").all_inner_texts()
    assert len({*titles}) == 2
    # What is drawn on the other map around the clip, before and after the pointer rests on it on the first.
    row = page.evaluate(f"{MAP}.rows[4]")
    ink = f"""() => {{ const one = {other}, [x, y] = one.at(one.pointOf.get({row})), at = devicePixelRatio;
        const part = one.canvas.getContext('2d').getImageData((x - 9) * at, (y - 9) * at, 18 * at, 18 * at);
        return part.data.filter((value, i) => i % 4 === 3 && value > 0).length; }}"""
    first, second = (page.locator(".sss-map canvas[tabindex='0']").nth(i) for i in (0, 1))
    first.scroll_into_view_if_needed()
    page.mouse.move(0, 0)
    page.wait_for_timeout(200)
    before = page.evaluate(ink)
    x, y = page.evaluate(f"{MAP}.at(4)")
    first.hover(position={"x": x, "y": y})
    page.wait_for_timeout(200)
    assert page.evaluate(ink) > before
    first.click(position={"x": x, "y": y})
    board.until(PLAYS)
    second.focus()  # the keys go on from the clip that was chosen on the first
    page.keyboard.press("m")
    board.until(f"row => String({MAP}.view.model.get('marked')) === String(row)", row)
    page.keyboard.press("Escape")
    board.silence()
    page.get_by_label("Beside it").select_option("no other")
    board.until(f"{MAP}.view.spaces.length === 1")


def test_two_fingers_zoom_the_map_and_one_leaves_the_page_to_scroll(phone):
    canvas = phone.page.locator(".sss-map canvas[tabindex='0']")
    canvas.scroll_into_view_if_needed()
    assert canvas.evaluate("canvas => canvas.style.touchAction") == "pan-y"
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, max(box["y"], 0) + 100
    touch = phone.context.new_cdp_session(phone.page)
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 80), ("touchEnd", None)):
        points = [{"x": x + side * apart, "y": y, "id": side + 1} for side in (-1, 1)] if apart else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert phone.page.evaluate(f"{MAP}.zoom") > 2


def test_a_small_group_is_seen_in_a_crowd(board):
    """A clip of the first group lies where ten thousand of the legend's last group do, drawn after it."""
    colours = board.page.evaluate(
        f"() => {{ const map = {MAP};"
        """
        const n = 10000, legend = map.view.model.get('legend');
        map.places = new Uint16Array(2 * n).map((_, i) => (i >> 1 ? 32768 + ((i * 40503) % 900) : 32768));
        map.rows = Int32Array.from({length: n}, (_, i) => i);
        map.families = new Uint8Array(n).map((_, i) => (i ? legend.length - 1 : 0));
        map.view.off.clear();
        map.layerOf = null;
        map.paint();
        const ratio = devicePixelRatio, [x, y] = map.at(0).map((one) => Math.round(one * ratio));
        const pixel = [...map.layer.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3);
        map.view.load();
        return [pixel, ...[legend[0], legend.at(-1)].map(([, colour]) =>
            [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16)))]; }"""
    )
    pixel, own, others = (np.array(one, float) for one in colours)
    assert np.abs(pixel - own).sum() < 0.5 * np.abs(pixel - others).sum()


def test_ten_thousand_points_stay_fluid(board):
    """In units of stamping as many bare squares on a canvas of that size, in the same run."""
    spent, unit = board.page.evaluate(
        f"() => {{ const map = {MAP};"
        """
        const n = 10231;
        map.places = Uint16Array.from({length: 2 * n}, (_, i) => (i * 40503) % 65536);
        map.rows = Int32Array.from({length: n}, (_, i) => i);
        map.families = Uint8Array.from({length: n}, (_, i) => i % 3);
        const stamp = new OffscreenCanvas(8, 8), bare = document.createElement('canvas');
        stamp.getContext('2d').fillRect(1, 1, 6, 6);
        [bare.width, bare.height] = [map.canvas.width, map.canvas.height];
        const jobs = [
            () => { map.zoomBy(1.01, 300, 200); map.paint(); map.nearest(300, 200, 10); },
            () => {
                const context = bare.getContext('2d'), [width, height] = [bare.width, bare.height];
                context.clearRect(0, 0, width, height);
                for (let i = 0; i < n; i++)
                    context.drawImage(stamp, (i * 40503) % width, (i * 30011) % height);
            },
        ];
        const times = jobs.map(() => []);
        for (let round = 0; round < 9; round++)
            jobs.forEach((job, i) => {
                const began = performance.now();
                job();
                times[i].push(performance.now() - began);
            });
        map.view.load();
        return times.map(some => some.sort((a, b) => a - b)[4]); }"""
    )
    assert spent < 5 * unit


def test_the_board_stays_usable_when_narrow_or_zoomed(board):
    page = board.page
    for width, height in ((1280, 720), (640, 360)):  # the second is a 1280 px window at 200 %
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
        card = board.card(1, 5)
        card.scroll_into_view_if_needed()
        assert card.evaluate("card => card.scrollWidth <= card.clientWidth + 1")
        box = card.bounding_box()
        assert 0 <= box["x"] < box["x"] + min(box["width"], 150) <= width
        card.click()
        board.until(PLAYS)
        board.silence()
        tools = page.locator(".sss-tools >> nth=0")
        assert tools.evaluate("one => one.scrollWidth <= one.clientWidth + 1")
    page.set_viewport_size({"width": 1280, "height": 900})


def begin(one, judge="ann <b>"):
    """Begin to judge; return the page and its judging board."""
    name = one.page.get_by_label("Your name")
    name.fill(judge)
    name.press("Enter")
    one.page.locator(".sss-judge:not([hidden])").wait_for()
    return one, one.page.locator(".sss-board >> nth=1")


def test_grades_are_kept_at_once_and_go_on_after_a_reload(page, voila, chromium, study_folder):
    judgements = Judgements(study_folder / "judgements" / f"{small_study.NAME}.jsonl")
    one, board = begin(page)
    assert "Log-mel" not in board.inner_text()
    assert "tone" not in board.inner_text()
    assert "List A" in board.inner_text()
    board.locator(".sss-card[data-column='0'][data-rank='0']").focus()
    one.page.keyboard.press("3")
    one.page.get_by_text(re.compile(r", 1 of \d+ sounds of this one")).wait_for()
    one.page.wait_for_function("document.activeElement.dataset.rank === '1'")
    assert judgements.read()[["judge", "grade"]].to_numpy().tolist() == [["ann <b>", 3]]
    one.page.keyboard.press("1")
    one.page.get_by_text(re.compile(r", 2 of \d+ sounds of this one")).wait_for()
    assert len(judgements.read()) == 2
    one.page.keyboard.press("u")
    one.page.get_by_text(re.compile(r", 1 of \d+ sounds of this one")).wait_for()
    assert judgements.read()["grade"].tolist() == [3]
    shown = board.locator(".sss-query .sss-card").get_attribute("data-clip")
    one, board = begin(Page(chromium, voila))
    assert board.locator(".sss-query .sss-card").get_attribute("data-clip") == shown
    board.locator(".sss-card[data-column='0'][data-rank='0']").get_by_text("graded 3").wait_for()
    assert one.errors == []
    one.page.get_by_label("Judge by").select_option("prefer one of two lists")
    one.page.get_by_role("button", name="1 left is better").wait_for()
    for i, key in enumerate("120"):
        board.locator(".sss-card >> nth=0").focus()
        for _ in range(3):  # held, it repeats
            one.page.keyboard.down(key)
        one.page.keyboard.up(key)
        one.page.get_by_text(f"{i + 1} of 3 queries judged").wait_for()
    preferred = judgements.read().query("kind == 'preference'")["preferred"]
    assert len(preferred) == 3
    assert (preferred == "").sum() == 1
    one.context.close()


def test_no_key_of_a_quick_judge_is_lost_in_silence(voila, chromium, study_folder):
    """All keys are pressed before any of their judgements can have been kept."""
    press = """(card, keys) => { card.focus(); for (const key of keys)
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); }"""
    judgements = Judgements(study_folder / "judgements" / f"{small_study.NAME}.jsonl")
    with opened(chromium, voila) as page:
        one, board = begin(page, "ben")
        cards = board.locator(".sss-columns .sss-card")
        cards.first.evaluate(press, "32")
        board.get_by_text(re.compile(r", 2 of \d+ sounds of this one|1 of 3 queries judged, 0 of")).wait_for()
        kept = judgements.read().query("judge == 'ben'")
        assert kept["grade"].tolist() == [3, 2]
        assert kept["clip"].nunique() == 2
        one.page.get_by_label("Judge by").select_option("prefer one of two lists")
        board.get_by_role("button", name="1 left is better").wait_for()
        cards.first.evaluate(press, "12")  # the second is of a query that is judged by then
        board.get_by_text("is no longer shown: judge the one that is").wait_for()
        board.get_by_text("1 of 3 queries judged").wait_for()
        assert len(judgements.read().query("judge == 'ben' and kind == 'preference'")) == 1


def test_a_saved_notebook_shows_a_table_and_says_what_to_do(lab, study_folder):
    import papermill

    papermill.execute_notebook(study_folder / "06.ipynb", study_folder / "saved.ipynb", progress_bar=False)
    page = lab.context.new_page()
    page.goto(f"{lab.page.url.split('/lab')[0]}/lab/workspaces/saved/tree/saved.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PATIENCE_MS)
    told = page.get_by_text("To listen, run this notebook's cells")
    end = time.monotonic() + PATIENCE_MS / 1000
    while not told.count() and time.monotonic() < end:
        for index in range(20):  # only what is in sight is drawn
            page.evaluate("index => window.jupyterapp.shell.currentWidget.content.scrollToItem(index)", index)
            page.wait_for_timeout(50)
            if told.count():
                break
    told.wait_for()
    table = page.locator(".jp-RenderedHTML", has_text="To listen, run").locator("table")
    assert "a tone2" in table.inner_text()


def test_a_page_that_was_left_leaves_no_kernel(tmp_path, monkeypatch):
    import nbformat

    monkeypatch.setattr(serving_page, "LEFT_S", 5)  # a busy machine must not lose the kernel as it starts
    cells = [nbformat.v4.new_code_cell("print('it ' + 'runs')")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "one.ipynb")
    port = free_port()
    arguments = command("127.0.0.1", port, tmp_path / "one.ipynb", browser=False)
    with serving(arguments, port, env=environment()) as server:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as page:
            assert "it runs" in page.read().decode()
        assert len(kernels(server)) == 1
        began = time.monotonic()
        while kernels(server) and time.monotonic() < began + 30:
            time.sleep(0.2)
        assert not kernels(server)


def test_the_served_page_gives_no_file_away(voila, chromium):
    context = chromium.new_context()
    for path in (
        "voila/files/06.ipynb",
        "voila/files/tiny/audio/tone0.wav",
        "files/06.ipynb",
        "api/contents",
    ):
        assert context.request.get(voila + path).status in (403, 404), path
    for host, status in (("evil.example", 403), ("localhost", 200)):
        static = f"{voila}voila/static/voila.js"
        assert context.request.get(static, headers={"Host": host}).status == status
    context.close()


def is_in_sight(page, note):
    """Whether a note is on the screen both at the top of the page and at its end."""
    tops = []
    for place in (page.locator(".sss-query >> nth=0"), page.get_by_text("Exercises")):
        place.scroll_into_view_if_needed()
        tops.append(note.bounding_box()["y"])
    return all(0 <= top < page.viewport_size["height"] - 20 for top in tops)


@pytest.mark.parametrize(
    ("ask", "said", "wait_ms"),
    [
        ("Enter", "The kernel is busy: a search waits.", 5000),
        ("Random clip", "The kernel is busy: a click waits.", 2500),
    ],
)
def test_a_busy_kernel_is_told_quietly_until_it_answers(board, server, ask, said, wait_ms):
    banner, note = board.page.locator(".sss-gone >> nth=0"), board.page.get_by_text("The kernel is busy")
    board.card(0, 7).focus()
    with halted(kernels(server[0])):
        if ask == "Enter":
            board.page.keyboard.press(ask)
        else:
            board.page.get_by_role("button", name=ask).click()
        note.wait_for()
        assert note.inner_text() == said
        assert is_in_sight(board.page, note)
        board.page.wait_for_timeout(wait_ms)  # it looks again
        assert note.is_visible()
        assert banner.is_hidden()
    note.wait_for(state="hidden")
    board.page.wait_for_timeout(2500)  # it looks no more
    assert banner.is_hidden()
    assert board.page.locator(".sss-status >> nth=0").is_hidden()


ASKING = """async ([answers, nFailed]) => {
  const told = [];
  document.addEventListener("sss-kernel", ({ detail }) => told.push(detail.gone ?? false));
  window.fetch = async () => { if (nFailed-- > 0) throw new TypeError("none"); return { status: 200 }; };
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const model = {
    on: (_, receive) => { model.receive = receive; }, off() {}, send: ({ id }) => { model.id = id; },
    widget_manager: { kernel: { id: "k", serverSettings: { baseUrl: "/" }, async requestKernelInfo() {
      if (answers === "never") await wait(1e6); // it is busy
      if (answers) model.receive({ id: model.id }, []); // it has been busy, and answers in turn
    } } },
  };
  const answered = new Kernel(model).ask({ ask: "search" }).then(() => true, () => false);
  const isAnswered = await Promise.race([answered, wait(1000)]);
  await wait(200);
  return [isAnswered, told.includes(true)];
}"""


@pytest.mark.parametrize(
    ("answers", "n_failed", "found"),
    [
        *((True, 0, [True, False]), (True, 2, [True, False]), ("never", 0, [None, False])),
        *((False, 0, [False, True]), (True, 3, [False, True])),
    ],
    ids=["late", "after two failures", "busy for long", "to others alone", "no server"],
)
def test_a_kernel_is_gone_only_if_it_answers_others_or_no_server_is_there(chromium, answers, n_failed, found):
    times = {"SILENT_MS = 2000": "SILENT_MS = 20", "LOST_MS = 20000": "LOST_MS = 100"}
    source = (Path(serving_page.__file__).parent / "page" / "kernel.js").read_text()
    for one, shorter in times.items():
        assert one in source
        source = source.replace(one, shorter)
    page = chromium.new_context().new_page()
    page.add_script_tag(content=source)
    assert page.evaluate(ASKING, [answers, n_failed]) == found
    page.context.close()


def test_a_busy_server_is_busy_and_one_that_has_ended_is_told(chromium, study_folder):
    port = free_port()
    arguments = command("127.0.0.1", port, study_folder / "06.ipynb", browser=False)
    with serving(arguments, port, env=environment()) as process:
        one = Page(chromium, f"http://127.0.0.1:{port}/")
        busy, ended = (one.page.get_by_text(f"The kernel {what}") for what in ("is busy", "has ended"))
        with halted([process.pid, *kernels(process)]):
            one.card(0, 1).press("Enter")
            busy.wait_for()
            assert ended.is_hidden()
        busy.wait_for(state="hidden")
        process.kill()
        process.wait()
        one.card(0, 1).press("Enter")
        ended.wait_for(timeout=15_000)
        one.context.close()


def test_a_kernel_that_has_ended_is_told_by_one_banner(board, server):
    """It comes last: no page has a kernel any more."""
    banner = board.page.get_by_text("The kernel has ended")
    assert banner.is_hidden()
    assert board.errors == []
    for pid in kernels(server[0]):
        os.kill(pid, signal.SIGKILL)
    board.card(0, 7).focus()
    board.page.keyboard.press("Enter")
    banner.wait_for(timeout=10_000)
    assert is_in_sight(board.page, banner)
    assert banner.get_by_role("button").all_inner_texts() == ["Reload"]
    assert board.page.get_by_text("The kernel is busy").is_hidden()
    assert [one for one in board.page.get_by_role("alert").all_inner_texts() if one] == [banner.inner_text()]
    icons = "[...document.querySelectorAll('.jupyter-widgets-disconnected')]"
    shown = f"{icons}.filter(one => getComputedStyle(one, '::before').display !== 'none').length"
    assert board.page.evaluate(shown) == 0
    board.errors.clear()
    banner.get_by_role("button").click()
    board.page.wait_for_selector(".sss-card", timeout=PATIENCE_MS)
    board.errors.clear()  # what was asked of the kernel that is gone
