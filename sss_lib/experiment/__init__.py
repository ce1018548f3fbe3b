"""Grids of systems, and what they have scored: all notebooks run under it.

A grid in YAML comes in; executed notebooks and a tree of artefacts go out.

- `grid`: variants and grids; `store`: where each artefact lives.
- `runner`, `tasks`, `notebook`: the notebooks of a grid that are not up to date, run through papermill.
- `results`, `scores`: what has been scored, read back; those of each model's best system.
- `reproduction`: whether a run gives the committed results again, within tolerances.
- `distributed`: searches and scores shared out on a Dask cluster.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "grid": ["NOTEBOOKS", "Grid", "Variant", "read_grid"],
        "results": [
            "class_scores",
            "comparison_artefact",
            "extract_to",
            "failures",
            "index_of",
            "n_clips",
            "n_cores",
            "read_results",
            "read_scores",
            "results_of",
            "scored",
            "system_of",
            "systems",
        ],
        "store": ["Store"],
    },
)
