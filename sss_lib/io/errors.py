"""Errors whose message says all that a reader needs: a notebook shows it without a traceback."""


class OneLineError(Exception):
    """An error that IPython, and so Jupyter, nbconvert and papermill, shows as its message alone."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class MissingStageError(OneLineError, FileNotFoundError):
    """What an earlier notebook writes isn't there; the message names that notebook."""
