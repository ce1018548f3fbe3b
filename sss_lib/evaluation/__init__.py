"""Rankings to scores: notebook 04.

Rankings or embeddings, and labels, come in; tables of AP@N, R1 and NDCG@N go out, with intervals.

- `relevance`, `protocols`: what counts for a query; what AP is divided by, and where ranks begin.
- `measures`, `scoring`, `queries`: the formulas, the pass over a ranking, what each query scored.
- `summary`: means by class, family, macro and micro; `bounds`: chance, and the best that labels allow.
- `resampling`, `statistics`, `paired`: draws, intervals and rank stability, tests of two systems.
- `ties`, `confusion`: what equal scores could change; what is mistaken for what.
- `trec`: runs and qrels for other tools.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "measures": ["average_precision", "first_relevant_rank", "ndcg"],
        "scoring": ["per_query"],
        "summary": ["evaluate", "summarise"],
        "paired": ["paired_bootstrap"],
    },
)
