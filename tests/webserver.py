"""A web server at 127.0.0.1 that breaks off, lies and refuses as a test tells it to."""

import http.server
import re
import threading
import time

import numpy as np

BLOCK = 1 << 16  # what the library reads at once: what came before a break is known to the byte
CONTENT = b"\x80" + np.random.default_rng(0).bytes(4 * BLOCK - 1)  # begins as a pickle does
OTHER = b"\x80" + np.random.default_rng(1).bytes(4 * BLOCK - 1)


class Site:
    """A server of one resource, or of `files` by name, good unless told otherwise.

    `requests` is what it was asked, `asked_for` the names, `served` how many bytes it gave.
    """

    def __init__(self):
        self.content, self.etag, self.modified = CONTENT, '"one"', None
        self.files = None  # Path of a folder whose files it serves, in place of the content
        self.ranges = True  # heeds Range
        self.if_range = True  # heeds If-Range
        self.statuses = []  # of the next answers, if not the good one
        self.breaks = []  # after how many bytes the next answers break off
        self.breaks_always = None
        self.headers = {}  # in place of its own; None leaves one out
        self.holding = None  # an Event that it waits for before each answer's last byte
        self.trickle_s = 0  # pause after each byte
        self.requests, self.asked_for, self.served = [], [], []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.answer(self)

            def do_HEAD(self):
                content = site.content_of(self)
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):  # a client that is killed is no news
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/x.pt"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        if self.holding:
            self.holding.set()
        self.server.shutdown()
        self.server.server_close()

    def content_of(self, handler):
        """What is at the path asked for, or None."""
        if self.files is None:
            return self.content
        path = self.files / handler.path.partition("?")[0].rpartition("/")[2]
        return path.read_bytes() if path.is_file() else None

    def answer(self, handler):
        content = self.content_of(handler)
        asked = {key: handler.headers[key] for key in ("Range", "If-Range") if handler.headers[key]}
        self.requests.append(asked)
        self.asked_for.append(handler.path.rpartition("/")[2])
        status, start, body = (200, 0, content) if content is not None else (404, 0, b"<p>no such file</p>")
        unchanged = asked.get("If-Range") in (None, self.etag, self.modified) or not self.if_range
        if self.ranges and "Range" in asked and unchanged and content is not None:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked["Range"])[1])
            status, body = (206, body[start:]) if start < len(body) else (416, b"")
        if self.statuses:
            status, body = self.statuses.pop(0), b"<p>no</p>"
        headers = {"Content-Length": str(len(body)), "ETag": self.etag, "Last-Modified": self.modified}
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        n = self.breaks.pop(0) if self.breaks else self.breaks_always
        body = body if n is None else body[:n]
        self.served.append(len(body))  # before a client has what it asked for, and asks for more
        handler.send_response(status)
        for key, value in (headers | self.headers).items():
            if value is not None:
                handler.send_header(key, value)
        handler.end_headers()
        for i in range(len(body) if self.trickle_s else 0):
            handler.wfile.write(body[i : i + 1])
            time.sleep(self.trickle_s)
        handler.wfile.write(body[:-1])
        if self.holding:
            self.holding.wait(10)
        handler.wfile.write(body[-1:])
