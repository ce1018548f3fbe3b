"""Serve a listening study as a page of its own: `python -m sss_lib judge`, which `make judge` runs.

No kernel and no notebook: the page posts JSON, and gets JSON and sounds by their number in the current trial.
"""

import asyncio
import hmac
import json
import secrets
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tornado.httpserver
import tornado.web
from tornado.routing import Rule

from sss_lib.experiment.store import Store
from sss_lib.io.audio import AudioError
from sss_lib.listening.answers import Answers
from sss_lib.listening.guards import Refusal, Unwanted
from sss_lib.listening.protocol import Planner, described
from sss_lib.listening.serve import address_of, is_loopback, url_of
from sss_lib.listening.sitting import Sitting, StaleError
from sss_lib.listening.sounds import Sounds
from sss_lib.listening.study import Study
from sss_lib.listening.study_file import StudyFile

PAGE = Path(__file__).parent / "page"
FILES = {"judge.js": "text/javascript", "judge.css": "text/css"}
"""Files of the page beside judge.html; no other can be asked for."""
MOST_BYTES = 1 << 16
"""Of a post."""
PER_S, AT_ONCE = 20.0, 200.0
"""Posts of one address: so many a second in the long run, and at once."""
SLOW_S = 20
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Of codes: none that is read as another."""
SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def answers_path(store: Store, name: str) -> Path:
    """File of a study's answers."""
    return store.judgements(f"study-{name}")


class Judged:
    """A study that is under way: its answers, its sounds, and how often each address posts.

    Parameters
    ----------
    answers : Answers
    sounds : Sounds
    row_of : dict of str to int
        Row of each clip.
    token : str
        That visitors are asked for; "" for none.
    """

    def __init__(self, answers: Answers, sounds: Sounds, row_of: dict[str, int], token: str = ""):
        self.answers, self.sounds, self.row_of, self.token = answers, sounds, row_of, token
        self._left: dict[str, tuple[float, float]] = {}

    def may_post(self, address: str) -> bool:
        """Count a post of an address; whether it is one of not too many."""
        now = time.monotonic()
        left, last = self._left.get(address, (AT_ONCE, now))
        left = min(AT_ONCE, left + PER_S * (now - last)) - 1
        if len(self._left) > 10_000:
            self._left.clear()
        self._left[address] = max(left, -1), now
        return left >= 0

    def welcome(self, message: dict) -> dict[str, Any]:
        """Texts of the first screen, which nobody's code is needed for."""
        words = self.answers.file.words
        return {
            "screen": "welcome",
            "stage": "",
            **{key: words[key] for key in ("title", "welcome", "consent")},
        }

    def begin(self, message: dict) -> dict[str, Any]:
        """Let a judge begin, who has consented."""
        if message.get("consents") is not True:
            raise ValueError("consent is missing: tick it first")
        if len(self.answers.judges()) >= self.answers.file.judges:
            raise ValueError("the study has as many judges as it takes: thank you all the same")
        code = "".join(secrets.choice(LETTERS) for _ in range(8))
        self.answers.append("begin", code, consents=True)
        return self.sitting(code).view()

    def sitting(self, code: object) -> Sitting:
        """Return the sitting of a code, as typed. Raises LookupError if nobody has it."""
        known = code.strip().upper().replace("-", "") if isinstance(code, str) else ""
        if len(known) != 8 or known not in self.answers.judges():
            raise LookupError("nobody has this code: check it, or begin without one")
        return Sitting(self.answers, known)

    def state(self, message: dict) -> dict[str, Any]:
        """What a judge sees next."""
        return self.sitting(message.get("code")).view()

    def answer(self, message: dict) -> dict[str, Any]:
        """Keep an answer; what the judge sees next."""
        found = self.sitting(message.get("code")).answer(message)
        return {**found, **self.state(message)}

    def withdraw(self, message: dict) -> dict[str, Any]:
        """Leave a judge's answers out of everything from now on."""
        sitting = self.sitting(message.get("code"))
        if sitting.stage != "withdrawn":
            self.answers.append("withdraw", sitting.judge)
        return self.state(message)

    def sound(self, message: dict) -> int:
        """Row of a sound of the current stage, by its number on the page."""
        sitting, number = self.sitting(message.get("code")), message.get("sound")
        if message.get("stage") != sitting.stage:
            raise StaleError(f"the sounds of {sitting.stage} are to be heard")
        clips = sitting.clips(sitting.stage)
        if type(number) is not int or number not in range(len(clips)):
            raise ValueError(f"sound {number!r:.20} is none of the {len(clips)} of this stage")
        return self.row_of[clips[number]]


class Handler(tornado.web.RequestHandler):
    """What all answers of the server have in common."""

    def initialize(self, judged: Judged) -> None:
        """Take what the server knows."""
        self.judged = judged

    def set_default_headers(self) -> None:
        """Set what keeps a page from doing more than it should."""
        for name, value in SAFE.items():
            self.set_header(name, value)
        self.clear_header("Server")

    def say(self, status: int, problem: str, **about: object) -> None:
        """End with a problem in plain words."""
        self.set_status(status)
        self.finish({"problem": problem, **about})

    def has_token(self, given: str) -> bool:
        """Whether a token is the one that is asked for, or none is."""
        token = self.judged.token
        return not token or hmac.compare_digest(given.encode(), token.encode())


class File(Handler):
    """The page, and its script and style."""

    def get(self, name: str = "") -> None:
        """Send one of them; the page itself to those with the token only."""
        if not name and not self.has_token(self.get_query_argument("token", "")):
            self.set_status(403)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish("This page needs the whole link that you were given, with its token.")
            return
        self.set_header("Content-Type", f"{FILES.get(name, 'text/html')}; charset=utf-8")
        self.finish((PAGE / (name if name in FILES else "judge.html")).read_bytes())


class Post(Handler):
    """A question or an answer of the page."""

    async def post(self, what: str) -> None:
        """Answer it."""
        if not self.has_token(self.request.headers.get("X-Token", "")):
            return self.say(403, "this page needs the whole link that you were given, with its token")
        # A form of another site can't have this type.
        if self.request.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            return self.say(415, "posts are JSON")
        if not self.judged.may_post(self.request.remote_ip or ""):
            self.set_header("Retry-After", "2")
            return self.say(429, "too many requests: wait a moment")
        try:
            message = json.loads(self.request.body, parse_constant=_refuse)
            if not isinstance(message, dict):
                raise ValueError("a post is a mapping")
        except (ValueError, RecursionError):
            return self.say(400, "the post is no JSON mapping")
        call: Callable[[dict], Any] = getattr(self.judged, what)
        try:
            found = call(message)
            if what == "sound":  # decoding takes its time
                loop = asyncio.get_running_loop()
                found = await loop.run_in_executor(None, self.judged.sounds.matched, found)
                self.set_header("Content-Type", "audio/flac")
            self.finish(found)
        except AudioError:  # its words name a file
            self.say(500, "this sound can't be played: tell those who invited you")
        except LookupError as error:
            self.say(404, str(error))
        except StaleError as error:
            self.say(409, str(error))
        except ValueError as error:
            self.say(400, str(error))
        except OSError as error:
            self.say(503, str(error))
        return None


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number")


def application(judged: Judged, *, is_local: bool) -> tornado.web.Application:
    """Return the server's answers to all requests."""
    about = {"judged": judged}
    posts = "welcome|begin|state|answer|withdraw|sound"
    return tornado.web.Application(
        [
            Rule(Unwanted(is_local=is_local), Refusal),
            (r"/", File, about),
            (f"/({'|'.join(FILES)})", File, about),
            (f"/({posts})", Post, about),
        ],
        compress_response=False,
    )


def prepare(file: StudyFile, store: Store) -> tuple[Answers, Study]:
    """Begin or go on with a study: its answers, whose file has its plan, and its collection."""
    study, answers = Study(store, file.collection), Answers(answers_path(store, file.name))
    answers.start(file, None if answers.plan else Planner(study, file).plan())
    for clip in answers.plan["seconds"]:
        study.row(clip)  # the collection may have lost it
    return answers, study


def serve(file: StudyFile, data_dir: Path, host: str, port: int, *, browser: bool = True) -> None:
    """Serve a study until stopped.

    Parameters
    ----------
    file : StudyFile
    data_dir : Path
    host : str
        See `serve.address_of`. Whoever comes from another machine is asked for a token, which is printed.
    port : int
    browser : bool
        Whether a browser is opened.

    Raises
    ------
    ValueError
        If the collection has no rankings, or the study changed after judging began.
    """
    address = address_of(host)
    if not 0 < port < 65536:
        raise ValueError(f"port {port} is none: give one from 1 to 65535")
    store = Store(data_dir)
    answers, study = prepare(file, store)
    token = "" if is_loopback(address) else secrets.token_urlsafe(24)
    judged = Judged(answers, study.sounds, study.row_of, token)
    print(described(answers.plan, file))
    print(f"answers go to {answers.path}; {len(answers.judges())} judges have begun")
    url = url_of(address, port, token)
    if token:
        print(f"OPEN to every machine that reaches {address}, with the token in this link")
    asyncio.run(_serve(application(judged, is_local=not token), address, port, url, browser and not token))


async def _serve(app: tornado.web.Application, address: str, port: int, url: str, browser: bool) -> None:
    limits = {"max_body_size": MOST_BYTES, "max_buffer_size": 4 * MOST_BYTES, "max_header_size": MOST_BYTES}
    server = tornado.httpserver.HTTPServer(app, idle_connection_timeout=SLOW_S, body_timeout=SLOW_S, **limits)
    server.listen(port, address)
    print(f"{url}\nstop with control-C", flush=True)
    if browser:
        webbrowser.open(url)
    await asyncio.Event().wait()
