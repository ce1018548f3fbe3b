"""The paper, the poster and the slides: typst documents that read the files of a run.

`python -m sss_lib paper` builds all three from the tables and figures that notebook 05 wrote for the embedded
sounds; `--dataset NAME` from those of another collection. No result is typed into a document: it reads the
CSV, JSON and SVG files, the catalogue of models, and the published numbers.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import platform
import re
import shutil
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import threadpoolctl
import yaml

from sss_lib.dataset.dataset import Dataset
from sss_lib.io.artefact import replacing
from sss_lib.io.names import listed, require_known
from sss_lib.io.writing import temporary_folder
from sss_lib.models import registry as models

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "paper-poster-presentation"
DOCUMENTS = ("paper", "poster", "slides")
TABLES = tuple(
    f"{name}.csv"
    for name in ("comparison", "stability", "claims", "relevance", "best", "systems", "published")
)
FIGURES = tuple(
    f"{name}.svg"
    for name in (
        *("ladder", "processing", "pca", "macro-micro", "cost-parameters", "cost-dim", "classes"),
        *("confusion", "map"),
    )
)
"""Files that every labelled run writes; only some write families, losses and published numbers."""
EPOCH = 1_700_000_000
"""Creation time of the documents, in seconds since 1970: fixed, so that equal results give equal bytes."""

PACKAGES = (
    *("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "soundfile", "soxr", "matplotlib"),
    *("torch", "transformers", "essentia-tensorflow", "faiss-cpu"),
)
"""Packages whose version may change a number or a figure."""


def made_with() -> dict:
    """Software and hardware that results of this process depend on, besides data and code.

    Returns
    -------
    dict
        python; packages (versions of the installed `PACKAGES`); system; processor; blas (each library of
        linear algebra in use, with the kernel that it chose).
    """
    import scipy.linalg  # noqa: F401  (scipy brings a BLAS of its own, which is listed once it is loaded)

    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    kernels = {
        f"{one['internal_api']} {one['version']} {one.get('architecture', '')}".strip() for one in pools
    }
    return {
        "python": platform.python_version(),
        "packages": versions,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "blas": sorted(kernels),
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name of the processor by Linux, elsewhere by Python; "" if neither knows it."""
    try:
        found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), flags=re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor()


def write_run(
    path: str | Path,
    everything: Dataset,
    collection: Dataset,
    *,
    grid: str,
    protocol: str,
    cutoffs: Sequence[int],
    **bounds: float,
) -> Path:
    """Write the description of a run as JSON, and return the path.

    Parameters
    ----------
    path : str or Path
    everything : Dataset
        All clips.
    collection : Dataset
        Those that systems are compared on.
    grid : str
        Path of the grid's file.
    protocol : str
        Protocol of the scores that systems are compared by.
    cutoffs : sequence of int
    **bounds : float
        Macro MAP at the first cutoff: chance, luck (upper end for random embeddings) and ceiling.
    """
    clips = collection.clips
    uploaders = clips["uploader"] if "uploader" in clips else clips["fname"].iloc[:0]
    about = {
        "dataset": collection.name,
        "grid": Path(grid).name,
        "protocol": protocol,
        "version": version("semantic-sound-similarity"),
        "n_clips": len(collection),
        "n_failed": len(everything) - len(collection),
        "hours": float(clips["duration_s"].sum() / 3600),
        "n_uploaders": int(uploaders[uploaders.fillna("") != ""].nunique()),
        "n_classes": int((collection.label_matrix.sum(axis=0) > 0).sum()),
        "n_unqueryable": int((collection.class_sizes() == 1).sum()),
        "n_families": collection.n_families(),
        "cutoffs": list(cutoffs),
        "bounds": {name: float(value) for name, value in bounds.items()},
        "made_with": made_with(),
    }
    path = Path(path)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return path


def digest(paths: Iterable[Path]) -> str:
    """Twelve hexadecimal digits of the names and contents of files, whatever their order."""
    of_files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    return hashlib.sha256(json.dumps(sorted(of_files.items())).encode()).hexdigest()[:12]


def results(figures_dir: str | Path) -> list[Path]:
    """Files of a run that the documents read. Raises ValueError if a required one is missing."""
    folder = Path(figures_dir)
    missing = [name for name in ("run.json", *TABLES, *FIGURES) if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"{folder} lacks {len(missing)} files, such as {missing[0]}: run the notebooks first, as with "
            f"`make run DATASET={folder.name}`"
        )
    # Of another grid on the same clips, and of listening studies.
    beyond = folder.with_name(f"{folder.name}-beyond")
    more = [beyond / "beyond.csv", beyond / "ways.csv", *listed(beyond, "asked-*.csv")]
    more += listed(folder.with_name(f"{folder.name}-judged"), "judged-*.csv")
    own = [path for path in listed(folder, "*") if path.suffix in (".csv", ".json", ".svg")]
    return own + [path for path in more if path.is_file()]


def facts(figures_dir: str | Path) -> dict:
    """Facts that the documents need besides the files of the run.

    Returns
    -------
    dict
        digest (of the run's tables); files (their names); models (catalogue facts of each model of the run
        and of the study); negligible; systems (the study's models); references (key and text, sorted).
    """
    import pandas as pd

    from sss_lib.figures import claims, published, tables

    files = results(figures_dir)
    ran = pd.read_csv(Path(figures_dir) / "stability.csv", keep_default_na=False).set_index("system")
    specs = {name: models.spec(name) for name in [*ran.index, *published.systems()["system"]]}
    covers = {name: f" ({has})" for name, has in ran.get("has embedded", {}).items() if has != "all"}
    about = {
        name: {
            "display": tables.display_name(name) + covers.get(name, ""),
            "rate_hz": spec.rate_hz,
            "dim": spec.dim,
            "hop_s": spec.hop_s,
            "modality": spec.modality,
            "parameters": spec.n_parameters,
            "trained_on": spec.trained_on,
            "verified": spec.verified,
            "licence": spec.weights.licence if spec.weights else "-",
            "citation": spec.citation,
            "floor": spec.is_baseline,
        }
        for name, spec in specs.items()
    }
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    own = cited.get("repository-code")
    others = yaml.safe_load((SOURCES / "references.yaml").read_text(encoding="utf-8"))
    texts = others | {
        spec.citation: spec.citation
        for spec in specs.values()
        if spec.citation and not spec.citation.startswith("this project")
    }
    return {
        "digest": digest(path for path in files if path.suffix != ".svg"),
        "files": [path.name for path in files],
        "models": about,
        "seen": tables.seen(about),
        "link": own or cited["references"][0]["repository-code"],
        "is_own": bool(own),
        "negligible": claims.NEGLIGIBLE,
        "systems": published.systems()["system"].to_dict(),
        "references": [
            {"key": key, "text": text} for key, text in sorted(texts.items(), key=lambda i: i[1].lower())
        ],
    }


def build(
    figures_dir: str | Path, out_dir: str | Path, documents: Sequence[str] = DOCUMENTS, *, form: str = "pdf"
) -> list[Path]:
    """Build documents from the files of a run, and return their paths.

    Parameters
    ----------
    figures_dir : str or Path
        Folder that notebook 05 wrote for a collection.
    out_dir : str or Path
    documents : sequence of str
        Of `DOCUMENTS`.
    form : str
        "pdf", or "png" for a picture of each page, numbered.

    Raises
    ------
    ValueError
        If typst isn't installed, a file of the run is missing, or a document doesn't compile without a
        warning such as that of a missing font.
    """
    try:
        import segno
        import typst
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the documents need {error.name}: install it with pip install -e .[paper]"
        ) from error
    import matplotlib

    for name in documents:
        require_known(name, DOCUMENTS, "the documents")
    written = []
    with temporary_folder() as root:
        shutil.copytree(SOURCES, root, ignore=shutil.ignore_patterns("*.pdf"), dirs_exist_ok=True)
        shutil.copytree(ROOT / "data" / "paper", root / "published")
        shutil.copy(ROOT / "figures" / "listening.png", root)
        (root / "results").mkdir()
        for path in results(figures_dir):
            shutil.copy(path, root / "results")
        known = facts(figures_dir)
        (root / "facts.json").write_text(json.dumps(known), encoding="utf-8")
        segno.make(known["link"]).save(str(root / "link.svg"), border=0)
        for name in documents:
            try:
                made, warnings = typst.compile_with_warnings(
                    root / f"{name}.typ",
                    root=root,
                    ignore_system_fonts=True,
                    font_paths=[Path(matplotlib.get_data_path()) / "fonts" / "ttf"],  # of the figures' text
                    format=form,
                    ppi=110.0 if form == "png" else None,
                    timestamp=EPOCH,
                )
            except typst.TypstError as error:
                raise ValueError(f"{name}.typ does not compile: {error.message} {error.trace}") from error
            if warnings:
                raise ValueError(
                    f"{name}.typ compiles with a warning: {warnings[0].message} {warnings[0].trace}"
                )
            pages = made if isinstance(made, list) else [made]
            for i, content in enumerate(pages):
                number = f"-{i + 1:02}" if form == "png" else ""
                written.append(Path(out_dir) / f"{name}{number}.{form}")
                with replacing(written[-1]) as temporary:
                    temporary.write_bytes(content)
    return written
