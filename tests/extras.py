"""Does each extra install by itself into a fresh environment, and does its part work there?

    python tests/extras.py             every extra of pyproject.toml, and none
    python tests/extras.py none torch  these, and no extra

Takes minutes and gigabytes, and needs a package index: no part of the tests that pytest runs. An environment
is removed when its checks are done.
"""

import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
EVALUATE = """
from sss_lib import dataset, metrics, models, processing, tables, audio
import numpy as np
sounds = dataset.load("mini")
model = models.load("duration")
x = np.stack([model(audio.decode(path, model.spec.rate_hz))[0] for path in sounds.clips["path"]])
scores = metrics.evaluate(x, sounds.label_matrix, sounds.labels, sounds.families)
print("evaluates", len(sounds), "clips")
"""
EMBED = """
import sys, numpy as np
from sss_lib import models
wave = np.sin(np.arange(3 * 44100) / 9).astype("float32")
print("embeds as", models.load(sys.argv[1])(wave).shape)
"""
CLUSTER = """
from sss_lib import clusters
if __name__ == "__main__":
    with clusters.connect("local", n_workers=1) as client:
        print("a worker adds", client.submit(sum, [1, 2]).result())
"""
SCALE = f"""
import numpy as np
from sss_lib import search
x = np.eye(300, 16, dtype="float32") + 1
print("faiss ranks", search.rank(x, "nns-SQfp16", 5).neighbours.shape)
{CLUSTER}
"""
PARTS = {
    "torch": ["-c", EMBED, "aisfx"],
    "essentia": ["-c", EMBED, "msd-musicnn"],
    "birdnet": ["-c", "import ai_edge_litert.interpreter; print('has its interpreter')"],
    "listen": ["-c", "import voila; from sss_lib.listening import board; print('has its board')"],
    "paper": ["-m", "sss_lib", "paper", "slides", "--out", "{folder}"],
    "scale": ["-c", SCALE],
    "dev": ["-m", "pytest", "-q", "tests/evaluation/test_metrics.py", "-p", "no:cacheprovider"],
}
"""What shows that an extra's part works: arguments of the environment's python."""
WITHOUT = {
    "torch": PARTS["torch"],
    "essentia": PARTS["essentia"],
    "paper": PARTS["paper"],
    "listen": ["-m", "sss_lib", "listen"],
    "birdnet": ["-c", EMBED, "birdnet"],
    "scale": ["-c", CLUSTER],
}
"""What asks for an extra that isn't there, and is to name it."""


def parts_of(extra: str, extras: dict[str, list[str]]) -> list[str]:
    """Extras that an extra consists of: itself, or those that it names."""
    (first, *_) = extras.get(extra) or [""]
    return first.partition("[")[2].rstrip("]").split(",") if first.startswith("semantic-") else [extra]


def checked(extra: str, extras: dict[str, list[str]]) -> list[str]:
    """What went wrong with an extra in an environment of its own."""
    with tempfile.TemporaryDirectory(prefix=f"extra-{extra or 'none'}-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        begin = time.monotonic()
        project = f".[{extra}]" if extra else "."
        install = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--editable",
            project,
        ]
        done = subprocess.run(install, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            return [f"does not install: {done.stderr.strip()[-800:]}"]
        print(f"{extra or 'no extra'}: installed in {time.monotonic() - begin:.0f} s", flush=True)
        wrong, have = [], parts_of(extra, extras)
        asked = [(f"its part {part}", PARTS[part], "") for part in have if part in PARTS]
        asked += [
            (f"without {one}", way, f"pip install -e .[{one}]")
            for one, way in WITHOUT.items()
            if one not in have
        ]
        for about, arguments, expected in [("the core", ["-c", EVALUATE], ""), *asked]:
            words = [word.replace("{folder}", folder) for word in arguments]
            done = subprocess.run([python, *words], cwd=ROOT, capture_output=True, text=True, check=False)
            said = (done.stdout + done.stderr).strip()
            if (expected not in said) if expected else done.returncode:
                wrong.append(f"{about}: {said[-800:]}")
            else:
                print(f"  {about}: {said.splitlines()[-1][:150] if said else 'ok'}", flush=True)
        return wrong


def main(names: list[str]) -> int:
    """Check the extras named, or all; return the exit code."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    unknown = set(names) - {"none", *extras}
    if unknown:
        print(
            f"error: no extra is called {', '.join(sorted(unknown))}: there are {', '.join(extras)}",
            file=sys.stderr,
        )
        return 2
    failed = 0
    for extra in [name if name != "none" else "" for name in names] or ["", *extras]:
        for problem in checked(extra, extras):
            print(f"{extra or 'no extra'} FAILED, {problem}", file=sys.stderr, flush=True)
            failed += 1
    print(f"{failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
