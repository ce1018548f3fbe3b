"""Serve notebook 06 as a page: `python -m sss_lib listen`, which is what `make listen` runs."""

import importlib.util
import ipaddress
import json
import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Any

from sss_lib.experiment import surroundings
from sss_lib.experiment.grid import NOTEBOOKS
from sss_lib.experiment.store import Store, replacing

LEFT_S = 10
"""Time without a page after which its kernel ends."""


def is_loopback(address: str) -> bool:
    """Whether an IP address is one of this machine that no other reaches.

    Examples
    --------
    >>> is_loopback("127.0.0.2"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("localhost")
    (True, True, False, False)
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def address_of(host: str) -> str:
    """IP address to serve on, which others reach only if it is given as such.

    Parameters
    ----------
    host : str
        An IP address, or a name or another spelling of one of this machine alone.

    Raises
    ------
    ValueError
        If it is empty, unknown, or leads to an address that others reach without being one, such as "0", or
        what shells and compilers put into the variable HOST.

    Examples
    --------
    >>> address_of("127.0.0.1"), address_of("LOCALHOST"), address_of("0.0.0.0")
    ('127.0.0.1', '127.0.0.1', '0.0.0.0')
    """
    host = host.strip().strip("[]")
    remedy = (
        "give 127.0.0.1 for this machine alone, or 0.0.0.0 for all who have the token that is printed then"
    )
    if not host:
        raise ValueError(f"the host is empty, which would be every network: {remedy}")
    if host.lower() == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        raise ValueError(f"host {host!r} is no address of this machine: {remedy}") from None
    if not all(map(is_loopback, found)):
        raise ValueError(f"host {host!r} is {', '.join(sorted(found))}, which others reach: {remedy}")
    return min(found)


def url_of(address: str, port: int, token: str = "", path: str = "/") -> str:
    """URL of a page for a visitor; of what is served on every address, with the name of this machine.

    Examples
    --------
    >>> url_of("127.0.0.1", 8866), url_of("::1", 8866, "abc")
    ('http://127.0.0.1:8866/', 'http://[::1]:8866/?token=abc')
    """
    host = socket.gethostname() if ipaddress.ip_address(address).is_unspecified else address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}{token and f'?token={token}'}"


def prepare(store: Store, dataset: str, *, freesound: bool = False) -> Path:
    """Write notebook 06 with a dataset's name as parameter and title beside the executed notebooks."""
    parameters = {"data_dir": str(store.data_dir.absolute()), "dataset": dataset, "freesound": freesound}
    prepared = store.runs_dir(dataset) / "06_listening" / f"{dataset}.ipynb"
    notebook = json.loads((NOTEBOOKS / "06_listening.ipynb").read_text(encoding="utf-8"))
    cells = notebook["cells"]
    (own,) = (i for i, one in enumerate(cells) if "parameters" in one["metadata"].get("tags", []))
    given: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "given",
        "metadata": {"tags": ["injected-parameters"]},  # as papermill does, whose import takes a second
        "outputs": [],
        "source": "\n".join(f"{name} = {value!r}" for name, value in parameters.items()),
    }
    cells.insert(own + 1, given)
    notebook["metadata"]["title"] = f"{dataset} · listening"
    folders = [store.data_dir / name / dataset for name in ("similarity_rankings", "evaluation_results")]
    judged = [store.judgements(name) for name in (dataset, f"study-{dataset}")]
    read = [store.dataset(dataset).path, *judged, *folders]
    notebook["metadata"]["reads"] = [str(path.absolute()) for path in read]  # see `server.Kernels`
    with replacing(prepared) as path:
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return prepared


def command(host: str, port: int, notebook: str | Path, *, browser: bool = True) -> list[str]:
    """Command that serves the page and no other file; see `server`."""
    return [
        *(sys.executable, "-m", "sss_lib.listening.start", str(notebook)),
        *(f"--Voila.ip={address_of(host)}", f"--port={port}", "--template=listening"),
        f"--Kernels.left_s={LEFT_S}",
        *([] if browser else ["--no-browser"]),
    ]


def environment(token: str = "") -> dict[str, str]:
    """Environment of the server, in which it finds the page's template, and asks visitors for a token."""
    paths = [str(Path(__file__).parent / "share"), os.environ.get("JUPYTER_PATH")]
    found = {"JUPYTER_PATH": os.pathsep.join(filter(None, paths)), "SSS_TOKEN": token}
    return {**surroundings.environment(), **found}


def serve(
    dataset: str, data_dir: Path, host: str, port: int, *, browser: bool = True, freesound: bool = False
) -> None:
    """Replace this process by a server of the page.

    Parameters
    ----------
    dataset : str
        Name of a dataset that a grid has run on.
    data_dir : Path
    host : str
        See `address_of`. Whoever comes from another machine is asked for a token, which is printed.
    port : int
    browser : bool
        Whether a browser is opened.
    freesound : bool
        See `Study`.

    Raises
    ------
    ImportError
        If Voilà isn't installed.
    ValueError
        If the dataset has no rankings, or the host or the port is none.
    """
    if importlib.util.find_spec("voila") is None:
        raise ImportError("the listening page needs voila: install it with pip install -e .[listen]")
    address = address_of(host)
    if not 0 < port < 65536:
        raise ValueError(f"port {port} is none: give one from 1 to 65535")
    store = Store(data_dir)
    if not store.ranked(dataset):
        raise ValueError(
            f"{dataset!r} has no rankings in {data_dir}: run a grid on it first, such as with `make run`"
        )
    notebook = prepare(store, dataset, freesound=freesound)
    token = "" if is_loopback(address) else secrets.token_urlsafe(24)
    if token:
        print(f"OPEN to every machine that reaches {address}, with the token in this link", flush=True)
    os.execve(
        sys.executable, command(address, port, notebook, browser=browser and not token), environment(token)
    )
