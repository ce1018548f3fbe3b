"""Which audio representation, processed and searched how, finds the sounds that mean the same?

One package a numbered notebook, and three that all share; each package says what is in it.

- `dataset` (00), `extraction` (01), `processing` (02), `search` (03), `evaluation` (04), `figures` (05),
  `listening` (06).
- `io`: files; `models`: audio representations; `experiment`: grids of systems, and where results live.

A sound becomes frame embeddings by `models`, which `extraction` runs, and one vector by `processing`.
Importing `sss_lib` imports none of them: each loads when it is first asked for.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from types import CodeType, ModuleType
from typing import Any

PLACES = {
    "archives": "io.archives",
    "audio": "io.audio",
    "clip_files": "io.given_files",
    "containers": "io.containers",
    "download": "io.download",
    "ffmpeg": "io.ffmpeg",
    "io": "io",
    "parquet": "io.artefact",
    "split_zip": "io.split_zip",
    "collections": "dataset.known",
    "dataset": "dataset",
    "ground_truth": "dataset.ground_truth",
    "overview": "dataset.describe",
    "taxonomy": "dataset.taxonomy",
    "verification": "dataset.verification",
    "models": "models",
    "extraction": "extraction",
    "processing": "processing",
    "projection": "processing.projection",
    "approximate": "search.approximate",
    "index": "search.index",
    "timing": "search.timing",
    "naming": "search.naming",
    "search": "search",
    "similarity": "search.similarity",
    "bounds": "evaluation.bounds",
    "comparisons": "evaluation.comparisons",
    "confusion": "evaluation.confusion",
    "evaluation": "evaluation",
    "examples": "evaluation.examples",
    "intervals": "evaluation.intervals",
    "measures": "evaluation.measures",
    "metrics": "evaluation",
    "paired": "evaluation.paired",
    "protocols": "evaluation.protocols",
    "queries": "evaluation.queries",
    "relevance": "evaluation.relevance",
    "scoring": "evaluation.scoring",
    "statistics": "evaluation",
    "ties": "evaluation.ties",
    "trec": "evaluation.trec",
    "artefacts": "experiment.store",
    "clusters": "experiment.distributed",
    "experiment": "experiment",
    "grid": "experiment.grid",
    "reproduction": "experiment.reproduction",
    "runner": "experiment.runner",
    "claims": "figures.claims",
    "beyond": "figures.beyond",
    "compared": "figures.compared",
    "export": "figures.text",
    "figures": "figures",
    "leaderboard": "figures.leaderboard",
    "paper": "figures.paper",
    "players": "figures.players",
    "plots": "figures.plots",
    "profiles": "figures.profiles",
    "published": "figures.published",
    "tables": "figures.tables",
    "tradeoffs": "figures.tradeoffs",
    "listening": "listening",
}
"""Short names, as in `from sss_lib import metrics`, and the modules that they stand for."""
MOVED = {"models.checkpoint": "models.weights.checkpoint", "models.formats": "models.weights.formats"}
"""Names that modules had, and have still for whoever imports them."""
COMMANDS = {"leaderboard": "leaderboard", "verification": "verify"}
"""Those that `python -m` runs, as in `python -m sss_lib.verification FOLDER`, and their commands."""
__all__ = sorted(PLACES)


def __getattr__(name: str) -> ModuleType | str:
    """Import what a short name stands for when it is first asked for."""
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("semantic-sound-similarity")
    if name in PLACES:
        return importlib.import_module(f"{__name__}.{PLACES[name]}")
    raise AttributeError(f"sss_lib has no module {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


class _ShortNames(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `import sss_lib.metrics` where `from sss_lib import metrics` does."""

    def find_spec(self, name: str, *about: Any) -> importlib.machinery.ModuleSpec | None:
        short = name.removeprefix(f"{__name__}.")
        place = (PLACES | MOVED).get(short, short)
        return importlib.machinery.ModuleSpec(name, self, origin=place) if place != short else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"{__name__}.{spec.origin}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own place back: it has run already."""
        if module.__spec__:
            module.__spec__ = module.__spec__.loader_state

    def get_code(self, name: str) -> CodeType:
        """Code of `python -m`."""
        command = COMMANDS.get(name.rpartition(".")[2])
        if not command:
            raise ImportError("no command: python -m sss_lib --help lists them")
        text = f"import sys\nfrom sss_lib.__main__ import main\nsys.exit(main([{command!r}, *sys.argv[1:]]))"
        return compile(text, name, "exec")


sys.meta_path.append(_ShortNames())
