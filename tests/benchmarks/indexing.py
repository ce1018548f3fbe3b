"""How long a folder of many small files takes: to load, to verify, and to extract without the model.

python tests/benchmarks/indexing.py [N_FILES]; 100,000 files of 0.1 s by default, in a temporary folder. In
place of a model each clip gets the same 8 frames of 512 numbers, so that what is timed is planning, writing
the parts, and seeing later that all is there.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parent.parent))

import memory

from sss_lib import dataset, experiment, models
from sss_lib.experiment.store import Store
from sss_lib.extraction import embedding


def main(n_files: int = 100_000) -> None:
    """Print wall and processor time of each step, and the most memory taken so far."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "many"
        (root / "audio").mkdir(parents=True)
        soundfile.write(root / "one.wav", np.random.default_rng(0).uniform(-0.3, 0.3, 2205), 22050)
        content = (root / "one.wav").read_bytes()
        (root / "one.wav").unlink()
        rows = ["fname,labels"]
        for i in range(n_files):
            (root / "audio" / f"{i:06d}.wav").write_bytes(content)
            rows.append(f'{i:06d},"class{i % 50},all"')
        (root / "ground_truth.csv").write_text("\n".join(rows))
        artefact = Store(folder).dataset("many")

        clock = Clock()
        many = dataset.load(root)
        dataset.fingerprint(many)
        clock.tell(f"load {n_files:,} files")
        report = dataset.verify(many)
        clock.tell("verify: hash and decode every one")
        dataset.write(artefact, many, report)
        clock.tell("write the table")

        frames = np.random.default_rng(0).normal(size=(8, 512)).astype(np.float32)

        def without_model(groups, *_):
            clock.tell("read it and plan the extraction, until the first clip")
            for group in groups:
                yield from ((fname, frames) for fname, _ in group)

        many = dataset.read(artefact)
        embedding.embed_all = without_model
        models.register("many", print, rate_hz=22050, dim=512, hop_s=0.5)
        experiment.extract_to(Store(folder), many, "many")
        clock.tell("write the parts")
        experiment.extract_to(Store(folder), many, "many")
        clock.tell("see that all parts are there")
        print(f"{len(list(Store(folder).frames_dir('many', 'many').iterdir())):,} files")


class Clock:
    """Tells the time since it last did."""

    def __init__(self):
        self.wall_s, self.cpu_s = time.monotonic(), time.process_time()

    def tell(self, what: str) -> None:
        """Print it."""
        wall_s, cpu_s = time.monotonic() - self.wall_s, time.process_time() - self.cpu_s
        print(
            f"{what:56}{wall_s:7.1f} s, processor {cpu_s:6.1f} s, {memory.peak_mib():5.0f} MiB so far",
            flush=True,
        )
        self.__init__()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
