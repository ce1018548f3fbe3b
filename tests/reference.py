"""Slow reference implementation of retrieval metrics for semantic sound similarity, used as a test oracle.

Everything is written with loops and lists so that each definition can be read off the code. Each clip
queries all the other clips, the full ranking of the others is kept, and mean average precision (MAP@N) and
the mean rank of the first relevant result (MR1) are averaged by class, family of classes, all classes (macro)
and all queries (micro). Ties are exact equality of float64 scores. Rounding can part scores that are equal on
paper (such as the cosines of parallel vectors), so a comparison on ties should use copied rows, zero rows or
small integers.
"""

import itertools
import math

import numpy as np

SEARCHES = ("nns", "mips", "mcss")
PROTOCOLS = ("standard", "paper")
ALL = "all"


def mean(values):
    """Arithmetic mean of a non-empty list: sum / length."""
    return math.fsum(values) / len(values)


def inner_product(a, b):
    """Inner product of two vectors: sum of a_i * b_i."""
    return math.fsum(a_i * b_i for a_i, b_i in zip(a, b, strict=False))


def euclidean_distance(a, b):
    """Euclidean distance of two vectors: square root of the sum of (a_i - b_i) ** 2."""
    return math.sqrt(math.fsum((a_i - b_i) ** 2 for a_i, b_i in zip(a, b, strict=False)))


def cosine_similarity(a, b):
    """Inner product over the product of the two lengths; 0 if either vector is zero."""
    length_a = math.sqrt(inner_product(a, a))
    length_b = math.sqrt(inner_product(b, b))
    if length_a == 0.0 or length_b == 0.0:
        return 0.0
    return inner_product(a, b) / (length_a * length_b)


def sort_key(query, other, search):
    """Number that is smaller the better the match: the distance ("nns"), or minus the similarity."""
    if search == "nns":
        return euclidean_distance(query, other)
    if search == "mips":
        return -inner_product(query, other)
    if search == "mcss":
        return -cosine_similarity(query, other)
    raise ValueError(f"search must be one of {SEARCHES}, not {search!r}")


def rank_others(x, query, search, groups=None):
    """Indices of all clips but the query (left out by index) and its group, best first, ties by row order."""
    rows = np.asarray(x, dtype=np.float64).tolist()
    others = [i for i in range(len(rows)) if i != query and (groups is None or groups[i] != groups[query])]
    keys = {i: sort_key(rows[query], rows[i], search) for i in others}
    return sorted(others, key=lambda i: keys[i])  # sorted() is stable


def average_precision(relevance, n, denominator):
    """AP@N: sum over ranks k <= N of relevant_k * precision@k, over denominator; N may exceed the list."""
    total = 0.0
    n_found = 0
    for k, is_relevant in enumerate(relevance, start=1):
        if k > n:
            break
        if is_relevant:
            n_found += 1
            total += n_found / k
    return total / denominator


def first_relevant_rank(relevance, start):
    """R1: rank of the first relevant result in the full ranking, the top result having rank `start`."""
    for rank, is_relevant in enumerate(relevance, start=start):
        if is_relevant:
            return rank
    raise ValueError("no relevant result, so there is no first relevant rank")


def class_denominator(n, n_relevant, protocol):
    """AP@N denominator for a class query: min(N, R) ("standard") or min(N, R + 1), R + 1 = n_c ("paper")."""
    if protocol == "standard":
        return min(n, n_relevant)
    return min(n, n_relevant + 1)


def micro_denominator(n, n_relevant, protocol):
    """AP@N denominator for a micro query: min(N, R) ("standard") or N ("paper")."""
    if protocol == "standard":
        return min(n, n_relevant)
    return n


def first_rank_start(protocol):
    """Rank of the top result when R1 is counted: 1 ("standard") or 0 ("paper")."""
    return 1 if protocol == "standard" else 0


def query_value(relevance, metric, n, protocol, denominator_of):
    """Value of one query's relevance list: AP@N or R1, or None (skipped) if nothing is relevant, R = 0.

    The code of the study ("paper") gives such a query AP 0, and no R1.
    """
    n_relevant = sum(relevance)
    if n_relevant == 0:
        return 0.0 if protocol == "paper" and metric == "MAP" else None
    if metric == "MAP":
        return average_precision(relevance, n, denominator_of(n, n_relevant, protocol))
    return first_relevant_rank(relevance, first_rank_start(protocol))


def class_relevance(ranking, query, has_label, c):
    """Relevance list of a query with class c: a result is relevant if it has class c too."""
    assert has_label[query][c]
    return [has_label[i][c] for i in ranking]


def micro_relevance(ranking, query, has_label):
    """Relevance list of a labelled query: a result is relevant if it shares at least one class with it."""
    return [any(q and r for q, r in zip(has_label[query], has_label[i], strict=False)) for i in ranking]


def deepest_shared(query_labels, result_labels, depths):
    """Gain of a result: depth of the deepest class that it shares with the query, 0 if they share none."""
    return max((d for q, r, d in zip(query_labels, result_labels, depths, strict=True) if q and r), default=0)


def ndcg(gains, n):
    """NDCG@N: sum of gain_k / log2(1 + k) over ranks k <= N, over that of the gains in descending order."""

    def discounted(ordered):
        return math.fsum(gain / math.log2(1 + k) for k, gain in enumerate(ordered[:n], start=1))

    return discounted(gains) / discounted(sorted(gains, reverse=True))


def make_row(metric, n, level, name, value, n_queries, n_skipped):
    """One row of the result of `evaluate`."""
    return {
        "metric": metric,
        "n": n,
        "level": level,
        "name": name,
        "value": float(value),
        "n_queries": n_queries,
        "n_skipped": n_skipped,
    }


def pooled_row(metric, n, level, name, class_results):
    """Row for a set of classes: mean of class values, queries and skipped ones summed; None if no value."""
    values = [mean(kept) for kept, _ in class_results if kept]
    if not values:
        return None
    n_queries = sum(len(kept) for kept, _ in class_results)
    n_skipped = sum(skipped for _, skipped in class_results)
    return make_row(metric, n, level, name, mean(values), n_queries, n_skipped)


def distinct_rows(metric, n, has_label, labels, families, class_results):
    """Rows over different classes: of classes that hold the same clips only the first counts.

    A family has the first of those of its own classes that hold the same clips. The row of a class is named
    after all classes that hold its clips.
    """
    clips = [[i for i, clip in enumerate(has_label) if clip[c]] for c in range(len(labels))]

    def different(columns):
        kept = []
        for c in columns:
            if all(clips[c] != clips[other] for other in kept):
                kept.append(c)
        return kept

    rows = []
    for c in different(range(len(labels))):
        kept, skipped = class_results[c]
        same = [label for label, own in zip(labels, clips, strict=True) if own == clips[c]]
        if kept:
            name = " = ".join(same)
            rows.append(make_row(metric, n, "class_distinct", name, mean(kept), len(kept), skipped))
    for family in sorted(set(families.values())):
        own = different(c for c, label in enumerate(labels) if families.get(label) == family)
        rows.append(pooled_row(metric, n, "family_distinct", family, [class_results[c] for c in own]))
    of_all = [class_results[c] for c in different(range(len(labels)))]
    rows.append(pooled_row(metric, n, "macro_distinct", ALL, of_all))
    return [row for row in rows if row is not None]


def split_skipped(values):
    """Values of the queries that count, and the number of queries left out (those that are None)."""
    kept = [value for value in values if value is not None]
    return kept, len(values) - len(kept)


def evaluate_otherwise(x, label_matrix, labels, families, search, cutoffs, protocol, kind, depths, groups):
    """Rows as `evaluate` by another rule: any shared class counts ("any"), or by its depth ("graded").

    Every clip scores once, as in micro; a class's value is the mean over its clips.
    """
    has_label = [[bool(v) for v in clip] for clip in np.asarray(label_matrix).tolist()]
    queries = [i for i, clip in enumerate(has_label) if any(clip)]
    rankings = {query: rank_others(x, query, search, groups) for query in queries}
    measures = (
        [("MAP", n) for n in cutoffs] + [("MR1", None)] if kind == "any" else [("NDCG", n) for n in cutoffs]
    )
    rows = []
    for metric, n in measures:
        of_query = {}
        for query in queries:
            if kind == "any":
                relevance = micro_relevance(rankings[query], query, has_label)
                of_query[query] = query_value(relevance, metric, n, protocol, micro_denominator)
            else:
                gains = [deepest_shared(has_label[query], has_label[i], depths) for i in rankings[query]]
                of_query[query] = ndcg(gains, n) if any(gains) else None
        of_class = [
            split_skipped([of_query[q] for q in queries if has_label[q][c]]) for c in range(len(labels))
        ]
        for label, (kept, skipped) in zip(labels, of_class, strict=True):
            if kept:
                rows.append(make_row(metric, n, "class", label, mean(kept), len(kept), skipped))
        for family in sorted(set(families.values())):
            members = [of_class[c] for c, label in enumerate(labels) if families.get(label) == family]
            rows.append(pooled_row(metric, n, "family", family, members))
        rows.append(pooled_row(metric, n, "macro", ALL, of_class))
        rows += distinct_rows(metric, n, has_label, labels, families, of_class)
        kept, skipped = split_skipped([of_query[q] for q in queries])
        if kept:
            rows.append(make_row(metric, n, "micro", ALL, mean(kept), len(kept), skipped))
    return [row for row in rows if row is not None]


def evaluate(x, label_matrix, labels, families, search, cutoffs, protocol, groups=None):
    """Rows of MAP@N for each cutoff, then MR1, by class, family, macro and micro; no row without a value.

    Class, family and macro also over different classes: see `distinct_rows`.

    Class value: mean over its queries. Family and macro: mean over the classes that have a value, `n_queries`
    and `n_skipped` summed over all the set's classes (a class with one clip thus adds one to `n_skipped`).
    Micro: mean over the clips with a label; those without one never query, and are not counted as skipped.
    Families come in order of their first label in `labels`.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {PROTOCOLS}, not {protocol!r}")
    has_label = [[bool(v) for v in clip] for clip in np.asarray(label_matrix).tolist()]
    n_clips = len(has_label)
    rankings = [rank_others(x, query, search, groups) for query in range(n_clips)]

    family_names = []
    for label in labels:
        if label in families and families[label] not in family_names:
            family_names.append(families[label])

    rows = []
    for metric, n in [("MAP", int(n)) for n in cutoffs] + [("MR1", None)]:
        class_results = []
        for c in range(len(labels)):
            values = []
            for query in range(n_clips):
                if has_label[query][c]:
                    relevance = class_relevance(rankings[query], query, has_label, c)
                    values.append(query_value(relevance, metric, n, protocol, class_denominator))
            class_results.append(split_skipped(values))

        for label, (kept, skipped) in zip(labels, class_results, strict=False):
            if kept:
                rows.append(make_row(metric, n, "class", label, mean(kept), len(kept), skipped))

        for family in family_names:
            members = [
                res
                for label, res in zip(labels, class_results, strict=False)
                if families.get(label) == family
            ]
            row = pooled_row(metric, n, "family", family, members)
            if row is not None:
                rows.append(row)

        row = pooled_row(metric, n, "macro", ALL, class_results)
        if row is not None:
            rows.append(row)
        rows += distinct_rows(metric, n, has_label, labels, families, class_results)

        values = []
        for query in range(n_clips):
            if any(has_label[query]):
                relevance = micro_relevance(rankings[query], query, has_label)
                values.append(query_value(relevance, metric, n, protocol, micro_denominator))
        kept, skipped = split_skipped(values)
        if kept:
            rows.append(make_row(metric, n, "micro", ALL, mean(kept), len(kept), skipped))
    return rows


def all_relevance_lists(n_relevant, n_corpus):
    """Each relevance list of length n_corpus with n_relevant relevant results, once (equally likely)."""
    lists = []
    for places in itertools.combinations(range(n_corpus), n_relevant):
        lists.append([place in places for place in range(n_corpus)])
    return lists


def chance_average_precision(n_relevant, n_corpus, n, denominator):
    """Mean AP@N over all orders of n_corpus results (query not among them), n_relevant of them relevant."""
    relevance_lists = all_relevance_lists(n_relevant, n_corpus)
    return mean([average_precision(relevance, n, denominator) for relevance in relevance_lists])


def chance_first_rank(n_relevant, n_corpus):
    """Mean rank (from 1) of the first relevant of n_corpus results over all orders; n_relevant >= 1."""
    relevance_lists = all_relevance_lists(n_relevant, n_corpus)
    return mean([first_relevant_rank(relevance, 1) for relevance in relevance_lists])


def random_multilabel(rng, n_clips, n_labels, dim):
    """Random (x, label_matrix, labels, families) with edge cases; rng is a numpy Generator.

    Always present, at random rows and columns: a class with no clip; a class with one clip, which has no
    other label (so it is skipped as a class query and as a micro query); two clips with no label; a clip with
    several labels; two classes with two clips or more. Half of the labels (rounded up) have one of three
    families.
    """
    if n_clips < 6 or n_labels < 4:
        raise ValueError("need at least 6 clips and 4 labels")
    clips = [int(i) for i in rng.permutation(n_clips)]
    columns = [int(c) for c in rng.permutation(n_labels)]
    lone_clip, busy_clip, second_clip = clips[2], clips[3], clips[4]  # clips[0] and clips[1] have no label
    lone_class, usual_classes = columns[1], columns[2:]  # columns[0] has no clip

    label_matrix = np.zeros((n_clips, n_labels), dtype=bool)
    label_matrix[lone_clip, lone_class] = True
    for clip in clips[3:]:
        for c in usual_classes:
            label_matrix[clip, c] = rng.random() < 0.3
    for clip in (busy_clip, second_clip):
        for c in usual_classes[:2]:
            label_matrix[clip, c] = True

    x = rng.standard_normal((n_clips, dim))
    labels = [f"l{c}" for c in range(n_labels)]
    families = {}
    for place, c in enumerate(rng.permutation(n_labels)[: (n_labels + 1) // 2]):
        families[labels[int(c)]] = f"f{place % 3}"
    return x, label_matrix, labels, families
