"""Every score ever computed stays in the leaderboard, and its page sorts and filters in a browser."""

import csv
import json
import re
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
import small_study

from sss_lib import leaderboard, models
from sss_lib.__main__ import main
from sss_lib.experiment import Variant
from sss_lib.experiment.store import Store
from sss_lib.figures.tables import SYSTEM
from sss_lib.models.catalogue import CATALOGUE

NASTY = "<img src=x onerror=alert(1)>"


def write_scores(store, dataset, variant, values, search="nns", more=None, **about):
    """Write an artefact of scores: MAP@15 as given by level and protocol, with `more` columns."""
    system = dict(zip(SYSTEM, [None] * len(SYSTEM), strict=True)) | variant.parameters() | {"search": search}
    rows = [
        {"dataset": dataset, **system, "protocol": protocol, "level": level, "name": "all"}
        | {"metric": metric, "n": n, "value": value, "ci_low": value - 0.01, "ci_high": value + 0.01}
        for (protocol, level), value in values.items()
        for metric, n in (("MAP", 15), ("MR1", None))
    ]
    frame = pd.DataFrame(rows).astype({"n": "Int64", "n_components": "Int64"}).assign(**more or {})
    artefact = store.scores(dataset, variant, search)
    bare = type(artefact)(artefact.path, artefact.parameters)
    bare.write(dict(frame.items()), **about)
    return bare


BOTH = {(protocol, level): 0.0 for protocol in ("standard", "paper") for level in ("macro", "micro")}


@pytest.fixture
def store(tmp_path):
    """Store with three systems on one dataset, and one on another whose name is an attack."""
    store = Store(tmp_path)
    models.register("gone-model", list, rate_hz=1, dim=200, hop_s=1.0)
    for model, value in (("aisfx", 0.3), ("gone-model", 0.5), ("logmel", 0.2)):
        more = {"chance": 0.04, "ceiling": 1.0}
        write_scores(store, "mini", Variant(model, "mean", 100), dict.fromkeys(BOTH, value), more=more)
    write_scores(store, NASTY.replace("/", ""), Variant("duration", "none"), dict.fromkeys(BOTH, 0.1))
    del CATALOGUE["gone-model"]
    return store


def test_systems_are_ranked_within_dataset_protocol_and_level(store):
    table = leaderboard.ranked(leaderboard.collect(store))
    own = table[(table["dataset"] == "mini") & (table["protocol"] == "paper") & (table["level"] == "micro")]
    assert own["model"].tolist() == ["gone-model", "aisfx", "logmel"]
    assert own["MAP@15"].tolist() == [0.5, 0.3, 0.2]
    assert own["MAP@15 low"].tolist() == pytest.approx([0.49, 0.29, 0.19])
    assert len(table) == 4 * 4


def test_of_equal_systems_the_simplest_is_named_and_no_approximate_one(store, capsys):
    for variant, search, value in (
        (Variant("aisfx", "mean", None), "mcss", 0.3 + 1e-12),
        (Variant("aisfx", "mean", None), "nns", 0.3),
        (Variant("aisfx", "mean", 100), "nns-HNSW16-efSearch=64", 0.4),
    ):
        write_scores(store, "mini", variant, dict.fromkeys(BOTH, value), search)
    assert main(["leaderboard", "--data-dir", str(store.data_dir)]) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if "aiSFX" in line]
    assert [line.split()[1:5] for line in shown] == [["mean,", "L2,", "NNS", "0.300"]]


def test_a_score_that_was_computed_anew_or_deleted_stays_as_gone(store):
    first = leaderboard.collect(store)
    changed = write_scores(store, "mini", Variant("aisfx", "mean", 100), dict.fromkeys(BOTH, 0.9))
    store.scores("mini", Variant("logmel", "mean", 100), "nns").path.unlink()
    again = leaderboard.collect(store)
    assert set(first["digest"]) | {changed.digest()} == set(again["digest"])
    of = again[again["metric"] == "MAP"].groupby(["model", "value"])["present"].all()
    assert of["aisfx"].to_dict() == {0.3: False, 0.9: True}
    assert of["logmel"].to_dict() == {0.2: False}
    pd.testing.assert_frame_equal(leaderboard.collect(store), again)


def test_damage_is_named_with_its_remedy_and_left_as_it_is(store, capsys):
    result, path = store.scores("mini", Variant("aisfx", "mean", 100), "nns").path, store.leaderboard_path()
    result.write_bytes(b"no scores")
    assert "aisfx" not in set(leaderboard.collect(store)["model"])
    assert str(result) in capsys.readouterr().err
    for damage in (lambda: path.write_bytes(b"junk"), lambda: pd.DataFrame({"x": [1]}).to_parquet(path)):
        damage()
        content = path.read_bytes()
        assert main(["leaderboard", "--data-dir", str(store.data_dir)]) == 2
        error = capsys.readouterr().err
        assert f"error: {path} is damaged" in error
        assert "or delete it" in error
        assert path.read_bytes() == content
    assert main(["leaderboard", "--data-dir", str(store.data_dir / "empty")]) == 2
    assert "run a grid first" in capsys.readouterr().err
    assert not (store.data_dir / "empty").exists()


def test_the_command_prints_each_models_best_with_dashes_for_missing_scores(store, capsys):
    write_scores(store, "mini", Variant("aisfx", "max", 100), dict.fromkeys(BOTH, float("nan")))
    write_scores(store, "mini", Variant("msd-musicnn", "max", 100), dict.fromkeys(BOTH, float("nan")))
    assert main(["leaderboard", "--data-dir", str(store.data_dir)]) == 0
    out = capsys.readouterr().out
    assert "nan" not in out.lower()
    assert "mini: each model's best of 5 systems" in out
    lines = [line.split() for line in out.splitlines() if "PCA 100" in line]
    assert [(line[0], *line[-2:]) for line in lines] == [
        *(("gone-model", "0.500", "0.5"), ("aiSFX", "0.300", "0.3"), ("Log-mel", "0.200", "0.2")),
        ("MSD-MusiCNN", "-", "-"),
    ]
    html = store.leaderboard_path().with_suffix(".html").read_text()
    assert NASTY not in html
    assert "onerror" in html  # the name is there, as text
    addresses = set(re.findall(r"http[\w-]*:?/*[\w.:/]*", html))
    assert addresses == {
        "http-equiv",
        "http://127.0.0.1:8866/",
    }  # the page asks for nothing, and links to ours


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("model", None), ("model", 5), ("digest", None), ("digest", [1]), ("n", 1.5), ("n", "x")),
        *(("value", 9.0), ("value", -0.1), ("value", float("inf")), ("value", "<b>"), ("ci_low", "x")),
        *(("search", "x"), ("n_components", 1e30), ("normalize", "x"), ("n_clips", "many")),
        *(("dataset", ...), ("value", ...), ("model", ...)),  # missing
    ],
)
def test_what_others_call_scores_ends_no_later_call(tmp_path, column, value):
    ours, theirs = Store(tmp_path / "ours"), tmp_path / "theirs.parquet"
    clips = {"n": 231, "digest": "ab"}
    write_scores(ours, "mini", Variant("aisfx", "mean", 100), dict.fromkeys(BOTH, 0.3), clips=clips)
    good = leaderboard.collect(ours).assign(digest="f" * 64)
    odd = good.drop(columns=column) if value is ... else good.assign(**{column: [value] * len(good)})
    odd.to_parquet(theirs)
    before = ours.leaderboard_path().read_bytes()
    with pytest.raises(ValueError, match=re.escape(f"{theirs} has no scores as this project writes them")):
        leaderboard.merge(ours, [theirs])
    assert ours.leaderboard_path().read_bytes() == before
    good.to_parquet(theirs)
    leaderboard.merge(ours, [theirs])
    leaderboard.publish(ours)


def test_scores_of_others_are_added_where_they_are_of_the_same_clips(tmp_path, capsys):
    def scored(name, value, dataset="mini", **about):
        one = Store(tmp_path / name)
        write_scores(one, dataset, Variant("aisfx", "mean", 100), dict.fromkeys(BOTH, value), **about)
        leaderboard.collect(one)
        return one

    ours = scored("ours", 0.3, clips={"n": 231, "digest": "ab"})
    same = scored("same", 0.4, clips={"n": 231, "digest": "ab"}).leaderboard_path()
    new = scored("new", 0.5, "theirs", clips={"n": 9, "digest": "ef"}).leaderboard_path()
    for _ in range(2):  # a second time adds nothing
        merge = [*("leaderboard", "--data-dir", str(ours.data_dir)), "--merge", str(same), str(new)]
        assert main(merge) == 0
        table = leaderboard.ranked(leaderboard.collect(ours))
        own = table[(table["protocol"] == "standard") & (table["level"] == "macro")]
        assert own["MAP@15"].tolist() == [0.4, 0.3, 0.5]
        assert own["present"].tolist() == [False, True, False]
    before = ours.leaderboard_path().read_bytes()
    for name, about, message in (
        ("less", {"clips": {"n": 230, "digest": "cd"}}, r"230 clips \(cd\) of mini; here it has 231 \(ab\)"),
        ("old", {}, r"clips \(no digest\) of mini"),
    ):
        other = scored(name, 0.9, **about).leaderboard_path()
        with pytest.raises(ValueError, match=message):
            leaderboard.merge(ours, [same, other])
    assert main([*merge[:3], "--merge", str(tmp_path / "none")]) == 2
    assert "none does not exist: give the leaderboard.parquet" in capsys.readouterr().err
    assert ours.leaderboard_path().read_bytes() == before


def test_a_damaged_file_of_others_is_got_again_and_not_to_be_deleted_as_ones_own(tmp_path):
    ours = Store(tmp_path / "ours")
    write_scores(ours, "mini", Variant("aisfx", "mean", 100), dict.fromkeys(BOTH, 0.3))
    (tmp_path / "theirs.parquet").write_bytes(b"PAR1")
    with pytest.raises(
        ValueError, match=r"theirs.parquet is damaged: .* Get it again from where it came"
    ) as error:
        leaderboard.merge(ours, [tmp_path / "theirs.parquet"])
    assert "delete" not in str(error.value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("missing", [["n_clips"], ["clips", "n_clips"], ["transform"], ["scale"]])
def test_older_scores_that_lack_values_are_told_of_or_added_without_a_warning(tmp_path, missing):
    clips = {"n": 231, "digest": "ab"}
    ours, theirs = Store(tmp_path / "ours"), Store(tmp_path / "theirs")
    write_scores(ours, "mini", Variant("aisfx", "mean", 100), dict.fromkeys(BOTH, 0.3), clips=clips)
    write_scores(theirs, "mini", Variant("logmel"), dict.fromkeys(BOTH, 0.4), clips=clips)
    path = theirs.leaderboard_path()
    leaderboard.collect(theirs).assign(**dict.fromkeys(missing, float("nan"))).to_parquet(path)
    if "clips" in missing:
        with pytest.raises(ValueError, match=r"unknown clips \(no digest\) of mini"):
            leaderboard.merge(ours, [path])
    else:
        leaderboard.merge(ours, [path])
        table = leaderboard.ranked(leaderboard.collect(ours))
        assert table["model"].tolist() == ["logmel", "aisfx"] * 4
    assert leaderboard.ranked(leaderboard.collect(theirs))["MAP@15"].tolist() == [0.4] * 4


def test_scores_that_are_merged_and_collected_at_once_all_stay(tmp_path, monkeypatch):
    clips = {"n": 231, "digest": "ab"}
    ours, theirs = Store(tmp_path / "ours"), Store(tmp_path / "theirs")
    write_scores(ours, "mini", Variant("aisfx", "mean", 100), dict.fromkeys(BOTH, 0.3), clips=clips)
    write_scores(theirs, "mini", Variant("logmel"), dict.fromkeys(BOTH, 0.4), clips=clips)
    leaderboard.collect(theirs)
    is_read, known = threading.Event(), leaderboard._known

    def read_slowly(path):
        found = known(path)
        is_read.set()
        time.sleep(0.5)
        return found

    monkeypatch.setattr(leaderboard, "_known", read_slowly)
    with ThreadPoolExecutor(1) as pool:
        collecting = pool.submit(leaderboard.collect, ours)
        assert is_read.wait(10)
        monkeypatch.setattr(leaderboard, "_known", known)
        leaderboard.merge(ours, [theirs.leaderboard_path()])
        collecting.result(20)
    assert set(leaderboard.collect(ours)["model"]) == {"aisfx", "logmel"}


def rows_of(store):
    """Rows of the page's table that are by the standard protocol and macro."""
    html = leaderboard.page(leaderboard.ranked(leaderboard.collect(store)))
    rows = json.loads(re.search(r'<script id="content"[^>]*>(.*?)</script>', html, re.DOTALL)[1])["rows"]
    return [row for row in rows if row["protocol"] == "standard" and row["level"] == "macro"]


def test_chance_and_the_upper_bound_are_rows_of_each_collection_and_unranked(tmp_path):
    store = Store(tmp_path)
    for dataset, chance in (("one", 0.04), ("other", 0.07)):
        more = {"chance": chance, "ceiling": 1.0}
        for model in ("aisfx", "logmel"):
            write_scores(store, dataset, Variant(model, "mean", 100), dict.fromkeys(BOTH, 0.3), more=more)
    write_scores(store, "old", Variant("logmel", "mean"), dict.fromkeys(BOTH, 0.3))  # which has none
    rows = rows_of(store)
    assert "chance" not in set(leaderboard.ranked(leaderboard.collect(store))["model"])
    found = [(row["dataset"], row["system"], row["measures"][0]) for row in rows if row.get("bound")]
    assert found == [
        *(("one", "Upper bound", [1.0, None, None]), ("one", "Chance", [0.04, None, None])),
        *(("other", "Upper bound", [1.0, None, None]), ("other", "Chance", [0.07, None, None])),
    ]


def test_intervals_are_over_uploaders_where_clips_have_them(tmp_path):
    store = Store(tmp_path)
    values = dict.fromkeys(BOTH, 0.3)
    write_scores(store, "a", Variant("logmel"), values, more={"group_ci_low": 0.1, "group_ci_high": 0.6})
    write_scores(store, "b", Variant("logmel"), values, more={"group_ci_low": float("nan")})
    write_scores(store, "c", Variant("logmel"), values)
    found = [(row["over"], pytest.approx(row["measures"][0])) for row in rows_of(store)]
    assert found == [("uploaders", [0.3, 0.1, 0.6]), *[("queries", [0.3, 0.29, 0.31])] * 2]


def test_a_system_has_its_price_its_licence_and_a_link_to_listen(store):
    systems = (
        (Variant("aisfx", "meanstd"), "nns", 0.9),
        (Variant("aisfx", transform="first-8"), "mips", 0.8),
        (Variant("aisfx", n_components=16), "nns-HNSW16-efSearch=64", 0.7),
    )
    for variant, search, value in systems:
        write_scores(store, "mini", variant, dict.fromkeys(BOTH, value), search)
    found = [row for row in rows_of(store) if row["dataset"] == "mini" and not row.get("bound")]
    costs = [(row["dim"], row["bytes"]) for row in found[:3]]
    assert costs == [(2 * 512, 2 * 4 * 512), (8, 32), (16, None)]  # an index holds other bytes
    first, (gone,) = found[0], [row for row in found if row["system"] == "gone-model"]
    assert first["licence"] == models.spec("aisfx").terms
    assert parse_qs(urlsplit(first["listen"]).query) == {"systems": [f"{systems[0][0].name}/nns"]}
    assert [gone[key] for key in ("dim", "bytes", "licence", "listen")] == [None, None, "", ""]


def test_a_link_to_listen_shows_the_query_that_a_model_ranks_most_unlike_the_best(small_store, tmp_path):
    leaderboard.publish(small_store, tmp_path / "page.html")
    content = (tmp_path / "page.html").read_text().partition('type="application/json">')[2]
    rows = json.loads(content.partition("</script>")[0])["rows"]
    links = {
        parse_qs(urlsplit(row["listen"]).query)["systems"][0]: row["listen"] for row in rows if row["listen"]
    }
    scores = {}
    for variant, search in small_study.SYSTEMS.items():
        table = small_store.per_query(small_study.NAME, variant, search, cutoffs=(3, 10)).read().to_pandas()
        table = table[(table["protocol"] == "standard") & (table["label"] == "")]
        scores[f"{variant.name}/{search}"] = table.set_index("fname")["AP@3"]
    assert links.keys() == scores.keys()
    for name, link in links.items():
        words = parse_qs(urlsplit(link).query)
        (query,), (own, beside) = words["q"], words["systems"]
        assert own == name
        assert own.split("-")[0] != beside.split("-")[0]
        best = max(
            (one for one in scores if one.split("-")[0] == own.split("-")[0]),
            key=lambda one: scores[one].mean(),
        )
        gap = (scores[best] - scores[beside]).abs()
        assert gap[query] == gap.max() > 0


def test_no_cell_of_the_csv_is_a_formula(tmp_path):
    store = Store(tmp_path)
    names = ("=HYPERLINK(0)", "+1", " @SUM(1)", "-2+3", 'a "b", c', "a=b")
    for name in names:
        write_scores(store, name, Variant("logmel"), dict.fromkeys(BOTH, 0.3))
    cells = {next(csv.reader([row["csv"]]))[0] for row in rows_of(store)}
    assert cells == {*(f"'{name}" for name in names[:4]), *names[4:]}


@pytest.fixture
def page(store):
    """The page in Chromium, which fails the test if anything is complained of or asked for."""
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("needs Chromium")
    main(["leaderboard", "--data-dir", str(store.data_dir)])
    store.scores("mini", Variant("logmel", "mean", 100), "nns").path.unlink()
    main(["leaderboard", "--data-dir", str(store.data_dir)])
    url = store.leaderboard_path().with_suffix(".html").as_uri()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        page, wrong = browser.new_page(), []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.append(request.url) if request.url != url else None)
        page.goto(url)
        yield page
        browser.close()
    assert not wrong


def shown(page):
    return page.locator("tbody tr:not(.bound) td:first-child").all_inner_texts()


@pytest.mark.browser
def test_the_page_sorts_by_click_and_keyboard_and_filters_in_a_browser(page):
    page.select_option("#dataset", "mini")
    assert shown(page) == ["gone-model", "aiSFX"]
    page.get_by_role("button", name="MAP@15").click()
    assert shown(page) == ["aiSFX", "gone-model"]
    page.get_by_role("button", name="System").focus()
    page.keyboard.press("Enter")
    assert shown(page) == ["aiSFX", "gone-model"]
    page.keyboard.press("Enter")
    assert shown(page) == ["gone-model", "aiSFX"]
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    saved = pd.read_csv(download.value.path())
    assert saved["System"].tolist()[2:] == ["gone-model", "aiSFX"]
    page.check("#gone")
    assert set(shown(page)) == {"gone-model", "aiSFX", "Log-mel statistics"}
    page.fill("#filter", "log-mel")
    assert shown(page) == ["Log-mel statistics"]
    page.fill("#filter", "")
    page.select_option("#dataset", NASTY.replace("/", ""))
    assert shown(page) == ["Duration and level"]


@pytest.mark.browser
def test_the_keyboard_alone_chooses_sorts_filters_and_saves(page):
    def tab_to(what):
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("what => document.activeElement.matches(what)", what):
                return
        raise AssertionError(f"Tab never comes to {what}")

    tab_to("#dataset")
    page.keyboard.type("mini")
    tab_to("#level")
    page.keyboard.type("micro")
    assert page.input_value("#level") == "micro"
    tab_to("#filter")
    page.keyboard.type("aisfx")
    assert shown(page) == ["aiSFX"]
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    tab_to("#gone")
    page.keyboard.press("Space")
    assert shown(page) == ["gone-model", "aiSFX", "Log-mel statistics"]
    tab_to("#csv")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    saved = pd.read_csv(download.value.path())
    assert saved["System"].tolist() == ["Upper bound", "Chance", *shown(page)]
    assert saved["MAP@15"].tolist() == [1.0, 0.04, 0.5, 0.3, 0.2]
    tab_to("thead th:first-child button")
    page.keyboard.press("Space")
    assert shown(page) == ["aiSFX", "gone-model", "Log-mel statistics"]
    bounds = page.locator("tbody tr.bound td:first-child")
    assert page.locator("tbody td:first-child").all_inner_texts()[:2] == bounds.all_inner_texts()  # unranked
    tab_to("tbody a")
    assert page.evaluate("document.activeElement.ariaLabel") == "Listen to aiSFX, mean, PCA 100, L2, NNS"
