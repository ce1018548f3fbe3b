"""A collection of made-up tones with two systems, one good and one bad, for listening studies."""

import asyncio
import contextlib
import socket
import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import scipy.sparse
import soundfile
import tornado.httpserver

from sss_lib.listening import judge
from sss_lib.listening.sounds import Sounds
from sss_lib.listening.study_file import of_dict

RATE_HZ = 16000
CLASSES = ("Bell", "Cat", "Dog", "Rain", "Sea")
FAMILIES = {"Bell": "Things", "Cat": "Animals", "Dog": "Animals", "Rain": "Nature", "Sea": "Nature"}
GOOD, BAD = "good/nns", "bad/nns"
N_CLIPS, N_UPLOADERS = 60, 6


class MadeStudy:
    """As `Study`, without files of rankings. The class of clip i is i mod 5, its uploader i // 10."""

    def __init__(self, folder, *, n_clips=N_CLIPS):
        rng = np.random.default_rng(0)
        paths = [folder / f"secret-{CLASSES[i % 5]}-{i}.wav" for i in range(n_clips)]
        for i, path in enumerate(paths):
            time_s = np.arange(int((0.15 + 0.01 * i) * RATE_HZ)) / RATE_HZ
            soundfile.write(path, 0.3 * np.sin(2 * np.pi * (300 + 20 * i) * time_s), RATE_HZ)
        of_class = np.arange(n_clips) % 5
        clips = {"fname": [path.stem for path in paths], "path": paths}
        clips["uploader"] = [f"uploader-{i * N_UPLOADERS // n_clips}" for i in range(n_clips)]
        self.collection = SimpleNamespace(
            clips=pd.DataFrame(clips),
            labels=list(CLASSES),
            families=FAMILIES,
            label_matrix=scipy.sparse.csr_array(of_class[:, None] == np.arange(5)),
        )
        self.sounds = Sounds(paths)
        self.row_of = {fname: row for row, fname in enumerate(clips["fname"])}
        noise = {
            GOOD: 0.6 * rng.normal(size=(n_clips, n_clips)),
            BAD: 9 * rng.normal(size=(n_clips, n_clips)),
        }
        alike = of_class[:, None] == of_class
        self.orders = {name: np.argsort(one - alike, axis=1, kind="stable") for name, one in noise.items()}

    def system(self, name):
        return SimpleNamespace(name=name, top_n=50)

    def rows(self, system):
        return np.arange(len(self.row_of))

    def results(self, system, row, n):
        return [(int(one), 0.0) for one in self.orders[system.name][row] if one != row][:n]


def study_file(**about):
    """Study of the collection, short enough for tests."""
    given = {"collection": "made", "systems": [GOOD, BAD], "queries": 6, "results": 2, "training": 1}
    given |= {"questions": ["grade", "prefer"], "heard_s": 0.3, "headphones": "no"}
    return of_dict({**given, **about}, "made.yaml")


@contextlib.contextmanager
def served(judged, *, is_local=True):
    """Port of a server in a thread of its own."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    found = {}

    async def serve():
        server = tornado.httpserver.HTTPServer(
            judge.application(judged, is_local=is_local), max_body_size=judge.MOST_BYTES
        )
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            found["port"] = one.getsockname()[1]
        server.listen(found["port"], "127.0.0.1")
        found["end"] = asyncio.Event()
        ready.set()
        await found["end"].wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(30)
    try:
        yield found["port"]
    finally:
        loop.call_soon_threadsafe(found["end"].set)
        thread.join(30)
        loop.close()
