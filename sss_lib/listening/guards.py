"""Requests that no page of this project answers, whoever serves it."""

import urllib.parse

import tornado.web
from tornado.httputil import HTTPServerRequest, split_host_and_port
from tornado.routing import Matcher

from sss_lib.listening.serve import is_loopback


class Unwanted(Matcher):
    """Requests that are refused before any handler sees them.

    Parameters
    ----------
    is_local : bool
        Whether the page is served to this machine alone: it is asked for by this machine's names then. A page
        elsewhere could else reach it through a name of its own that leads here (DNS rebinding).
    """

    def __init__(self, *, is_local: bool):
        self.is_local = is_local

    def match(self, request: HTTPServerRequest) -> dict | None:
        """Arguments of the handler that refuses, or None."""
        reason = self.reason(request)
        return {"path_kwargs": {"reason": reason}} if reason else None

    def reason(self, request: HTTPServerRequest) -> str:
        """Why a request is refused; empty if it isn't."""
        headers = request.headers
        if ".." in urllib.parse.unquote(request.path).split("/"):
            return "this path leads out of the page"
        host = split_host_and_port(headers.get("Host", "").lower())[0].strip("[]")
        if self.is_local and host != "localhost" and not is_loopback(host):
            return f"this page is not served as {host!r}"
        origin = headers.get("Origin")
        if origin is not None and origin.lower().partition("://")[2] != headers.get("Host", "").lower():
            return "another site asks"
        site, mode, target, user = (
            headers.get(f"Sec-Fetch-{name}") for name in ("Site", "Mode", "Dest", "User")
        )
        is_link = (mode, target, user) == ("navigate", "document", "?1")  # that somebody has clicked on
        return "another site asks" if site in ("cross-site", "same-site") and not is_link else ""


class Refusal(tornado.web.RequestHandler):
    """Answer to an unwanted request."""

    def prepare(self) -> None:
        """Answer 403 before any method of the request runs."""
        self.set_status(403)
        self.finish(f"Refused: {self.path_kwargs['reason']}.")
