"""Weights are found, held to their digest, and downloaded whole or not at all, whatever the server does."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
from webserver import BLOCK, CONTENT, OTHER, Site

from sss_lib import download
from sss_lib.io.download import FetchError, Remote
from sss_lib.models.weights import file as weights
from sss_lib.models.weights.file import Weights, fetch, find


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def site():
    site = Site()
    yield site
    site.close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Folder that is the cache; nothing goes through a proxy, and nothing pauses."""
    monkeypatch.setenv("SSS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache"


@pytest.fixture
def pauses(monkeypatch):
    """Pauses that were asked for, in seconds."""
    pauses = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    return pauses


def described(url="https://example.org/x.pt", content=CONTENT, **changes):
    known = {"file": "x.pt", "licence": "MIT", "source": "a page", "url": url, "sha256": sha256(content)}
    return Weights(**(known | changes))


def get(row, **options):
    return fetch("net", row, **({"allow_http": True, "backoff_s": 0, "retries": 1} | options))


def break_off(site, row):
    """A download that ends after three of four blocks."""
    site.breaks = [3 * BLOCK]
    with pytest.raises(FetchError, match="it ended after 196608 of 262144 bytes"):
        get(row, retries=0)


def put(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def lock(cache):
    return json.loads((cache / "weights.lock.json").read_text())


def visible(cache):
    return sorted(path.name for path in cache.iterdir() if not path.name.startswith("."))


# the record


@pytest.mark.parametrize("file", ["../x", "a/b", "/x", "a\\b", "..", ".x", "", "x\n", "c:x", weights.LOCK])
def test_a_name_that_could_leave_its_folder_is_refused(file):
    with pytest.raises(ValueError, match="is not a plain name"):
        described(file=file)


@pytest.mark.parametrize("url", ["ftp://h/x", "file:///etc/passwd", "x.pt", ""])
def test_only_web_addresses_are_urls(url):
    with pytest.raises(ValueError, match=r"is not http\(s\)"):
        described(url)


def test_weights_of_the_repository_need_a_digest():
    with pytest.raises(ValueError, match=r"x.pt has neither url nor sha256"):
        described(None, sha256=None)


@pytest.mark.parametrize(
    ("licence", "flag", "forbids"),
    [
        ("CC BY-NC 4.0", False, True),
        ("CC-BY-NC-SA-4.0", False, True),
        ("research only", True, True),
        ("CC BY 4.0", False, False),
        ("NCSA", False, False),
    ],
)
def test_a_licence_forbids_commercial_use_by_its_name_or_by_the_flag(licence, flag, forbids):
    assert described(licence=licence, non_commercial=flag).non_commercial is forbids


# where files are


def test_the_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    assert weights.path_of(described()) == tmp_path / "cache" / "x.pt"
    monkeypatch.setenv("SSS_CACHE", "~/c")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert weights.cache_dir() == tmp_path / "c"
    monkeypatch.setenv("SSS_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert weights.cache_dir() == tmp_path / "xdg" / "semantic-sound-similarity" / "models"
    for unusable in ("relative", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", unusable)
        assert weights.cache_dir() == tmp_path / ".cache" / "semantic-sound-similarity" / "models"


def test_weights_of_the_repository_are_checked_every_time_and_leave_no_trace(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS_DIR", tmp_path)
    cache.mkdir()
    row = described(None)
    with pytest.raises(FileNotFoundError, match=r"x.pt, the weights of net, is missing: check out the rep"):
        get(row)
    path = put(tmp_path / "x.pt", CONTENT)
    assert find("net", row) == get(row) == path
    assert list(cache.iterdir()) == []
    path.write_bytes(OTHER)
    entry = {"sha256": sha256(CONTENT), **weights.state_of(path)}  # of a download of the same name
    put(cache / weights.LOCK, json.dumps({"x.pt": entry}).encode())
    with pytest.raises(ValueError, match=f"{sha256(OTHER)}, not {sha256(CONTENT)}: delete it and check out"):
        find("net", row)


# what find says


def test_missing_weights_come_with_the_ways_to_get_them(cache):
    with pytest.raises(FileNotFoundError) as error:
        find("net", described())
    for words in (str(cache / "x.pt"), "https://example.org/x.pt", 'make models MODELS="net"'):
        assert words in str(error.value)


def test_other_weights_than_the_published_are_refused(cache):
    put(cache / "x.pt", OTHER)
    with pytest.raises(
        ValueError, match=f"{sha256(OTHER)}, not {sha256(CONTENT)}: delete it and run `make mod"
    ):
        find("net", described())
    with pytest.raises(ValueError, match="has 262144 bytes, not 7: delete it and run"):
        find("net", described(sha256=None, n_bytes=7))
    assert not (cache / weights.LOCK).exists()


def test_weights_without_a_published_digest_are_held_to_their_first_use(cache):
    row = described(sha256=None)
    assert weights.digest(row) is None
    path = put(cache / "x.pt", CONTENT)
    assert find("net", row) == path
    entry = lock(cache)["x.pt"]
    assert (entry["sha256"], entry["n_bytes"], entry["url"]) == (sha256(CONTENT), len(CONTENT), row.url)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", entry["first_use"])
    assert weights.digest(row) == sha256(CONTENT)

    path.write_bytes(OTHER)
    for _ in range(2):  # it isn't accepted by asking again
        with pytest.raises(ValueError, match=f"{sha256(OTHER)}, not {sha256(CONTENT)} as when") as error:
            find("net", row)
        assert f"delete the entry 'x.pt' of {cache / weights.LOCK}" in str(error.value)
    assert lock(cache)["x.pt"] == entry

    (cache / weights.LOCK).write_text("{}")
    assert find("net", row) == path
    assert weights.digest(row) == sha256(OTHER)


RUBBISH = {
    b"": "is empty",
    b'{"error": "login"}': "is a message in JSON",
    b"version https://git-lfs.github.com/spec/v1\n": "is a pointer of git-lfs",
    b"<!DOCTYPE html><html>log in</html>": "is a web page",
    b"PK" + CONTENT[:100]: "is no PyTorch file, or not a whole one",
}


@pytest.mark.parametrize(("content", "what"), RUBBISH.items())
def test_nothing_is_held_to_what_cannot_be_weights(cache, content, what):
    row, path = described(sha256=None), put(cache / "x.pt", content)
    with pytest.raises(ValueError, match=f"x.pt, the weights of net, {what}: delete it and run `make models"):
        find("net", row)
    assert weights.digest(row) is None
    path.write_bytes(CONTENT)
    assert find("net", row) == path


def test_a_published_digest_goes_before_a_recorded_one(cache):
    put(cache / "x.pt", OTHER)
    find("net", described(sha256=None))
    assert weights.digest(described()) == sha256(CONTENT)
    with pytest.raises(ValueError, match=f"{sha256(OTHER)}, not {sha256(CONTENT)}: delete"):
        find("net", described())


@pytest.fixture
def hashed(monkeypatch):
    """Names of the files that were hashed."""
    names, real = [], download.digest_of
    for module in (weights, download):
        monkeypatch.setattr(
            module, "digest_of", lambda path, *how: names.append(path.name) or real(path, *how)
        )
    return names


@pytest.mark.parametrize("digest", [None, sha256(CONTENT)])
def test_a_file_is_hashed_again_only_when_it_may_have_changed(cache, hashed, digest):
    row, path = described(sha256=digest), put(cache / "x.pt", CONTENT)
    for _ in range(3):
        find("net", row)
    assert hashed == ["x.pt"]
    first_use = lock(cache)["x.pt"]["first_use"] = "2001-01-01"
    (cache / weights.LOCK).write_text(json.dumps({"x.pt": lock(cache)["x.pt"] | {"first_use": first_use}}))
    os.utime(path, ns=(0, 0))  # touched, not changed
    for _ in range(3):
        find("net", row)
    assert hashed == ["x.pt"] * 2
    assert lock(cache)["x.pt"]["first_use"] == "2001-01-01"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no time of status change")
def test_a_changed_file_is_noticed_even_with_the_old_size_and_date(cache):
    path = put(cache / "x.pt", CONTENT)
    os.utime(path, ns=(0, 0))
    find("net", described())
    put(cache / "y.pt", OTHER).replace(path)
    os.utime(path, ns=(0, 0))
    with pytest.raises(ValueError, match=f"has sha256 {sha256(OTHER)}"):
        find("net", described())


def test_a_damaged_lock_file_is_named(cache):
    put(cache / "x.pt", CONTENT)
    put(cache / weights.LOCK, b'{"x.pt": ')
    with pytest.raises(ValueError, match=r"weights.lock.json is damaged .*: delete it"):
        find("net", described(sha256=None))


def test_a_cache_that_cannot_be_written_serves_weights_whose_digest_is_known(cache, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(weights, "locked", refuse)
    path = put(cache / "x.pt", CONTENT)
    assert find("net", described()) == path
    with pytest.raises(PermissionError, match=r"weights\.lock\.json"):
        find("net", described(sha256=None))


# a good server


@pytest.mark.parametrize("digest", [None, sha256(CONTENT)])
def test_a_download_is_whole_recorded_and_made_once(site, cache, hashed, digest):
    row = described(site.url, sha256=digest)
    assert get(row) == cache / "x.pt"
    assert (cache / "x.pt").read_bytes() == CONTENT
    assert lock(cache)["x.pt"]["sha256"] == sha256(CONTENT)
    assert visible(cache) == ["weights.lock.json", "x.pt"]
    assert get(row) == find("net", row) == cache / "x.pt"
    assert site.requests == [{}]
    assert hashed == ["x.pt.part"]


def test_the_name_is_given_only_after_the_check(site, cache, monkeypatch):
    real, seen = download.digest_of, []
    monkeypatch.setattr(download, "digest_of", lambda *how: seen.append(visible(cache)) or real(*how))
    get(described(site.url))
    assert seen == [["x.pt.part", "x.pt.part.json"]]


def test_an_address_without_encryption_needs_leave(site):
    with pytest.raises(ValueError, match="is not https"):
        get(described(site.url), allow_http=False)
    assert site.requests == []


def test_a_licence_against_commercial_use_is_shown_before_the_download(site, capsys, monkeypatch):
    monkeypatch.setattr(download, "_receive", lambda *_: pytest.fail(f"shown: {capsys.readouterr().out}"))
    with pytest.raises(
        pytest.fail.Exception, match=r"shown: x.pt: not for commercial use \(CC BY-NC 4.0; a pa"
    ):
        get(described(site.url, licence="CC BY-NC 4.0"))
    with pytest.raises(pytest.fail.Exception, match=r"shown: $"):
        get(described(site.url))


def test_the_bar_counts_bytes_of_the_total_from_where_it_resumes(site, capsys):
    break_off(site, described(site.url))
    first = capsys.readouterr().err
    assert "x.pt:   0%" in first
    assert "| 0.00/256k" in first
    assert "| 192k/256k" in first
    get(described(site.url))
    rest = capsys.readouterr().err
    assert "x.pt:  75%" in rest
    assert "| 192k/256k" in rest
    assert "| 256k/256k" in rest
    assert "0.00" not in rest
    (weights.cache_dir() / "x.pt").unlink()
    get(described(site.url), progress=False)
    assert capsys.readouterr().err == ""


# a connection that breaks


def test_a_broken_download_goes_on_where_it_broke(site, cache):
    site.breaks = [3 * BLOCK]
    assert get(described(site.url)).read_bytes() == CONTENT
    assert site.requests == [{}, {"Range": f"bytes={3 * BLOCK}-", "If-Range": '"one"'}]
    assert site.served == [3 * BLOCK, BLOCK]
    assert visible(cache) == ["weights.lock.json", "x.pt"]


def test_the_next_run_goes_on_too(site, cache):
    break_off(site, described(site.url))
    assert visible(cache) == ["x.pt.part", "x.pt.part.json"]
    assert (cache / "x.pt.part").read_bytes() == CONTENT[: 3 * BLOCK]
    assert get(described(site.url)).read_bytes() == CONTENT
    assert site.served == [3 * BLOCK, BLOCK]


@pytest.mark.parametrize(
    ("behaviour", "served"),
    [
        ({"breaks": [3 * BLOCK]}, [3 * BLOCK, BLOCK]),
        ({"breaks": [3 * BLOCK], "ranges": False}, [3 * BLOCK, 4 * BLOCK]),  # all of it anew
        ({"breaks_always": BLOCK}, [BLOCK] * 4),  # gets there, as each try gets further
    ],
)
def test_a_broken_download_ends_whole(site, behaviour, served):
    vars(site).update(behaviour)
    assert get(described(site.url), retries=1).read_bytes() == CONTENT
    assert site.served == served


def test_a_server_that_ignores_ranges_and_always_breaks_is_given_up(site):
    site.ranges, site.breaks_always = False, BLOCK
    with pytest.raises(FetchError, match="it ended after 65536 of 262144"):
        get(described(site.url), retries=2)
    assert len(site.requests) == 3


def test_tries_that_get_no_further_end_after_ever_longer_pauses(site, pauses):
    site.breaks_always = 0
    with pytest.raises(FetchError, match="it ended after 0 of 262144"):
        get(described(site.url), retries=3, backoff_s=0.5)
    assert len(site.requests) == 4
    assert pauses == [0.5, 1, 2]


def test_a_whole_part_is_checked_without_a_download(site, cache):
    break_off(site, described(site.url))
    (cache / "x.pt.part").write_bytes(CONTENT)  # killed after the last byte
    assert get(described(site.url)).read_bytes() == CONTENT
    assert len(site.requests) == 1


# a server that doesn't go on with the same


@pytest.mark.parametrize(("if_range", "n_requests"), [(True, 2), (False, 3)])
@pytest.mark.parametrize("digest", [None, sha256(OTHER)])
def test_a_resource_that_changed_is_downloaded_from_its_start(site, if_range, n_requests, digest):
    site.if_range = if_range
    break_off(site, described(site.url, sha256=digest))
    site.content, site.etag = OTHER, '"two"'
    assert get(described(site.url, sha256=digest)).read_bytes() == OTHER
    assert len(site.requests) == n_requests


@pytest.mark.parametrize(
    "wrong", [None, "bytes 0-262143/262144", "bytes 196608-262143/*", "bytes 196608-262144/262145"]
)
def test_another_range_than_asked_for_is_not_taken(site, wrong):
    break_off(site, described(site.url, sha256=None))
    site.headers = {"Content-Range": wrong}
    assert get(described(site.url, sha256=None)).read_bytes() == CONTENT
    assert ["Range" in asked for asked in site.requests] == [False, True, False]


def test_a_part_beyond_the_end_of_the_resource_is_dropped(site):
    site.etag, row = None, described(site.url, OTHER[:BLOCK])
    break_off(site, row)
    site.content = OTHER[:BLOCK]
    assert get(row).read_bytes() == OTHER[:BLOCK]
    assert site.served == [3 * BLOCK, 0, BLOCK]


@pytest.mark.parametrize(
    ("etag", "modified", "digest", "resumes", "if_range"),
    [
        (None, "Mon, 01 Jan 2024 00:00:00 GMT", None, True, "Mon, 01 Jan 2024 00:00:00 GMT"),
        ('W/"one"', None, None, False, None),  # a weak tag doesn't promise the same bytes
        (None, None, None, False, None),
        (None, None, sha256(CONTENT), True, None),  # the digest would tell
    ],
)
def test_a_part_is_only_gone_on_with_if_a_mixture_would_be_noticed(
    site, etag, modified, digest, resumes, if_range
):
    site.breaks, site.etag, site.modified = [3 * BLOCK], etag, modified
    assert get(described(site.url, sha256=digest)).read_bytes() == CONTENT
    assert ("Range" in site.requests[1]) is resumes
    assert site.requests[1].get("If-Range") == if_range


def test_a_part_from_another_address_is_not_gone_on_with(site):
    break_off(site, described(site.url))
    assert get(described(f"{site.url}?v=2")).read_bytes() == CONTENT
    assert site.requests[1] == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"url": 1}', '{"validator": "\\"one\\"", "url": "URL"}']
)
def test_a_part_whose_description_is_damaged_is_downloaded_anew(site, cache, text):
    break_off(site, described(site.url))
    (cache / "x.pt.part.json").write_text(text.replace("URL", site.url))
    assert get(described(site.url)).read_bytes() == CONTENT
    assert site.requests[1] == {}
    assert visible(cache) == ["weights.lock.json", "x.pt"]


# a server that sends something else


def test_wrong_bytes_are_deleted(site, cache):
    site.content = OTHER
    with pytest.raises(
        ValueError, match=f"{sha256(OTHER)}, not {sha256(CONTENT)}: what came is deleted"
    ) as error:
        get(described(site.url))
    assert str(cache / "x.pt") in str(error.value)
    assert visible(cache) == []
    assert len(site.requests) == 1


@pytest.mark.parametrize(("content", "what"), RUBBISH.items())
def test_a_download_that_cannot_be_weights_is_deleted_and_the_next_one_taken(site, cache, content, what):
    row, site.content = described(site.url, sha256=None), content
    with pytest.raises(ValueError, match=f"the weights of net, {what}: what came is deleted"):
        get(row)
    assert visible(cache) == []
    site.content = CONTENT
    assert get(row).read_bytes() == CONTENT


def test_a_download_that_differs_from_the_first_use_is_deleted(site, cache):
    row = described(site.url, sha256=None)
    get(row).unlink()
    site.content = OTHER
    with pytest.raises(ValueError, match=f"{sha256(OTHER)}, not {sha256(CONTENT)} as when first used"):
        get(row)
    assert visible(cache) == ["weights.lock.json"]


def test_a_length_beyond_the_content_is_a_broken_connection(site, cache):
    site.headers = {"Content-Length": str(len(CONTENT) + 1)}
    with pytest.raises(FetchError, match="it ended after 262144 of 262145 bytes"):
        get(described(site.url, sha256=None), retries=2)
    assert len(site.requests) == 3  # 200, 416 for the missing byte, 200
    assert not (cache / "x.pt").exists()


@pytest.mark.parametrize(
    ("known", "values"),
    [
        ({"n_bytes": len(CONTENT)}, "has 262143 bytes, not 262144"),
        ({}, f"{sha256(CONTENT[:-1])}, not {sha256(CONTENT)}"),
    ],
)
def test_a_length_short_of_the_content_is_refused(site, cache, known, values):
    site.headers = {"Content-Length": str(len(CONTENT) - 1)}
    with pytest.raises(ValueError, match=values):
        get(described(site.url, **known))
    assert visible(cache) == []


def test_a_wrong_size_is_refused_before_its_bytes_come_and_ends_an_earlier_part(site, cache, capsys):
    row = described(site.url, sha256=None, n_bytes=len(CONTENT))
    break_off(site, row)
    site.content, site.etag = OTHER + OTHER, '"two"'
    capsys.readouterr()
    with pytest.raises(ValueError, match="has 524288 bytes, not 262144"):
        get(row)
    assert visible(cache) == []
    assert "512k" not in capsys.readouterr().err


@pytest.mark.parametrize("known", [{}, {"sha256": None, "n_bytes": len(CONTENT)}])
def test_a_length_that_is_not_told_needs_something_else_known(site, known):
    site.headers = {"Content-Length": None}
    with pytest.raises(FetchError, match="state its n_bytes or its digest"):
        get(described(site.url, sha256=None))
    assert get(described(site.url, **known)).read_bytes() == CONTENT


def test_a_web_page_is_not_taken_for_weights_and_costs_no_part(site, cache):
    break_off(site, described(site.url, sha256=None))
    site.headers, site.ranges = {"Content-Type": "text/html; charset=utf-8"}, False
    with pytest.raises(FetchError, match="a web page came"):
        get(described(site.url, sha256=None))
    assert len(site.requests) == 2
    assert (cache / "x.pt.part").stat().st_size == 3 * BLOCK


# a server that refuses


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_is_not_there_is_asked_for_once(site, cache, status):
    site.statuses = [status] * 9
    with pytest.raises(FetchError, match=f"HTTP Error {status}") as error:
        get(described(site.url), retries=5)
    assert site.url in str(error.value)
    assert f"put the file at {cache / 'x.pt'} by hand" in str(error.value)
    assert len(site.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again(site, status):
    site.statuses = [status]
    assert get(described(site.url)).read_bytes() == CONTENT
    assert len(site.requests) == 2


def test_no_connection_names_the_address_and_the_path(site, cache, pauses):
    site.close()
    with pytest.raises(FetchError, match="refused") as error:
        get(described(site.url), retries=2, backoff_s=1)
    assert site.url in str(error.value)
    assert f"put the file at {cache / 'x.pt'} by hand" in str(error.value)
    assert pauses == [1, 2]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the file that is always full")
def test_a_full_disk_is_told_at_once_and_not_taken_for_a_broken_line(site, cache, pauses):
    cache.mkdir()
    (cache / "x.pt.part").symlink_to("/dev/full")
    with pytest.raises(FetchError, match=r"the disk is full: .* has no room for x\.pt"):
        get(described(site.url), retries=5, backoff_s=1)
    assert len(site.requests) == 1
    assert pauses == []
    assert not (cache / "x.pt").exists()


def test_a_silent_server_is_given_up(site):
    site.holding = threading.Event()
    begin = time.monotonic()
    with pytest.raises(FetchError, match="timed out"):
        get(described(site.url), retries=0, timeout_s=0.05)
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x.pt", "data:text/plain,x", "FILE:///x"]
)
def test_an_address_of_another_kind_is_never_opened(url, cache):
    with pytest.raises(ValueError, match="is not https"):
        download.fetch(Remote(url, cache / "x.pt", "a test"), allow_http=True)
    assert not cache.exists()


@pytest.mark.parametrize("promised", [1000, None])
def test_no_more_bytes_are_written_than_promised(site, cache, monkeypatch, promised):
    """By a server that never tells how many there are."""
    monkeypatch.setattr(download, "MOST_UNTOLD_BYTES", 100_000)
    site.headers = {"Content-Length": None}
    remote = Remote(site.url, cache / "x.pt", "a test", n_bytes=promised, digest="0" * 64)
    with pytest.raises(FetchError, match=f"more than the {promised or 100_000} bytes came that"):
        download.fetch(remote, allow_http=True, retries=0, progress=False)
    part = cache / "x.pt.part"
    assert not part.exists()


def test_a_download_of_unknown_size_leaves_half_of_the_free_disk(site, cache, monkeypatch):
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 100_000, 100_000))
    site.headers = {"Content-Length": None}
    remote = Remote(site.url, cache / "x.pt", "a test", digest="0" * 64)
    with pytest.raises(FetchError, match="more than the 50000 bytes came that are taken of an unknown size"):
        download.fetch(remote, allow_http=True, retries=0, progress=False)
    assert list(cache.glob("x.pt.part*")) == []


def test_a_size_that_no_disk_has_is_refused_before_its_bytes_come(site, cache):
    site.headers = {"Content-Length": str(10**13)}
    with pytest.raises(FetchError, match="no room for 10000000000000 bytes"):
        download.fetch(Remote(site.url, cache / "x.pt", "a test"), allow_http=True, retries=0, progress=False)
    assert not (cache / "x.pt.part").exists()


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(site, cache):
    site.trickle_s = 0.05
    begin = time.monotonic()
    with pytest.raises(FetchError, match=r"bytes in \d s are too slow"):
        download.fetch(
            Remote(site.url, cache / "x.pt", "a test"),
            allow_http=True,
            retries=0,
            timeout_s=0.5,
            progress=False,
        )
    assert time.monotonic() - begin < 5


def test_what_a_server_says_does_not_act_on_the_terminal():
    assert download.shown(ValueError("\x1b[31mred\r" + "x" * 1000)) == "?[31mred?" + "x" * 291 + "..."


def test_a_redirect_is_followed_with_the_range(site):
    break_off(site, described(site.url))
    site.statuses, site.headers = [302], {"Location": f"{site.url}?there"}
    assert get(described(site.url)).read_bytes() == CONTENT
    assert [asked.get("Range") for asked in site.requests] == [
        None,
        f"bytes={3 * BLOCK}-",
        f"bytes={3 * BLOCK}-",
    ]


def test_a_redirect_away_from_the_web_is_refused(site):
    site.statuses, site.headers = [302], {"Location": "ftp://127.0.0.1/x.pt"}
    with pytest.raises(FetchError, match="redirected away from https"):
        get(described(site.url))


def test_a_redirect_to_what_is_no_address_is_told_with_the_remedy(site):
    site.statuses, site.headers = [302], {"Location": "http://[::1"}
    with pytest.raises(FetchError, match=r"could not be downloaded \(Invalid IPv6 URL\): .* put the file at"):
        get(described(site.url))


def test_a_redirect_from_https_to_http_is_refused():
    request = urllib.request.Request("https://a/x")
    redirect = download._Redirect()
    assert redirect.redirect_request(request, None, 302, "", {}, "https://b/x").full_url == "https://b/x"
    with pytest.raises(urllib.error.HTTPError, match="redirected away"):
        redirect.redirect_request(request, None, 302, "", {}, "http://b/x")


# several processes

CODE = """
import sys
from sss_lib.models.weights import file as weights
row = weights.Weights("x.pt", "MIT", "a page", sys.argv[1], sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
print(weights.fetch("net", row, allow_http=True), flush=True)
"""


@pytest.fixture
def start():
    """Start a process that fetches once it gets a line."""
    processes = []

    def start(url):
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, url, sha256(CONTENT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("waited in vain")


def test_a_killed_download_goes_on_in_the_next_process(site, cache, start):
    site.holding = threading.Event()
    site.breaks = [3 * BLOCK + 1]  # the byte that it waits with
    process = start(site.url)
    process.stdin.write("\n")
    process.stdin.flush()
    part = cache / "x.pt.part"
    until(lambda: part.exists() and part.stat().st_size == 3 * BLOCK)
    assert visible(cache) == ["x.pt.part", "x.pt.part.json"]
    process.kill()
    assert process.wait()
    site.holding.set()
    site.holding = None
    assert get(described(site.url)).read_bytes() == CONTENT
    assert site.requests[1]["Range"] == f"bytes={3 * BLOCK}-"
    assert site.served[-1] == BLOCK


def test_of_two_processes_one_downloads_and_both_get_the_file(site, cache, start):
    site.holding = threading.Event()
    both = [start(site.url) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    until(lambda: site.requests)
    time.sleep(0.1)  # for the other to ask as well, if it does
    site.holding.set()
    for process in both:
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out) == (0, f"{cache / 'x.pt'}\n"), err
    assert (cache / "x.pt").read_bytes() == CONTENT
    assert visible(cache) == ["weights.lock.json", "x.pt"]
    assert site.requests == [{}]


def test_processes_that_record_at_once_keep_each_others_entries(cache):
    rows = [described(file=f"{i}.pt") for i in range(8)]
    for row in rows:
        put(cache / row.file, CONTENT)
    threads = [threading.Thread(target=find, args=("net", row)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lock(cache)) == [row.file for row in rows]
