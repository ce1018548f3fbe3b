"""Clip embeddings to rankings: notebook 03.

A matrix of embeddings and the name of a search come in; a `Ranking` goes out.

- `rank`: by whichever search is named; `ranking`: what each of them gives.
- `whole_numbers`, `corpus`, `similarity`, `exact`, `device`: all clips compared, without rounding.
- `naming`: how searches are named; `approximate`: those through structures of faiss.
- `given`: rankings that others have computed; `adjusted`: cosines adjusted by neighbours, against hubs.
- `fusion`: several rankings as one; `frames`: clips compared frame by frame.
- `feedback`: a query refined by marks of a listener.
- `index`: clips that new sounds are ranked against: stored, added to, deleted from; `timing`: what it takes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "exact": ["best", "rank_outside", "top"],
        "feedback": ["refine"],
        "frames": ["rank_frames"],
        "fusion": ["fuse"],
        "index": ["Index"],
        "rank": ["rank"],
        "ranking": ["Ranking", "blocks", "in_threads", "query_rows"],
        "naming": ["SEARCHES", "require_known_search"],
        "similarity": ["Similarities"],
    },
)
