"""What the answers of a listening study say, with intervals over judges and queries.

Judges and queries are samples: other judges would answer otherwise, and other queries have other results.
Forty answers of one judge are no forty judges, so that both are resampled, each as a whole.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sss_lib.io.csv_text import csv_text
from sss_lib.io.writing import replacing
from sss_lib.listening.answers import Answers
from sss_lib.listening.judgement_statistics import krippendorff_alpha
from sss_lib.listening.protocol import LABELS, RANDOM
from sss_lib.listening.quality import is_between, is_of, quality
from sss_lib.listening.study_file import GRADE, PREFER

N_DRAWS = 2000
Statistic = Callable[[np.ndarray, np.ndarray], float]
"""A number from how often each judge, and each query, was drawn."""


def interval(
    statistic: Statistic,
    n_judges: int,
    n_queries: int,
    *,
    bounds: tuple[float, float],
    confidence: float = 0.95,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Estimate with an interval, by a bootstrap over judges and queries.

    Judges are drawn with replacement, each with all of his answers, while the queries stay; then queries are,
    each with all of its answers. With v the variance of the draws of n judges (or queries) times n / (n - 1),
    the interval is the estimate +- t sqrt(v_judges + v_queries), and t a quantile of Student's t with

        (v_judges + v_queries)^2 / (v_judges^2 / (n_judges - 1) + v_queries^2 / (n_queries - 1))

    degrees of freedom (Satterthwaite). The noise of single answers is in both variances, so that the interval
    is rather too wide. Percentiles of the draws would be too narrow for a handful of judges.

    Parameters
    ----------
    statistic : callable
    n_judges, n_queries : int
    bounds : (float, float)
        What the statistic can't go beyond.
    confidence : float
    n_draws, seed : int

    Returns
    -------
    (float, float, float)
        The estimate, and the interval's ends: nan with fewer than two judges or queries, or where every
        answer is the same.

    References
    ----------
    Owen (2007), The pigeonhole bootstrap, Annals of Applied Statistics 1(2), on means over rows and columns.
    """
    from scipy.stats import t

    sizes = np.array([n_judges, n_queries])
    every_judge, every_query = np.ones(n_judges), np.ones(n_queries)
    estimate = statistic(every_judge, every_query)
    if sizes.min() < 2 or not np.isfinite(estimate):
        return estimate, np.nan, np.nan
    rng = np.random.default_rng(seed)
    judges, queries = (rng.multinomial(n, np.full(n, 1 / n), n_draws) for n in sizes)
    draws = [statistic(one, every_query) for one in judges], [statistic(every_judge, one) for one in queries]
    variances = np.nanvar(draws, axis=1) * sizes / (sizes - 1)
    if not variances.any():  # all agree in all, of which there may be many more judges and queries
        return estimate, np.nan, np.nan
    freedom = variances.sum() ** 2 / (variances**2 / (sizes - 1)).sum()
    half = float(np.sqrt(variances.sum()) * t.ppf((1 + confidence) / 2, freedom))
    return estimate, max(bounds[0], estimate - half), min(bounds[1], estimate + half)


def matrix(values: pd.DataFrame, judges: list[str], queries: list[str]) -> np.ndarray:
    """Mean value of each judge and query: float [n_judges, n_queries], nan where there is none."""
    wide = values.pivot_table(index="judge", columns="query", values="value", aggfunc="mean")
    return wide.reindex(index=judges, columns=queries).to_numpy(float)


def mean_of_queries(cells: np.ndarray) -> Statistic:
    """Return the mean over queries of the mean over judges, from `matrix`."""
    is_answered, filled = np.isfinite(cells), np.nan_to_num(cells)

    def statistic(judges: np.ndarray, queries: np.ndarray) -> float:
        n_answers = judges @ is_answered
        has = (n_answers > 0) & (queries > 0)
        if not has.any():
            return np.nan
        return float(np.average((judges @ filled)[has] / n_answers[has], weights=queries[has]))

    return statistic


@dataclass
class Report:
    """Results of a study.

    Attributes
    ----------
    table : pd.DataFrame
        measure, of, value, ci_low, ci_high, n_judges, n_queries.
    judges : pd.DataFrame
        From `quality`.
    said : list of (str, str)
        The same in words, for a notebook or a paper: sentences, each after its measure; "study" is the first.
    """

    table: pd.DataFrame
    judges: pd.DataFrame
    said: list[tuple[str, str]]

    @property
    def sentences(self) -> list[str]:
        """The sentences alone."""
        return [sentence for _, sentence in self.said]

    def write(self, path: str | Path) -> None:
        """Write the sentences as CSV, which the paper reads."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(csv_text([("measure", "sentence"), *self.said]).encode())

    def __str__(self) -> str:
        shown = self.table.to_string(index=False, float_format=lambda x: f"{x:.3f}")
        return "\n".join([shown, "", self.judges.to_string(index=False), "", *self.sentences])


def report(answers: Answers, *, n_draws: int = N_DRAWS, seed: int = 0) -> Report:
    """Analyse a study: the table and the sentences for notebook 06 and a paper.

    Judges whom the rule of the study file leaves out are left out first. Of trials that came twice the first
    answer counts.

    Parameters
    ----------
    answers : Answers
    n_draws, seed : int
        Of the bootstrap.

    Returns
    -------
    Report
        Its measures: "grade" of each system and anchor; "difference" of two systems' grades; "preferred",
        the share that prefers the first of two lists, a tie being half; "alpha" of each question,
        Krippendorff's; "rho", Spearman's rank correlation over systems and queries of AP, without the query's
        uploader, with mean grades (of a difference of AP with preferences); "repeats" and "anchors", means of
        `quality`.
    """
    checked, table = quality(answers), answers.table()
    left_out = checked[checked["reason"] != ""]
    own = table[~table["is_repeat"] & ~table["judge"].isin(left_out["judge"])]
    study = _Analysis(own, answers.plan["ap"], n_draws, seed)
    systems = list(answers.file.systems)
    rows: list[tuple] = []
    if GRADE in answers.file.questions:
        rows += study.grades([*systems, LABELS, RANDOM], list(itertools.combinations(systems, 2)))
    if PREFER in answers.file.questions:
        rows += study.preferences([*itertools.combinations(systems, 2), (LABELS, RANDOM)])
    kept = checked[checked["reason"] == ""]
    for name in ("repeats", "anchors"):
        rows.append(
            (name, "", *_mean_of_judges(kept[name].dropna().to_numpy()), study.n_judges, len(study.queries))
        )
    columns = ["measure", "of", "value", "ci_low", "ci_high", "n_judges", "n_queries"]
    found = pd.DataFrame(rows, columns=columns)
    return Report(found, checked, _sentences(found, checked, answers, len(own)))


class _Analysis:
    """Answers that count, as matrices of judges and queries."""

    def __init__(self, own: pd.DataFrame, ap: dict[str, dict[str, float]], n_draws: int, seed: int):
        self.own, self.ap = own, ap
        self.judges, self.queries = sorted(set(own["judge"])), sorted(set(own["query"]))
        self.n_judges, self.options = len(self.judges), {"n_draws": n_draws, "seed": seed}

    def _row(
        self, measure: str, of: str, statistic: Statistic, bounds: tuple[float, float], cells: np.ndarray
    ) -> tuple:
        """Row of the table; judges and queries without any such answer are no part of the sample."""
        judged, asked = np.isfinite(cells).any(axis=1), np.isfinite(cells).any(axis=0)

        def of_those(judges: np.ndarray, queries: np.ndarray) -> float:
            every_judge, every_query = np.zeros(len(judged)), np.zeros(len(asked))
            every_judge[judged], every_query[asked] = judges, queries
            return statistic(every_judge, every_query)

        n = int(judged.sum()), int(asked.sum())
        value = (np.nan,) * 3 if 0 in n else interval(of_those, *n, bounds=bounds, **self.options)
        return measure, of, *value, *n

    def _cells(self, values: pd.DataFrame) -> np.ndarray:
        return matrix(values, self.judges, self.queries)

    def grades(self, names: list[str], pairs: list[tuple[str, str]]) -> list[tuple]:
        graded = self.own[self.own["question"] == GRADE]
        cells = {name: self._cells(graded[is_of(graded, name)]) for name in names}
        rows = [self._row("grade", name, mean_of_queries(x), (0, 3), x) for name, x in cells.items()]
        for a, b in pairs:
            gap = cells[a] - cells[b]
            rows.append(self._row("difference", f"{a} - {b}", mean_of_queries(gap), (-3, 3), gap))
        rows.append(self._alpha(graded, "ordinal", GRADE))
        xs = {name: x for name, x in cells.items() if name not in (LABELS, RANDOM)}
        ap = {name: np.array([self.ap.get(q, {}).get(name, np.nan) for q in self.queries]) for name in xs}
        rows.append(self._rho(xs, ap, GRADE))
        return rows

    def preferences(self, pairs: list[tuple[str, str]]) -> list[tuple]:
        preferred = self.own[self.own["question"] == PREFER]
        cells = {pair: self._cells(preferred[is_between(preferred, pair)]) for pair in pairs}
        rows = [
            self._row("preferred", " over ".join(p), mean_of_queries(x), (0, 1), x) for p, x in cells.items()
        ]
        rows.append(self._alpha(preferred, "ordinal", PREFER))
        xs = {pair: x for pair, x in cells.items() if LABELS not in pair}
        gap = {}
        for a, b in xs:
            of = [self.ap.get(q, {}) for q in self.queries]
            gap[a, b] = np.array([one.get(a, np.nan) - one.get(b, np.nan) for one in of])
        rows.append(self._rho(xs, gap, PREFER))
        return rows

    def _alpha(self, own: pd.DataFrame, level: str, question: str) -> tuple:
        """Alpha of judges; a query is drawn with all of its sounds."""
        columns = (own["query"], own["clip"].fillna(""), own["systems"])
        unit = ["\t".join([query, clip, *systems]) for query, clip, systems in zip(*columns, strict=True)]
        wide = own.assign(unit=unit).pivot_table(
            index="judge", columns="unit", values="value", aggfunc="first"
        )
        values = wide.reindex(self.judges).to_numpy(float)
        query = np.array([self.queries.index(one.split("\t")[0]) for one in wide.columns], int)

        def statistic(judges: np.ndarray, queries: np.ndarray) -> float:
            return krippendorff_alpha(values, level=level, judges=judges, units=queries[query])

        return self._row("alpha", question, statistic, (-1, 1), self._cells(own))

    def _rho(self, xs: dict, ap: dict, question: str) -> tuple:
        """Rank correlation of AP with what the judges say, over all queries and systems."""
        from scipy.stats import rankdata

        cells, scores = (
            np.stack(list(xs.values())),
            np.stack(list(ap.values())),
        )  # [n_systems, (n_judges,) n_queries]
        is_answered, filled = np.isfinite(cells), np.nan_to_num(cells)

        def statistic(judges: np.ndarray, queries: np.ndarray) -> float:
            n_answers = np.einsum("j,sjq->sq", judges, is_answered)
            has = (n_answers > 0) & np.isfinite(scores) & (queries > 0)
            times = np.broadcast_to(queries, has.shape)[has].astype(int)
            said = np.einsum("j,sjq->sq", judges, filled)[has] / n_answers[has]
            x, y = (rankdata(np.repeat(one, times)) for one in (said, scores[has]))
            if len(x) < 3 or not np.ptp(x) or not np.ptp(y):
                return np.nan
            return float(np.corrcoef(x, y)[0, 1])

        usable = np.where(np.isfinite(scores)[:, None, :], cells, np.nan)
        return self._row(
            "rho",
            question,
            statistic,
            (-1, 1),
            np.nanmax(np.where(np.isnan(usable), -np.inf, usable), axis=0),
        )


def _mean_of_judges(values: np.ndarray) -> tuple[float, float, float]:
    from scipy.stats import t

    mean = float(values.mean()) if len(values) else np.nan
    if len(values) < 2:
        return mean, np.nan, np.nan
    half = float(values.std(ddof=1) / np.sqrt(len(values)) * t.ppf(0.975, len(values) - 1))
    return mean, max(-1.0, mean - half), min(1.0, mean + half)


def _sentences(
    table: pd.DataFrame, judges: pd.DataFrame, answers: Answers, n_answers: int
) -> list[tuple[str, str]]:
    """Results in words."""
    left_out = judges[judges["reason"] != ""]
    n_kept = len(judges) - len(left_out)
    rule = ", ".join(f"{name} from {least:g}" for name, least in answers.file.exclude.items()) or "none"
    study = (
        f"{len(judges)} judge{'s' * (len(judges) != 1)} answered; the rule fixed beforehand ({rule}) left "
        f"out {len(left_out)}; {n_answers} answers of the other {n_kept} count."
    )
    said = [("study", study)]
    words = {
        "grade": "The results of {of} have a mean grade of {x} of 3.",
        "difference": "The mean grades differ by {x} ({of}).",
        "preferred": "The share that prefers {of} is {x}.",
        "alpha": "Judges agree with a Krippendorff's alpha of {x} ({of}).",
        "rho": "AP and what the judges say have a rank correlation of {x} ({of}).",
        "repeats": "Judges agree with themselves with an alpha of {x}.",
        "anchors": "They tell the upper bound by the labels from a random list in {x} of the queries.",
    }
    for row in table.to_dict("records"):
        if not np.isfinite(row["value"]):
            continue
        x = f"{row['value']:.2f}"
        if np.isfinite(row["ci_low"]):
            x += f" [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
        else:
            n = min(row["n_judges"], row["n_queries"])
            x += " (no interval: " + ("all answers are alike)" if n > 1 else "one judge, or one query)")
        said.append((row["measure"], words[row["measure"]].format(of=row["of"], x=x)))
    return said
