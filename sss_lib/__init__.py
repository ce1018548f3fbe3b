"""Which audio representation, processed and searched how, finds the sounds that mean the same?

One package a numbered notebook, and three that all share; each package says what is in it.

- `dataset` (00), `extraction` (01), `processing` (02), `search` (03), `evaluation` (04), `figures` (05),
  `listening` (06).
- `io`: files; `models`: audio representations; `experiment`: grids of systems, and where results live.

Importing `sss_lib` imports none of them: each loads when it is first asked for.
"""

import importlib
from types import ModuleType

PLACES = {
    "archives": "io.archives",
    "audio": "io.audio",
    "clip_files": "io.study_json",
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
    "compared": "figures.compared",
    "export": "figures.text",
    "figures": "figures",
    "leaderboard": "figures.leaderboard",
    "paper": "figures.paper",
    "plots": "figures.plots",
    "profiles": "figures.profiles",
    "published": "figures.published",
    "tables": "figures.tables",
    "tradeoffs": "figures.tradeoffs",
    "listening": "listening",
}
"""Short names, as in `from sss_lib import metrics`, and the modules that they stand for."""
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
