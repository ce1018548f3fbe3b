"""Which audio representation, processed and searched how, finds the sounds that mean the same?

The library behind the numbered notebooks, in the order in which they use it:

- `dataset`: clips, labels and families; load a collection or a subset of it.
- `collections`, `ground_truth`, `taxonomy`: known collections, tables of clips, vocabularies.
- `examination`, `verification`, `overview`: what is in each file, is a copy whole, and what is in it?
- `download`, `archives`: files from the web, resumed and checked; unpacked whole or not at all.
- `audio`: decode a file to one mono waveform at a given rate (`ffmpeg` where it must); cut it into windows.
- `models`: the catalogue of audio representations, and `load(name)` to get one.
- `extraction`: run a model over a dataset: resumable, parallel, failures listed.
- `processes`, `clusters`: on which processes of this machine, or workers of a Dask cluster.
- `artefacts`: where each result lives; made of `parquet` (atomic, self-describing files), `columns` (what
  is in them) and `clip_files` (the JSON of the 2024 study).
- `processing`: frame embeddings to clip embeddings: aggregate, PCA, L2-normalise.
- `search`: clip embeddings to rankings: inner product, cosine, Euclidean distance.
- `methods`: how searches are named; `approximate`: those through structures of faiss.
- `index`: clips that new sounds are ranked against: stored, added to, deleted from.
- `relevance`: which results count for a query, and how much.
- `protocols`: what AP is divided by, and where ranks begin.
- `metrics`: rankings to AP@N, R1 and NDCG@N, and their means by class, family, macro and micro; made of
  `measures` (the formulas), `scoring` (the pass over a ranking) and `queries` (what each query scored).
- `floors`: chance, and the best that the labels allow.
- `ties`: what the order of equal scores could change, and clips that are there twice.
- `statistics`: intervals, paired tests (`paired`), rank stability; `resampling` makes the draws.
- `exchange`: TREC runs and qrels, npz embeddings, so that other tools can check the numbers.
- `tables`, `reports`, `export`, `plots`: scores to readable tables, files and figures.
- `tradeoffs`: what an approximate search saves beside the exact one, and loses.
- `published`, `claims`: the study's numbers and claims, and what is measured here beside them.
- `confusion`, `projection`: what is mistaken for what; clips in the plane.
- `grid`, `experiment`: variants, grids of them in YAML, and the systems that they make.
- `runner`, `notebook`: runs the notebooks of a grid through papermill, those that are not up to date.
- `reproduction`: whether a run gives the committed results again, within tolerances.
- `leaderboard`: every score that was ever computed here, as a table and a page.
- `paper`: builds the paper, the poster and the slides from what a run wrote.
- `listening`: hear what the rankings say: a board of results, blind judging, a map.

Importing `sss_lib` imports none of them: each loads when it is first asked for.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"
__all__ = [
    "approximate",
    "archives",
    "artefacts",
    "audio",
    "claims",
    "clip_files",
    "clusters",
    "collections",
    "columns",
    "confusion",
    "containers",
    "dataset",
    "download",
    "examination",
    "exchange",
    "experiment",
    "export",
    "extraction",
    "ffmpeg",
    "floors",
    "grid",
    "ground_truth",
    "index",
    "leaderboard",
    "listening",
    "measures",
    "methods",
    "metrics",
    "models",
    "notebook",
    "overview",
    "paired",
    "paper",
    "parquet",
    "plots",
    "processes",
    "processing",
    "projection",
    "protocols",
    "published",
    "queries",
    "relevance",
    "reports",
    "reproduction",
    "resampling",
    "runner",
    "scoring",
    "search",
    "split_zip",
    "statistics",
    "tables",
    "taxonomy",
    "ties",
    "tradeoffs",
    "verification",
]


def __getattr__(name: str) -> ModuleType:
    """Import a module of the library when it is first asked for."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"sss_lib has no module {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
