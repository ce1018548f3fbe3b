"""Downloading weights: with a progress bar, going on where a broken download stopped, checked, atomic."""

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

from sss_lib import __version__
from sss_lib.models.weights import (
    Weights,
    difference,
    find,
    implausible,
    locked,
    path_of,
    record,
    sha256_of,
    state_of,
    write_json,
)


class FetchError(OSError):
    """Weights that could not be downloaded: they are still absent, and nothing says that they are wrong."""

    code = 0  # where HTTP errors have their status: to try again at once is no use


def fetch(
    name: str,
    weights: Weights,
    *,
    progress: bool = True,
    retries: int = 3,
    backoff_s: float = 1.0,
    timeout_s: float = 30.0,
    allow_http: bool = False,
) -> Path:
    """Path of a model's weights, downloaded if they are missing, and the right ones.

    A download that breaks or is killed leaves `{file}.part`, and the next try goes on from there. The file
    gets its name when it is whole and checked. Of processes that want it, one downloads and the others wait.

    Parameters
    ----------
    name : str
        The model, for messages.
    weights : Weights
    progress : bool
        Show a progress bar.
    retries : int
        How often in a row to try again without getting any further.
    backoff_s : float
        Pause before the first of these, in seconds; each is twice as long as the one before.
    timeout_s : float
        How long the server may be silent, in seconds.
    allow_http : bool
        Accept a URL without encryption.

    Returns
    -------
    Path

    Raises
    ------
    FetchError
        If the file can't be downloaded; the message says where to put it by hand.
    ValueError
        If what came isn't what was expected (see `find`; it is deleted), or the URL isn't https.
    """
    path = path_of(weights)
    if weights.url is None or path.is_file():
        return find(name, weights)
    if not (allow_http or weights.url.startswith("https:")):
        raise ValueError(f"{weights.url}, of {name}, is not https: give an https URL, or set allow_http")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with locked(path):
        if path.is_file():  # another process was faster
            return find(name, weights)
        if weights.non_commercial:
            print(f"{weights.file}: not for commercial use ({weights.licence}; {weights.source})", flush=True)
        try:
            _download(weights, part, progress, retries, backoff_s, timeout_s)
        except (OSError, http.client.HTTPException) as error:
            raise FetchError(
                f"{weights.url}, the weights of {name}, could not be downloaded ({error}): try again later, "
                f"or put the file at {path} by hand"
            ) from None
        sha256 = sha256_of(part)
        if wrong := difference(weights, part.stat().st_size, sha256) or implausible(weights, part):
            _discard(part)
            raise ValueError(
                f"{weights.url}, the weights of {name}, {wrong}: what came is deleted; try again later, or "
                f"put the right file at {path} by hand"
            )
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        _discard(part)
        record(weights, state_of(path), sha256)
    return path


def _download(
    weights: Weights, part: Path, progress: bool, retries: int, backoff_s: float, timeout_s: float
) -> None:
    """Download into `part`, trying again until it is whole or `retries` tries got no further."""
    tries, longest = 0, 0
    while True:
        try:
            return _receive(weights, part, progress, timeout_s)
        except (OSError, http.client.HTTPException) as error:
            size = part.stat().st_size if part.exists() else 0
            tries, longest = (1, size) if size > longest else (tries + 1, longest)
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            status = getattr(error, "code", 500)  # a broken connection is like a broken server
            if status == 416:  # the resource ends before `size`: `part` is no beginning of it
                _discard(part)
            if tries > retries or (status < 500 and status not in (408, 416, 429)):
                raise
        time.sleep(backoff_s * 2 ** (tries - 1))


def _receive(weights: Weights, part: Path, progress: bool, timeout_s: float) -> None:
    """Download into `part`, going on from what it holds if that surely is a beginning of the same thing."""
    from tqdm import tqdm

    about = json.loads(_about(part).read_text()) if part.exists() and _about(part).exists() else {}
    validator = about.get("validator")
    is_safe = validator or weights.sha256  # a mixture of two versions would be noticed
    may_go_on = is_safe and about.get("url") == weights.url
    size = part.stat().st_size if may_go_on else 0
    if size and size == about["n_bytes"]:
        return
    request = urllib.request.Request(weights.url, headers={"User-Agent": f"sss_lib/{__version__}"})
    if size:
        request.add_header("Range", f"bytes={size}-")
        if validator:
            request.add_header("If-Range", validator)
    with urllib.request.build_opener(_Redirect).open(request, timeout=timeout_s) as response:
        found = _validator(response.headers)
        if response.status == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers["Content-Range"] or "")
            n_bytes = int(span[2]) if span else None
            if not size or (span and int(span[1]), n_bytes, found) != (size, about["n_bytes"], validator):
                _discard(part)
                raise ConnectionError("the server went on with something else")
        else:
            size, n_bytes = 0, weights.n_bytes if response.length is None else response.length
            if response.headers.get_content_type() == "text/html":
                raise FetchError("a web page came, not a file")
            if n_bytes is None and weights.sha256 is None:
                raise FetchError("nothing would tell when it is whole: add n_bytes to the catalogue")
            if wrong := difference(weights, n_bytes):
                _discard(part)
                raise ValueError(f"{weights.url} {wrong}: put the right file at {path_of(weights)} by hand")
            part.write_bytes(b"")  # before this: other bytes must never stand beside a new description
            write_json(_about(part), {"url": weights.url, "validator": found, "n_bytes": n_bytes})
        units = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}
        bar = tqdm(desc=weights.file, initial=size, total=n_bytes, disable=not progress, **units)
        with part.open("ab") as file, bar:
            while block := response.read(1 << 16):
                file.write(block)
                bar.update(len(block))
                size += len(block)
    if n_bytes is not None and size < n_bytes:
        raise ConnectionError(f"it ended after {size} of {n_bytes} bytes")


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to anything else."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        """Return the next request."""
        if newurl.partition(":")[0] not in ("https", req.type):
            raise urllib.error.HTTPError(newurl, code, "redirected away from https", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _validator(headers: http.client.HTTPMessage) -> str | None:
    """Return what tells this version of a resource from others: a strong ETag, or when it changed."""
    etag = headers["ETag"] or ""
    return etag if etag.startswith('"') else headers["Last-Modified"]


def _about(part: Path) -> Path:
    """Path of the file that tells what `part` is a part of."""
    return part.with_name(f"{part.name}.json")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _about(part).unlink(missing_ok=True)
