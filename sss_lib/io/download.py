"""Downloads: with a progress bar, resumed where they broke, checked, and atomic.

pooch, the usual library, doesn't resume a broken download; a part of FSD50K has 3 GB.
"""

import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sss_lib.io.writing import full_disk, is_full, locked, replacing

if TYPE_CHECKING:
    from tqdm import tqdm

MOST_BYTES = 1 << 36
"""Of a file whose size only the server tells."""
MOST_UNTOLD_BYTES = 1 << 32
"""Of a file whose size nobody tells, if half of the free disk isn't less; the largest known here has 3 GB."""
LEAST_RATE = 1000
"""Bytes a second that a server must send, over any `timeout_s`."""
_HEADERS = {"User-Agent": f"sss_lib/{version('semantic-sound-similarity')}"}


class FetchError(OSError):
    """A file could not be downloaded; nothing says that it is wrong."""

    code = 0  # in place of an HTTP status: no error of a server, so that trying again at once is no use


@dataclass(frozen=True)
class Remote:
    """A file on the web, and what it must be.

    Attributes
    ----------
    url : str
    path : Path
        Where the file is to be.
    what : str
        For messages: "the weights of aisfx".
    n_bytes, digest : int, str or None
        Its size and digest; None where they are unknown.
    algorithm : str
        Of the digest: "sha256" or "md5".
    note : str
        What a message says after a wrong digest.
    flaw : callable
        Takes a path; says why that file can't be the right one, or "".

    Examples
    --------
    >>> Remote("https://example.org/x", Path("x"), "an example", n_bytes=7).difference(8)
    'has 8 bytes, not 7'
    """

    url: str
    path: Path
    what: str
    n_bytes: int | None = None
    digest: str | None = None
    algorithm: str = "sha256"
    note: str = ""
    flaw: Callable[[Path], str] = lambda path: ""

    def difference(self, n_bytes: int | None, digest: str | None = None) -> str:
        """Return how a size and a digest differ from those expected, in words: "" if they don't."""
        if n_bytes is not None and self.n_bytes not in (None, n_bytes):
            return f"has {n_bytes} bytes, not {self.n_bytes}"
        if None in (digest, self.digest) or digest == self.digest:
            return ""
        return f"has {self.algorithm} {digest}, not {self.digest}{self.note}"


def fetch(
    remote: Remote,
    *,
    progress: bool = True,
    retries: int = 3,
    backoff_s: float = 1.0,
    timeout_s: float = 30.0,
    allow_http: bool = False,
) -> str | None:
    """Download a file unless it exists; return its digest, or None if it existed.

    A download that breaks or is killed leaves `{file}.part`, and the next try resumes it. The file gets its
    name once it is whole and checked. Of several processes, one downloads and the others wait.

    Parameters
    ----------
    remote : Remote
    progress : bool
        Show a progress bar.
    retries : int
        Tries in a row that may get no further.
    backoff_s : float
        Pause before the first of these, in seconds; it doubles each time.
    timeout_s : float
        How long the server may be silent, or slower than `LEAST_RATE`, in seconds.
    allow_http : bool
        Accept a URL without encryption.

    Raises
    ------
    FetchError
        If the file can't be downloaded; the message says where to put it by hand.
    ValueError
        If what came isn't what was expected (it is deleted), or the URL isn't https.
    """
    path = remote.path
    if path.is_file():
        return None
    if remote.url.partition(":")[0].lower() not in ("https", *(["http"] if allow_http else [])):
        raise ValueError(f"{remote.url}, {remote.what}, is not https: give an https URL, or set allow_http")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    with locked(path):
        if path.is_file():  # another process was faster
            return None
        _download(remote, part, progress, retries, backoff_s, timeout_s)
        digest = digest_of(part, remote.algorithm)
        if wrong := remote.difference(part.stat().st_size, digest) or remote.flaw(part):
            _discard(part)
            raise ValueError(
                f"{remote.url}, {remote.what}, {wrong}: what came is deleted; try again later, or "
                f"put the right file at {path} by hand"
            )
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        _discard(part)
    return digest


def size_of(url: str, *, timeout_s: float = 30.0) -> int | None:
    """Size of a file in bytes by the server's account; None if it doesn't tell."""
    request = urllib.request.Request(url, headers=_HEADERS, method="HEAD")
    try:
        with urllib.request.build_opener(_Redirect).open(request, timeout=timeout_s) as response:
            told = response.headers["Content-Length"]
            return int(told) if told else None
    except (OSError, ValueError, http.client.HTTPException):
        return None


def digest_of(path: Path, algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def part_of(path: Path) -> Path:
    """Path of an unfinished download."""
    return path.with_name(f"{path.name}.part")


def write_json(path: Path, value: dict) -> None:
    """Write a JSON file, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path, what: str, remedy: str) -> dict[str, dict]:
    """Tables by name that `write_json` wrote; none if there is no file. ValueError if it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not (isinstance(found, dict) and all(isinstance(one, dict) for one in found.values())):
            raise ValueError(f"it isn't a table of {what}")
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): delete it to {remedy}") from None
    return found


def _download(
    remote: Remote, part: Path, progress: bool, retries: int, backoff_s: float, timeout_s: float
) -> None:
    """Download into `part`, trying again until it is whole or `retries` tries got no further.

    Raises FetchError with the remedy.
    """
    tries, longest = 0, 0
    while True:
        try:
            return _receive(remote, part, progress, timeout_s)
        except (OSError, http.client.HTTPException) as error:
            size = part.stat().st_size if part.exists() else 0
            # A bad line makes progress with each try: only tries in a row without any count.
            tries, longest = (1, size) if size > longest else (tries + 1, longest)
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            if is_full(error):
                full = full_disk(remote.path, remote.n_bytes or size, error).strerror
                raise FetchError(f"{full}: it is {remote.what}, and what came is kept") from None
            status = getattr(error, "code", 500)  # a broken connection is like a broken server
            if status == 416:  # the resource ends before `size`: `part` is no beginning of it
                _discard(part)
            # 408 and 429: the server is too busy now; others below 500 say that the request is wrong.
            if tries > retries or (status < 500 and status not in (408, 416, 429)):
                raise FetchError(
                    f"{remote.url}, {remote.what}, could not be downloaded ({shown(error)}): try again "
                    f"later, or put the file at {remote.path} by hand"
                ) from None
        time.sleep(backoff_s * 2 ** (tries - 1))


def _receive(remote: Remote, part: Path, progress: bool, timeout_s: float) -> None:
    """Download into `part`; resume only if what it holds is surely the beginning of the same version.

    RFC 9110: `Range` asks for the rest, and `If-Range` makes the server send the whole file (200) in place of
    the rest (206) once its version has changed. A version is known by its validator, ETag or Last-Modified.
    """
    from tqdm import tqdm

    about = _description(part)
    validator = about.get("validator")
    # Without a validator the server may append another version: the digest would notice the mixture.
    may_resume = (validator or remote.digest) and about.get("url") == remote.url
    size = part.stat().st_size if may_resume else 0
    if size and size == about["n_bytes"]:
        return
    request = urllib.request.Request(remote.url, headers=_HEADERS)
    if size:
        request.add_header("Range", f"bytes={size}-")
        if validator:
            request.add_header("If-Range", validator)
    try:
        opened = urllib.request.build_opener(_Redirect).open(request, timeout=timeout_s)
    except ValueError as error:  # from an address that is none, to which a server may redirect
        raise FetchError(str(error)) from None
    with opened as response:
        found = _validator(response.headers)
        if response.status == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers["Content-Range"] or "")
            n_bytes = int(span[2]) if span else None
            # Servers and caches err: a rest that begins elsewhere, or is of another file, is no rest.
            if not size or (span and int(span[1]), n_bytes, found) != (size, about["n_bytes"], validator):
                _discard(part)
                raise ConnectionError("the server went on with something else")
        else:
            size, n_bytes = 0, remote.n_bytes if response.length is None else response.length
            _require_file(remote, part, response, n_bytes)
            # In this order: a killed run must never leave other bytes beside a new description.
            part.write_bytes(b"")
            write_json(_about(part), {"url": remote.url, "validator": found, "n_bytes": n_bytes})
        units = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}
        with tqdm(desc=remote.path.name, initial=size, total=n_bytes, disable=not progress, **units) as bar:
            size = _append(response, part, size, n_bytes or remote.n_bytes, bar, timeout_s)
    if n_bytes is not None and size < n_bytes:
        raise ConnectionError(f"it ended after {size} of {n_bytes} bytes")


def _require_file(
    remote: Remote, part: Path, response: http.client.HTTPResponse, n_bytes: int | None
) -> None:
    """Raise an error unless what comes can be the file, will tell its end, and has room."""
    if response.headers.get_content_type() == "text/html":
        raise FetchError("a web page came, not a file")
    if n_bytes is None and not response.chunked and remote.digest is None:
        raise FetchError("nothing would tell when it is whole: state its n_bytes or its digest")
    if wrong := remote.difference(n_bytes):
        _discard(part)
        raise ValueError(f"{remote.url} {wrong}: put the right file at {remote.path} by hand")
    if (n_bytes or 0) > min(remote.n_bytes or MOST_BYTES, shutil.disk_usage(part.parent).free):
        raise FetchError(f"the disk of {part.parent} has no room for {n_bytes} bytes, or they are too many")


def _append(
    response: http.client.HTTPResponse, part: Path, size: int, told: int | None, bar: "tqdm", timeout_s: float
) -> int:
    """Append what comes to the `size` bytes of a part; return how many it has then."""
    most = told or min(MOST_UNTOLD_BYTES, size + shutil.disk_usage(part.parent).free // 2)
    since, base = time.monotonic(), size
    with part.open("ab") as file:
        while block := response.read1(1 << 16):  # what has come, without waiting for more
            size += len(block)
            if size > most:
                _discard(part)  # it is no beginning of anything
                which = "that it has" if told else "that are taken of an unknown size"
                raise FetchError(f"more than the {most} bytes came {which}; they are deleted")
            file.write(block)
            file.flush()  # a killed run keeps what had come
            bar.update(len(block))
            if (passed := time.monotonic() - since) > timeout_s:
                if size - base < LEAST_RATE * passed:
                    raise ConnectionError(f"{size - base} bytes in {passed:.0f} s are too slow")
                since, base = time.monotonic(), size
    return size


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to anything else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request."""
        if newurl.partition(":")[0].lower() not in ("https", req.type):
            raise urllib.error.HTTPError(newurl, code, "redirected away from https", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def shown(error: BaseException) -> str:
    """What an error says, without what a server could act on a terminal with."""
    text = "".join(sign if sign.isprintable() else "?" for sign in str(error))
    return text if len(text) <= 300 else f"{text[:300]}..."


def _validator(headers: http.client.HTTPMessage) -> str | None:
    """Return what identifies this version of a file: a strong ETag, or when it changed."""
    etag = headers["ETag"] or ""  # a weak one, W/"...", allows other bytes with the same meaning
    return etag if etag.startswith('"') else headers["Last-Modified"]


def _about(part: Path) -> Path:
    """Path of the description of a part: its address, version and full size."""
    return part.with_name(f"{part.name}.json")


def _description(part: Path) -> dict:
    """What `_about` says of a part; nothing if it is damaged, so that the download begins anew."""
    kinds = {"url": str, "validator": str | None, "n_bytes": int | None}
    try:
        about = json.loads(_about(part).read_text(encoding="utf-8")) if part.exists() else {}
        return about if all(isinstance(about[key], kind) for key, kind in kinds.items()) else {}
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return {}


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _about(part).unlink(missing_ok=True)
