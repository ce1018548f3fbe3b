"""What a board shows and what is marked on it, to take away: a list, a page with its sounds, and files."""

import base64
import html
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sss_lib.io import audio
from sss_lib.io.csv_text import csv_text
from sss_lib.io.names import require_known
from sss_lib.listening.study import Study
from sss_lib.listening.views import about_clip

MOST_BYTES = 48_000_000
"""Bytes of the sounds in an export: what goes beyond is named without its sound."""
COLUMNS = ("query", "clip", "rank", "systems", "mark", "licence", "author")
POLICY = "default-src 'none'; media-src data:; style-src 'unsafe-inline'"
STYLE = """body { font: 15px/1.4 system-ui, sans-serif; margin: 16px; color: #1c1c1c; background: #fff; }
section { display: flex; gap: 16px; overflow-x: auto; } section > div { flex: 1 0 260px; }
ol { padding-left: 1.6em; } li { margin: 0 0 12px; } audio { display: block; width: 100%; }
small { color: #555; }"""


def exported(study: Study, view: Mapping, marked: Sequence[str], kind: str) -> bytes:
    """File that the page downloads.

    Parameters
    ----------
    study : Study
    view : dict
        What the board shows (`views`).
    marked : sequence of str
        Ids of the marked clips; those that the collection doesn't have are left out.
    kind : str
        csv, html or zip.

    Raises
    ------
    ValueError
        If it is of another kind.
    """
    kinds = {"csv": as_csv, "html": as_page, "zip": as_zip}
    require_known(kind, kinds, "the kinds of export")
    return kinds[kind](study, view, [one for one in marked if one in study.row_of])


def as_csv(study: Study, view: Mapping, marked: Sequence[str]) -> bytes:
    """A row for each clip that is shown, by its best rank, and then for each other one that is marked."""
    query = view["query"]["about"]["id"]
    found: dict[int, list[tuple[int, str]]] = {}
    for column in view["columns"]:
        name = ", ".join(filter(None, [column["title"], column["words"]]))
        for rank, (clip, _) in enumerate(column["results"], 1):
            found.setdefault(clip, []).append((rank, name))
    ranked = sorted((min(one)[0], clip) for clip, one in found.items())
    others = [study.row_of[one] for one in marked if study.row_of[one] not in found]
    rows: list[Sequence[object]] = [COLUMNS]
    for rank, clip in [*ranked, *((0, clip) for clip in others)]:
        about = about_clip(study, clip)
        systems = "; ".join(f"{name} ({at})" for at, name in found.get(clip, ()))
        mark = "marked" if about["id"] in marked else ""
        of = query if rank else ""
        rows.append((of, about["id"], rank or "", systems, mark, about["licence"], about["uploader"]))
    return csv_text(rows).encode("utf-8-sig")  # spreadsheets tell by the mark that it is UTF-8


def as_page(study: Study, view: Mapping, marked: Sequence[str]) -> bytes:
    """Page of the query and its results, with the sounds and whose they are, that runs no code."""
    sounds = _Sounds(study)
    query = view["query"]
    parts = [f"<h1>{_safe(query['about']['title'] or query['about']['id'])}</h1>"]
    parts += [_item(sounds, query["clip"], query["about"], ""), "<section>"]
    for column in view["columns"]:
        items = []
        for clip, _ in column["results"]:
            about = view["clips"][str(clip)]
            items.append(f"<li>{_item(sounds, clip, about, '✓ ' if about['id'] in marked else '')}</li>")
        head = f"<h2>{_safe(column['title'])}</h2><p>{_safe(column['words'])}</p>"
        parts.append(f"<div>{head}<ol>{''.join(items) or _safe(column['note'])}</ol></div>")
    title = f"{_safe(query['about']['id'])} · {_safe(study.name)}"
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{STYLE}</style></head><body><main>{"".join(parts)}</section></main></body></html>
"""
    return page.encode()


def as_zip(study: Study, view: Mapping, marked: Sequence[str]) -> bytes:
    """The files of the marked clips, or without any of all that are shown, with a list of whose they are.

    Of clips that are windows of a longer file, this is in it, once.
    """
    rows = [study.row_of[one] for one in marked] or sorted(map(int, view["clips"]))
    archive, lines, n_bytes = io.BytesIO(), [], 0
    names: dict[Path, str] = {}
    with zipfile.ZipFile(archive, "w") as file:  # sounds hardly get smaller
        for row in rows:
            clip, about = study.sounds.path(row), about_clip(study, row)
            path = audio.span(clip)[0]
            size = path.stat().st_size if path.is_file() else 0
            name = f"{row}-{path.name}" if path.name in file.namelist() else path.name
            if path not in names and 0 < size <= MOST_BYTES - n_bytes:
                file.write(path, name)
                n_bytes += size
                names[path] = name
            window = str(clip).removeprefix(str(path))
            is_in = "" if path in names else " (NOT IN THIS ARCHIVE)"
            lines.append(f"{names.get(path, name)}{window}: {attribution(about)}{is_in}")
        file.writestr("LICENCES.txt", "\n".join(lines) + "\n")
    return archive.getvalue()


def attribution(about: Mapping) -> str:
    """Line that says whose a clip is, under what licence, and where it comes from."""
    said = [about["title"] or about["id"], about["uploader"] and f"by {about['uploader']}", about["licence"]]
    sources = [one for one in (about.get("licence_url"), about["source"]) if _is_address(one)]
    return " ".join(", ".join(filter(None, [*said, *sources])).split())  # in one line


class _Sounds:
    """Sounds as addresses, each once, until they are too many."""

    def __init__(self, study: Study):
        self.study, self.left = study, MOST_BYTES
        self.urls: dict[int, str] = {}

    def player(self, clip: int | None) -> str:
        if clip is None:
            return ""
        if clip not in self.urls:
            try:
                sound = self.study.sounds.sound(clip)
            except (audio.AudioError, ValueError) as error:
                return f"<p>{_safe(error)}</p>"
            if len(sound.content) > self.left:
                return "<p>Too large for this page.</p>"
            self.left -= len(sound.content)
            self.urls[clip] = f"data:{sound.mime};base64,{base64.b64encode(sound.content).decode()}"
        return f'<audio controls preload="none" src="{self.urls[clip]}"></audio>'


def _item(sounds: _Sounds, clip: int | None, about: Mapping, mark: str) -> str:
    labels = ", ".join(about["labels"]).replace("_", " ")
    return f"{mark}{_safe(labels)}{sounds.player(clip)}<small>{_safe(attribution(about))}</small>"


def _is_address(text: str | None) -> bool:
    return (text or "").startswith(("http://", "https://"))


def _safe(text: object) -> str:
    return html.escape(str(text))
