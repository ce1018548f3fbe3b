"""Views of a board: a query and the results of some systems, as plain data and as an HTML table."""

import html
import re
from collections.abc import Mapping, Sequence

import numpy as np

from sss_lib.listening.sounds import OWN
from sss_lib.listening.study import Study, System

Results = Sequence[tuple[int, float]]
"""Rows of the collection with their scores, best first."""


def about_clip(study: Study, row: int) -> dict:
    """Description of a clip on its card."""
    clip = study.collection.clips.iloc[row].to_dict()
    length = clip.get("duration_s")
    return {
        "id": clip["fname"],
        "title": clip.get("title") or "",
        "labels": list(clip["labels"]),
        "uploader": clip["uploader"],
        **licence_of(clip["licence"]),
        "source": clip.get("source") or "",
        "seconds": float(length) if length is not None and np.isfinite(length) else 0.0,
    }


def licence_of(licence: str) -> dict[str, str]:
    """Name and page of a licence, from its SPDX identifier or its page at Creative Commons.

    Examples
    --------
    >>> licence_of("CC-BY-SA-3.0")
    {'licence': 'CC-BY-SA-3.0', 'licence_url': 'https://creativecommons.org/licenses/by-sa/3.0/'}
    >>> licence_of("http://creativecommons.org/licenses/by/4.0/")["licence"]
    'CC-BY-4.0'
    """
    if page := re.fullmatch(
        r"https?://creativecommons\.org/(?:licenses|publicdomain)/([\w-]+)/([\d.]+)/?", licence
    ):
        kind, version = page.groups()
        name = "CC0" if kind == "zero" else f"CC-{kind.upper()}"
        return {"licence": f"{name}-{version}", "licence_url": licence}
    url = ""
    if spdx := re.fullmatch(r"CC-?(0|BY[A-Z-]*)-([\d.]+)", licence):
        kind, version = spdx.groups()
        path = "publicdomain/zero" if kind == "0" else f"licenses/{kind.lower()}"
        url = f"https://creativecommons.org/{path}/{version}/"
    return {"licence": licence, "licence_url": url}


def compare(
    study: Study, systems: Sequence[System], row: int, label: str, n: int, passes: np.ndarray | None = None
) -> dict:
    """View of the first n results of each system for a clip of the collection.

    Parameters
    ----------
    study : Study
    systems : sequence of System
    row : int
        The query.
    label : str
        The query class: one of the query's; "" where it has none.
    n : int
    passes : np.ndarray [shape=(n_clips,), dtype=bool], optional
        Which clips may be results; all by default.

    Returns
    -------
    dict
        JSON values: mode, label, query, columns, clips (by row, as text).
    """
    query = about_clip(study, row)
    if label not in (query["labels"] or [""]):
        has = ", ".join(query["labels"]) or "none"
        raise ValueError(f"clip {query['id']!r} has no class {label!r}: it has {has}")
    columns = []
    for system in systems:
        results = study.results(system, row, n, passes)
        summary = [*_hits(study, results, query["labels"], label), *_scores(study, system, row, label)]
        note = (
            {} if passes is None else {"note": f"None of the first {system.top_n} results passes the filter."}
        )
        columns.append(column(system, results, summary if label else [], **note))
    return {
        "mode": "compare",
        "label": label,
        "query": {"clip": row, "about": query},
        **_page(study, columns),
    }


def external(study: Study, about: Mapping, results: Mapping[System, Results | str]) -> dict:
    """View of the results of an external query: a sound or words, without labels."""
    query = {"labels": [], "uploader": "", "licence": "", "source": "", "seconds": 0.0, **about}
    columns = [
        column(one, [], [], found) if isinstance(found, str) else column(one, found, [])
        for one, found in results.items()
    ]
    clip = OWN if about["seconds"] else None  # words can't be played
    return {"mode": "compare", "label": "", "query": {"clip": clip, "about": query}, **_page(study, columns)}


def column(
    system: System,
    results: Results,
    summary: Sequence[tuple[str, str]],
    note: str = "This system has no embedding of the query.",
) -> dict:
    """One system and its results, or a note where it has none."""
    return {
        "title": system.title,
        "words": system.words,
        "score": system.score,
        "summary": [list(one) for one in summary],
        "results": [[int(row), float(score)] for row, score in results],
        "note": note,
    }


def _page(study: Study, columns: Sequence[dict]) -> dict:
    rows = sorted({row for one in columns for row, _ in one["results"]})
    return {"columns": list(columns), "clips": {str(row): about_clip(study, row) for row in rows}}


def _hits(study: Study, results: Results, labels: Sequence[str], label: str) -> list[tuple[str, str]]:
    found = [set(study.collection.clips["labels"][row]) for row, _ in results]
    sharing = sum(not one.isdisjoint(labels) for one in found)
    of_class = sum(label in one for one in found)
    return [
        ("share a class", f"{sharing} of {len(found)}"),
        (f"have {_plain(label)}", f"{of_class} of {len(found)}"),
    ]


def _scores(study: Study, system: System, row: int, label: str) -> list[tuple[str, str]]:
    """AP and R1 of the query, any shared class counting, and for its class."""
    texts = []
    for what, of in (("any class", ""), (_plain(label), label)):
        scores = study.scores(system, row, of)
        found = [f"{name} {value:.2f}" for name, value in scores.items() if name == _first(system)]
        found += [f"R1 {scores['R1']:.0f}"] if "R1" in scores else []
        texts.append((what, " · ".join(found) or "not evaluated"))
    return texts


def _first(system: System) -> str:
    return system.measures[0] if system.measures else ""


def _plain(label: str) -> str:
    return label.replace("_", " ")


def as_html(view: Mapping) -> str:
    """The view as a plain table, for a notebook without a kernel, with a hint how to listen."""
    if not view.get("query"):
        return "<p>Nothing is shown yet: run this notebook's cells.</p>"
    query = view["query"]["about"]
    name = " · ".join(filter(None, [query["title"], query["id"], ", ".join(query["labels"])]))
    heads = "".join(f"<th>{_safe(one['title'])}<br>{_safe(one['words'])}</th>" for one in view["columns"])
    lines = []
    for rank in range(max((len(one["results"]) for one in view["columns"]), default=0)):
        cells = []
        for one in view["columns"]:
            row = one["results"][rank][0] if rank < len(one["results"]) else None
            cells.append(f"<td>{_cell(view, row) if row is not None else ''}</td>")
        lines.append(f"<tr><th>{rank + 1}</th>{''.join(cells)}</tr>")
    return (
        "<p>To listen, run this notebook's cells, or <code>make listen</code>. "
        f"What was found for <b>{_safe(name)}</b> (★ has the query class, ● shares a class):</p>"
        f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _cell(view: Mapping, row: int) -> str:
    clip = view["clips"][str(row)]
    shares = not set(clip["labels"]).isdisjoint(view["query"]["about"]["labels"])
    sign = "★ " if view["label"] in clip["labels"] else "● " if shares else ""
    return (
        f"{sign}{_safe(clip['title'] or clip['id'])}<br><small>{_safe(', '.join(clip['labels'][:1]))}</small>"
    )


def _safe(text: str) -> str:
    return html.escape(str(text))
