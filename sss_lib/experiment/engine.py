"""Papermill's engine, saving a notebook when it has ended: by default it does before and after each cell."""

from typing import Any

from nbformat import NotebookNode
from papermill.engines import NBClientEngine, papermill_engines
from papermill.iorw import write_ipynb

NAME = "sss_lib"


class Engine(NBClientEngine):
    """Executes notebooks; one whose kernel has died is saved as far as it came."""

    @classmethod
    def execute_notebook(
        cls, nb: NotebookNode, kernel_name: str, output_path: str | None = None, **options: Any
    ) -> NotebookNode:
        """Execute a notebook in place, and return it."""
        try:
            return super().execute_notebook(nb, kernel_name, **options)
        except BaseException:
            if output_path:
                write_ipynb(nb, output_path)
            raise


papermill_engines.register(NAME, Engine)
