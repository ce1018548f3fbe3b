"""Which audio representation, processed and searched how, finds the sounds that mean the same?

The library behind the numbered notebooks, in the order in which they use it:

- `dataset`: clips, labels and families; load and verify a collection.
- `audio`: decode a file to one mono waveform at a given rate; cut it into windows.
- `models`: the catalogue of audio representations, and `load(name)` to get one.
- `extraction`: run a model over a dataset: resumable, parallel, failures listed.
- `artefacts`: where each result lives; atomic, self-describing reading and writing.
- `processing`: frame embeddings to clip embeddings: aggregate, PCA, L2-normalise.
- `search`: clip embeddings to rankings: inner product, cosine, Euclidean distance.
- `relevance`: which results count for a query.
- `metrics`: rankings to AP@N and R1, and their means by class, family, macro and micro.
- `statistics`: bootstrap confidence intervals.
- `tables`, `plots`: scores to readable tables and figures.
- `experiment`: variants, and grids of them in YAML.
- `listening`: hear what the rankings say: a board of results, blind judging, a map.
- `runner`: runs the notebooks of a grid through papermill, those that are not up to date.

Importing `sss_lib` imports none of them: each loads when it is first asked for.
"""

import importlib

__version__ = "0.1.0"
__all__ = [
    "artefacts",
    "audio",
    "dataset",
    "experiment",
    "extraction",
    "listening",
    "metrics",
    "models",
    "plots",
    "processing",
    "relevance",
    "runner",
    "search",
    "statistics",
    "tables",
]


def __getattr__(name: str):
    """Import a module of the library when it is first asked for."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"sss_lib has no module {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
