"""Frame embeddings to clip embeddings: notebook 02.

Frames of many clips come in; one vector a clip goes out, with what was fitted on the way.

- `processing`: aggregate over time, scale, PCA, whiten, L2-normalise.
- `projection`: clips in the plane.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "processing": [
            "AGGREGATIONS",
            "Aggregated",
            "Processing",
            "aggregate",
            "fit",
            "fit_parts",
            "l2_normalize",
            "process",
            "require_finite",
        ],
        "projection": ["project"],
    },
)
