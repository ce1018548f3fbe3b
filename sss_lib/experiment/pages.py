"""Executed notebooks of a run as pages of Markdown with pictures, for readers who run nothing.

A page has the text and code of today's notebook, and the outputs of its run. Tables stay HTML, pictures are
files beside the page, and a player is a link to the sound that it has. Each page ends in a digest of its
notebook, by which `is_current` tells whether it is today's.
"""

import ast
import base64
import hashlib
import html
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from sss_lib.experiment.grid import NOTEBOOKS
from sss_lib.experiment.task import Task, code_cells
from sss_lib.io.artefact import replacing

FOLDER = "notebooks"
"""Of the pages, among the figures."""
OF_MACHINE = {"data_dir", "figures_dir", "grid", "n_jobs", "cluster", "clickable"}
"""Parameters that a page doesn't tell: paths, processes, and what needs a kernel."""
NEEDS_KERNEL = "*What answers clicks is seen where the notebook runs.*"
DIGEST = re.compile(r"<!-- notebook ([0-9a-f]{16}) -->\n$")


def update(
    tasks: Iterable[Task], runs_dir: Path, folder: Path, sounds: Iterable[Path], *, anew: bool = False
) -> list[Path]:
    """Write the page of each notebook that is not current, and return the paths.

    Of several runs of a notebook, that is shown whose parameters are nearest to the notebook's own.

    Parameters
    ----------
    tasks : iterable of Task
        Those of a whole run, all current.
    runs_dir : Path
        Has their executed notebooks.
    folder : Path
        Gets the pages.
    sounds : iterable of Path
        Files that players are linked to.
    anew : bool
        Whether current pages are written, too: their outputs have changed.
    """
    of_notebook: dict[str, list[Task]] = {}
    for task in tasks:
        of_notebook.setdefault(task.notebook, []).append(task)
    todo = [name for name in of_notebook if anew or not is_current(name, folder)]
    of_name = {path.name: path for path in sounds if path.is_file()} if todo else {}
    written = []
    for name in todo:
        own = defaults(name)
        nearest = max(of_notebook[name], key=lambda task: _n_equal(task.parameters, own))
        executed = json.loads(nearest.executed(runs_dir).read_text(encoding="utf-8"))
        changed = {key: value for key, value in nearest.parameters.items() if own.get(key) != value}
        written.append(write(name, executed, changed, folder, of_name))
    return written


def is_current(notebook: str, folder: Path) -> bool:
    """Whether there is a page of a notebook as it is today."""
    path = folder / f"{notebook}.md"
    found = DIGEST.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found is not None and found[1] == digest(_read(notebook))


def digest(notebook: dict) -> str:
    """Digest of the text and the code of a notebook."""
    cells = [[cell["cell_type"], "".join(cell["source"])] for cell in notebook["cells"]]
    return _digest(json.dumps(cells).encode())


def defaults(notebook: str) -> dict:
    """Parameters that a notebook has by itself."""
    (cell,) = (one for one in _read(notebook)["cells"] if "parameters" in one["metadata"].get("tags", []))
    body = (node for node in ast.parse("".join(cell["source"])).body if isinstance(node, ast.Assign))
    return {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in body}


def write(
    notebook: str, executed: dict, changed: Mapping[str, object], folder: Path, sounds: Mapping[str, Path]
) -> Path:
    """Write the page of an executed notebook and its pictures, and return the path of the page.

    Parameters
    ----------
    notebook : str
        Stem of a file in the notebooks folder, whose code was executed.
    executed : dict
    changed : mapping
        Parameters that it ran with in place of its own.
    folder : Path
    sounds : mapping of str to Path
        Files by their names.
    """
    today, outputs = _read(notebook), iter(code_cells(executed))
    parts, pictures, heading = [], [], ""

    def keep(content: str) -> str:
        pictures.append(base64.b64decode(content))
        return f"{notebook}-{len(pictures)}.png"

    for cell in today["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(_text(source, folder))
            heading = source.splitlines()[0].lstrip("# ")
            continue
        parts.append(f"```python\n{source}\n```")
        for output in next(outputs)["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                parts.append(f"![{heading}]({keep(''.join(data['image/png']))})")
            else:
                parts.append(_shown(output, folder, sounds, keep))
    told = [f"`{key} = {value!r}`" for key, value in changed.items() if key not in OF_MACHINE]
    made = f"*[{notebook}.ipynb]({_seen(NOTEBOOKS / notebook, folder)}.ipynb) as `make run` executed it"
    parts.insert(1, f"{made}{', with ' * bool(told)}{', '.join(told)}.*")
    parts.append(f"<!-- notebook {digest(today)} -->")
    for number, content in enumerate(pictures, 1):
        with replacing(folder / f"{notebook}-{number}.png") as temporary:
            temporary.write_bytes(_small(content))
    for path in set(folder.glob(f"{notebook}-*.png")):
        if int(path.stem.rpartition("-")[2]) > len(pictures):
            path.unlink()
    with replacing(folder / f"{notebook}.md") as temporary:
        temporary.write_text("\n\n".join(filter(None, parts)) + "\n", encoding="utf-8")
    return folder / f"{notebook}.md"


def _read(notebook: str) -> dict:
    return json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8"))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _n_equal(parameters: Mapping[str, object], own: Mapping[str, object]) -> int:
    return sum(own.get(key) == value for key, value in parameters.items())


def _seen(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _text(source: str, folder: Path) -> str:
    """Text of a cell, with links as they are from the page: GitHub's anchors are in small letters."""

    def link(found: re.Match[str]) -> str:
        name, hash_, anchor = found[1].partition("#")
        if name.endswith(".ipynb") and not name.startswith("06"):  # another page
            name = f"{name.removesuffix('.ipynb')}.md"
        elif name:
            name = _seen(NOTEBOOKS / name, folder)
        return f"]({name}{hash_}{anchor.lower()})"

    return re.sub(r"\]\((?!\w+:)([^)\s]+)\)", link, source)


def _shown(output: dict, folder: Path, sounds: Mapping[str, Path], keep: Callable[[str], str]) -> str:
    """Output other than a picture; "" for what a page doesn't show. `keep` names a picture in HTML."""
    if output["output_type"] == "stream":
        text = "".join(output["text"]).strip("\n")
        return f"```text\n{text}\n```" if text and output.get("name", "stdout") == "stdout" else ""
    data = {kind: "".join(content) for kind, content in output.get("data", {}).items() if "json" not in kind}
    if any("widget" in kind for kind in output.get("data", {})):
        return NEEDS_KERNEL
    if "text/html" in data:
        page = re.sub(
            r"<img src='data:image/png;base64,([^']+)'>",
            lambda found: f'<img src="{keep(found[1])}">',
            data["text/html"],
        )
        return _markup(page, folder, sounds)
    return data.get("text/markdown") or f"```text\n{data.get('text/plain', '')}\n```"


def _markup(page: str, folder: Path, sounds: Mapping[str, Path]) -> str:
    """HTML as GitHub shows it: on one line, since an empty one ends it, without styles and scripts."""

    def link(found: re.Match[str]) -> str:
        title = re.search(r'title="([^"]+)"', found[0])
        path = sounds.get(html.unescape(title[1])) if title else None
        if path is None:
            return "<i>heard where the notebook runs</i>"
        return f'<a href="{html.escape(_seen(path, folder))}">listen</a>'

    page = re.sub(r"<(style|script|svg)\b.*?</\1>", "", page, flags=re.DOTALL)
    page = re.sub(r"<audio\b.*?</audio>", link, page, flags=re.DOTALL)
    page = re.sub(r"style=\"text-align: (\w+);?\"", r'align="\1"', page)
    page = re.sub(r" (style|class|border)=\"[^\"]*\"", "", page)
    return "".join(line.strip() for line in page.splitlines() if line.strip())


def _small(picture: bytes) -> bytes:
    """PNG of 128 colours, a third of the size."""
    from PIL import Image

    small = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        flat = Image.new("RGB", image.size, "white")
        flat.paste(image, mask=image.getchannel("A") if "A" in image.getbands() else None)
        flat.quantize(128, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()
