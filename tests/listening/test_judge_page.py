"""A listening study in Chromium: mouse, keyboard, reload, two tabs, lost answers, sound at an analyser."""

import contextlib
import json
import time

import pytest
from made_study import CLASSES, MadeStudy, served, study_file

from sss_lib.listening import judge
from sss_lib.listening.answers import Answers
from sss_lib.listening.protocol import Planner

pytestmark = pytest.mark.browser
PATIENCE_MS = 20_000
WIDTHS, SCHEMES = (320, 390, 1280), ("light", "dark")
MEASURE = """
window.sssLevels = [];
(function watch() {
  const { player } = window.sssJudge || {};
  if (player?.output && !window.sssAnalyser) {
    window.sssAnalyser = player.context.createAnalyser();
    player.output.connect(window.sssAnalyser);
  }
  if (window.sssAnalyser) {
    const wave = new Float32Array(window.sssAnalyser.fftSize);
    window.sssAnalyser.getFloatTimeDomainData(wave);
    window.sssLevel = Math.max(...wave.map(Math.abs));
  }
  setTimeout(watch, 10);
})();
// The six times three tones of the headphone check last 27 s: they are played ten times as fast.
const { start } = AudioBufferSourceNode.prototype;
AudioBufferSourceNode.prototype.start = function (...at) {
  if (this.buffer.duration > 2) this.playbackRate.value = 10;
  start.apply(this, at);
};
"""
LISTEN = """async () => {
  for (const one of document.querySelectorAll(".play[data-sound]:not([data-heard])"))
    await new Promise((heard) => {
      new MutationObserver(heard).observe(one, { attributeFilter: ["data-heard"] });
      one.click();
    });
}"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return MadeStudy(tmp_path_factory.mktemp("made"))


@contextlib.contextmanager
def beginning(folder, study, chromium):
    """A function that serves a study and opens its page; what went wrong on it fails the test."""
    ends, errors, texts = [], [], []

    def of(token="", *, is_strict=True, **about):
        file = study_file(**{"queries": 2, "repeats": 0, "exclude": {}, "heard_s": 0.1, **about})
        answers = Answers(folder / "study.jsonl")
        answers.start(file, Planner(study, file).plan())
        judged = judge.Judged(answers, study.sounds, study.row_of, token)
        serving = served(judged, is_local=not token)
        url = f"http://127.0.0.1:{serving.__enter__()}/" + (f"?token={token}" if token else "")
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(MEASURE)
        ends.extend([lambda: serving.__exit__(None, None, None), context.close])

        def tab():
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda one: is_strict and one.type == "error" and errors.append(one.text))
            page.on("request", lambda one: one.url.startswith(url.split("?")[0]) or errors.append(one.url))
            page.on(
                "response",
                lambda one: "json" in one.headers.get("content-type", "") and texts.append(one.text()),
            )
            page.goto(url)
            page.wait_for_selector("h2")
            return page

        return judged, tab

    of.texts = texts
    yield of
    for end in reversed(ends):
        end()
    assert errors == []


@pytest.fixture
def begin(tmp_path, study, chromium):
    with beginning(tmp_path, study, chromium) as of:
        yield of


def enter(page):
    """Consent, and set the volume."""
    consent(page)
    listen(page)
    go(page, "The volume is right")
    until(page, "!document.querySelector('h2').textContent.includes('volume')")


def consent(page):
    page.get_by_text("I have read this").click()
    go(page, "Begin")
    until_text(page, "Set the volume")


def listen(page):
    """Play every sound until it counts as heard: with the mouse the first, as a browser asks for."""
    page.locator(".play[data-sound='0']").click()
    page.wait_for_selector(".play[data-sound='0'][data-heard]")
    page.evaluate(LISTEN)


def judge_all(page, grade=2):
    """Listen, and answer."""
    listen(page)
    answers = f"input[name^='grade-'][value='{grade}'], input[value='left']"
    page.evaluate("answers => document.querySelectorAll(answers).forEach(one => one.click())", answers)


def pick(page, number):
    """Play the three tones of the headphone check to their end, and name one."""
    assert page.locator(".pick[aria-disabled='true']").count() == 3
    go(page, "Play the three tones")
    page.wait_for_selector(".pick[aria-disabled='false']")
    page.locator(".pick").nth(number).click()


def go(page, name="Next"):
    page.get_by_role("button", name=name).click(force=True)  # also one that says why it can't be used yet


def until(page, script):
    """Wait for a script: the page's own policy lets no string be evaluated in it, as Playwright would."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(script):
        assert time.monotonic() < end, f"not in time: {script}"
        page.wait_for_timeout(20)


def until_text(page, text):
    until(page, f"document.body.textContent.includes({json.dumps(text)})")


def test_a_judge_goes_from_consent_to_the_end(begin):
    judged, tab = begin(headphones="check", anchors=0)
    page = tab()
    go(page, "Begin")
    until_text(page, "Please tick the box first.")
    enter(page)
    until_text(page, "Headphone check")
    (code,) = judged.answers.judges()
    for tones in judged.sitting(code)._tones("headphones-1"):
        pick(page, tones.index("quiet"))
    until_text(page, "Practice 1")
    judge_all(page, 3)
    go(page)
    until_text(page, "Expected here: 0 or 1.")
    until_text(page, "As expected: 2 or 3.")
    go(page, "Go on")
    for i in range(1, 5):
        until_text(page, f"{i} of 4")
        judge_all(page)
        go(page)
    page.wait_for_selector("text=A few questions")
    page.get_by_label("headphones").check()
    page.get_by_label("Anything you would like").fill("<b>all well</b>")
    go(page, "Finish")
    until_text(page, "Thank you")
    table = judged.answers.table()
    assert table["query"].nunique() == 2
    assert set(table["question"]) == {"grade", "prefer"}
    done = judged.sitting(code).done
    assert done["headphones-1"]["n_right"] == 6
    assert list(done["questionnaire"]["said"].values()) == ["headphones", "", "", "", "<b>all well</b>"]
    for line in (one for one in done.values() if "plays" in one):
        assert {play[0] for play in line["plays"]} == set(range(line["n_sounds"]))
        assert all(0 <= at <= line["ms"] for _, at, _, _ in line["plays"])
        assert all(0.05 < end - start < 1 for _, _, start, end in line["plays"])
    shown = " ".join([*begin.texts, page.content()])
    assert "grades" in shown
    for secret in ("secret", *CLASSES, "nns", "random", "labels", "uploader", ".wav"):
        assert secret not in shown


def test_a_click_is_heard_and_a_second_one_is_silence(begin):
    _, tab = begin()
    page = tab()
    enter(page)
    play = page.locator(".play[data-sound='1']")
    play.click()
    until(page, "window.sssLevel > 0.01")
    page.wait_for_selector(".play[data-sound='1'][aria-pressed='false']")  # it ends by itself
    until(page, "window.sssLevel < 1e-4")
    for number in (0, 2):  # another takes over: one at a time
        page.locator(f".play[data-sound='{number}']").click()
    page.wait_for_selector(".play[data-sound='2'][aria-pressed='true']")
    assert page.locator(".play[aria-pressed='true']").count() == 1
    page.locator(".play[data-sound='2']").click()
    until(page, "window.sssLevel < 1e-4")


def test_what_was_not_heard_or_answered_does_not_count(begin):
    judged, tab = begin()
    page = tab()
    enter(page)
    for i in range(2):
        page.locator(f"input[name='grade-{i}'][value='1']").check()
    go(page)
    until_text(page, "To hear yet: Query, Sound 1, Sound 2.")
    listen(page)
    go(page)
    until_text(page, "Go on")
    assert [line["stage"] for line in judged.answers.lines() if line["kind"] == "answer"] == [
        "volume",
        "training-0",
    ]


def test_the_keyboard_alone_does_everything(begin):
    judged, tab = begin(questions=["grade", "prefer"], queries=1, training=0, anchors=0)
    page = tab()
    press = page.keyboard.press

    def tab_to(selector):
        for _ in range(30):
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
            press("Tab")
        raise AssertionError(f"{selector} is not reached")

    tab_to("#consents")
    press("Space")
    tab_to("#go")
    press("Enter")
    until_text(page, "Set the volume")
    tab_to(".play")
    press("Space")
    page.wait_for_selector(".play[data-heard]")
    tab_to("#go")
    press("Enter")
    until_text(page, "1 of 2")
    press("q")
    page.wait_for_selector(".play[data-sound='0'][data-heard]")
    n = page.locator(".items > li").count()
    for i in range(n):
        press("ArrowDown")
        page.wait_for_selector(f".play[data-sound='{i + 1}'][data-heard]")
        press(str(i % 4))
    press("n")
    until_text(page, "2 of 2")
    press("q")
    page.wait_for_selector(".play[data-sound='0'][data-heard]")
    for i in range(page.locator(".lists .play").count()):
        press("ArrowDown")
        page.wait_for_selector(f".play[data-sound='{i + 1}'][data-heard]")
    press("e")
    press("n")
    until_text(page, "A few questions")
    tab_to("#item-0 input")
    press("Space")
    tab_to("#go")
    press("Enter")
    until_text(page, "Thank you")
    table = judged.answers.table()
    assert table.loc[table["question"] == "grade", "value"].tolist() == [i % 4 for i in range(n)]
    assert table.loc[table["question"] == "prefer", "value"].tolist() == [0.5]


def test_a_reload_keeps_what_was_heard_and_graded_and_a_code_goes_on_elsewhere(begin):
    judged, tab = begin(training=0, is_strict=False)
    page = tab()
    enter(page)
    until_text(page, "1 of 5")
    page.locator(".play[data-sound='1']").click()
    page.wait_for_selector(".play[data-sound='1'][data-heard]")
    page.locator("input[name='grade-0'][value='3']").check()
    page.reload()
    page.wait_for_selector(".play[data-sound='1'][data-heard]")
    assert page.locator("input[name='grade-0'][value='3']").is_checked()
    judge_all(page)
    go(page)
    until_text(page, "2 of 5")
    assert min(play[1] for play in judged.answers.lines()[-1]["plays"]) >= 0
    (code,) = judged.answers.judges()
    page.evaluate("localStorage.clear()")
    page.reload()
    page.get_by_text("I have a code already").click()
    page.get_by_label("Your code").fill("nonsense")
    go(page, "Go on")
    until_text(page, "Nobody has this code")
    page.get_by_label("Your code").fill(f"{code[:4].lower()}-{code[4:]}")
    go(page, "Go on")
    until_text(page, "2 of 5")


def test_two_tabs_of_a_judge_make_no_two_answers(begin):
    judged, tab = begin(training=0, is_strict=False)
    one = tab()
    enter(one)
    other = tab()
    for page in (one, other):
        page.bring_to_front()  # what isn't seen is slow
        until_text(page, "1 of 5")
        judge_all(page)
    go(one)
    until_text(one, "2 of 5")
    go(other)
    until_text(other, "your first answer counts")
    until_text(other, "2 of 5")
    other.reload()
    one.bring_to_front()
    judge_all(one)
    go(one)
    until_text(one, "3 of 5")
    stages = [line["stage"] for line in judged.answers.lines() if line["kind"] == "answer"]
    assert stages == ["volume", "trial-0", "trial-1"]


def test_a_lost_answer_and_a_lost_acknowledgement_make_one_answer(begin):
    judged, tab = begin(training=0, is_strict=False)
    page = tab()
    enter(page)
    until_text(page, "1 of 5")
    judge_all(page)
    n_posts, is_back = [], []

    def lose(route):
        n_posts.append(1)
        if len(n_posts) == 2:
            route.fetch()  # it arrives, and what comes back is lost
        return route.continue_() if len(n_posts) > 2 and is_back else route.abort()

    page.route("**/answer", lose)
    go(page)
    until_text(page, "No connection")
    assert page.locator("main input:enabled").count() == 0  # a change would not go with the answer
    withdraw = "() => { window.confirm = () => true; document.querySelector('#foot button').click(); }"
    page.evaluate(withdraw)
    assert "not answered yet" in page.locator("#problem").text_content()
    is_back.append(True)
    until_text(page, "2 of 5")
    assert page.locator("main input:disabled").count() == 0
    assert len(n_posts) >= 3
    assert page.locator("#problem").text_content() == ""
    assert [line.get("stage") for line in judged.answers.lines()].count("trial-0") == 1


def test_who_withdraws_sees_so(begin):
    judged, tab = begin(is_strict=False)  # what was heard may be told too late: the server refuses it
    page = tab()
    enter(page)
    page.on("dialog", lambda dialog: dialog.accept())
    go(page, "Withdraw my answers")
    until_text(page, "You have withdrawn")
    page.reload()
    until_text(page, "You have withdrawn")
    assert judged.answers.lines()[-1]["kind"] == "withdraw"


def test_the_link_with_a_token_opens_everything(begin):
    judged, tab = begin(token="s3cret", training=0)
    page = tab()
    enter(page)
    until_text(page, "1 of 5")
    assert len(judged.answers.judges()) == 1


@pytest.fixture(scope="module")
def screens(tmp_path_factory, study, chromium, axe):
    """What axe-core finds on every screen in light and dark, and its sizes in windows of some widths."""
    seen = {}
    parts = "main button, main .tick, main .grades label"
    size = f"""[document.documentElement.scrollWidth,
        ...[...document.querySelectorAll('{parts}')].map(one => one.offsetHeight).filter(Boolean)]"""

    with beginning(tmp_path_factory.mktemp("screens"), study, chromium) as begin:
        page = begin(headphones="check", queries=1, anchors=0)[1]()

        def look(name):
            seen[name] = {}
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                seen[name][scheme] = axe(page)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                seen[name][width] = page.evaluate(size)

        def look_at(text, name=""):
            until_text(page, text)
            look(name or text)

        look("Welcome")
        consent(page)
        look("Set the volume")
        listen(page)
        go(page, "The volume is right")
        look_at("Headphone check")
        for _ in range(6):
            pick(page, 0)
        look_at("Practice 1")
        judge_all(page)
        go(page)
        look_at("Go on", "feedback")
        go(page, "Go on")
        for text in ("1 of 2", "2 of 2"):
            look_at(text)
            judge_all(page)
            look(f"{text}, answered")
            go(page)
        look_at("A few questions")
        go(page, "Finish")
        look_at("Thank you")
    assert len(seen) == 11
    return seen


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_screen(screens, width):
    for name, seen in screens.items():
        wide, *heights = seen[width]
        assert wide <= width, name
        assert min(heights, default=44) >= 44, name


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing(screens, scheme):
    found = {name: seen[scheme] for name, seen in screens.items()}
    if None in found.values():
        pytest.skip("axe-core is not to be had: install npm")
    assert found == {name: [] for name in screens}
