"""Rankings to scores: notebook 04.

Rankings or embeddings, and labels, come in; tables of AP@N, R1 and NDCG@N go out, with intervals.

- `relevance`, `counts`: what counts for a query, and how often; `protocols`: what AP is divided by.
- `measures`: the formulas of AP@N, R1 and NDCG@N; a new one is a function in a file beside it.
- `scoring`: what every query scores; `hits`: which of its results are relevant; `first_ranks`: R1 where no
  stored result is.
- `queries`: records of what each query scored; `summary`: their means by class, family, macro and micro.
- `bounds`: chance, and the upper bound that labels allow.
- `assessment`: the scores of one system by every rule and protocol; `examples`: one query to look at.
- `resampling`: queries drawn anew; `intervals`: bootstrap intervals of a system's scores; `paired`: tests of
  two systems on the same queries; `comparisons`: differences, losses, rank stability and agreement.
- `ties`, `confusion`: what equal scores could change, near duplicates; which classes are taken for which.
- `words`: class names and captions search, for models that embed words.
- `learning`: heads trained on labels, weights of fusions, marks that refine a query; `contrastive`: a head by
  metric learning; `ways`: these beside plain cosines; `across`: one collection asks another;
  `perturbation`: changed sounds.
- `trec`: runs and qrels for other tools.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "measures": ["average_precision", "first_relevant_rank", "ndcg"],
        "protocols": ["PROTOCOLS"],
        "queries": ["PerQuery", "queries_table", "read_queries"],
        "scoring": ["per_query"],
        "summary": ["evaluate", "summarise"],
        "intervals": ["bootstrap_intervals"],
        "paired": ["holm", "paired_bootstrap", "paired_permutation"],
        "comparisons": ["compare", "rank_agreement", "rank_stability"],
    },
)
