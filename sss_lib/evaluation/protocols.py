"""Conventions of AP@N and R1 that studies differ in: what AP is divided by, and where ranks begin.

Two are named, and any other can be put together:

- "standard": AP@N divides by min(N, R), R the relevant clips in the corpus without the query; R1 from 1; a
  query with R = 0 has no answer, and is left out.
- "paper": what the code of Araz et al. 2024 computes (data/paper/README.md). Class-wise AP@N divides by
  min(N, n_c), n_c with the query counted; micro AP@N by N; R1 from 0; a query with R = 0 has AP 0 and no R1,
  so that a class of one clip is 0 in the macro mean.

That code has two states, which score alike and process embeddings differently: `STATES`. "paper" is the one
that the published numbers are from, without unit length before PCA.
"""

from dataclasses import dataclass, replace

import numpy as np

DENOMINATORS = {
    "min(N, R)": lambda n, n_relevant: np.minimum(n, n_relevant),
    "min(N, n_c)": lambda n, n_relevant: np.minimum(n, n_relevant + 1),
    "R": lambda n, n_relevant: n_relevant,
    "N": lambda n, n_relevant: np.full_like(n_relevant, n),
}
"""By how they are written in tables. R: relevant clips without the query; n_c: with it. trec_eval has R."""


@dataclass(frozen=True)
class Protocol:
    """What AP@N is divided by, and the rank of the first result.

    Attributes
    ----------
    name : str
        What tables call it.
    denominator, micro_denominator : str
        A key of `DENOMINATORS`, for queries by class and for those where any shared class counts.
    rank_base : int
        R1 of a query whose first result is relevant: 1 or 0.
    counts_unanswerable : bool
        Whether AP of a query with R = 0 is 0, rather than left out of every mean. Its R1 always is.
    pre_normalize : bool
        Whether embeddings have unit length before PCA (`processing.process`). It changes no score of a
        ranking: it says which variant of a model belongs to the protocol.

    Examples
    --------
    >>> Protocol("trec", denominator="R", micro_denominator="R").rank_base
    1
    """

    name: str
    denominator: str = "min(N, R)"
    micro_denominator: str = "min(N, R)"
    rank_base: int = 1
    counts_unanswerable: bool = False
    pre_normalize: bool = False

    def __post_init__(self) -> None:
        for denominator in (self.denominator, self.micro_denominator):
            if denominator not in DENOMINATORS:
                raise ValueError(
                    f"denominator {denominator!r} of protocol {self.name!r} is unknown: "
                    f"use one of {', '.join(DENOMINATORS)}"
                )
        if self.rank_base not in (0, 1):
            raise ValueError(f"rank_base={self.rank_base} of protocol {self.name!r}: ranks begin at 0 or 1")

    def denominator_of(self, any_class: bool) -> str:
        """Denominator of AP@N for queries by class, or for those where any shared class counts."""
        return self.micro_denominator if any_class else self.denominator

    def needs_all_relevant(self) -> bool:
        """Whether a denominator is R itself, so that counting relevant clips up to N is not enough."""
        return "R" in (self.denominator, self.micro_denominator)


STANDARD = Protocol("standard")
PAPER = Protocol("paper", "min(N, n_c)", "N", rank_base=0, counts_unanswerable=True)
STATES = {"published": PAPER, "newest": replace(PAPER, pre_normalize=True)}
"""States of the study's code: that of the published run, and the newest public one."""
NAMED = {protocol.name: protocol for protocol in (STANDARD, PAPER)}
PROTOCOLS = tuple(NAMED)


def named(protocol: str | Protocol) -> Protocol:
    """Protocol of a name; a Protocol is returned unchanged.

    Examples
    --------
    >>> named("paper").micro_denominator
    'N'
    """
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in NAMED:
        raise ValueError(f"protocol {protocol!r} is unknown: use one of {', '.join(NAMED)}")
    return NAMED[protocol]
