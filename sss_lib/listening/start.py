"""Start the server of the page and that of its kernels at once: `python -m sss_lib.listening.start NOTEBOOK`.

Each imports for more than a second, and the first visitor waits for both.
"""

import os

from sss_lib.experiment import warm

IMPORTED = (
    *("06_listening", "pyarrow.dataset", "soundfile", "soxr"),
    *(f"sss_lib.listening.{name}" for name in ("controls", "first_tasks", "judging", "map")),
)
"""What kernels have imported before a page is asked for."""


def main() -> None:
    """Serve until stopped."""
    token = os.environ.pop("SSS_TOKEN", "")  # for the server alone
    with warm.serving(IMPORTED) as address:
        os.environ["SSS_TOKEN"] = token
        from sss_lib.listening.server import Server

        Server.launch_instance(forking=address or "")


if __name__ == "__main__":
    main()
