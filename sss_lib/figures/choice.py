"""A choice in a notebook: a list or a slider, and what it shows, which a saved notebook keeps."""

import base64
import io
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import ipywidgets as widgets
from IPython.display import HTML, display

from sss_lib.io.names import require_known


class Choice:
    """A control, and below it what a function shows of the chosen value; a saved notebook shows it, too.

    Parameters
    ----------
    show : callable
        Gives a figure or what has `_repr_html_`, or a list of such, of a value.
    options : sequence
        Values to choose from, or pairs of a name and a value: numbers by a slider, others by a list.
    value : optional
        The first choice; by default the first option.
    description : str
        What is chosen.

    Raises
    ------
    ValueError
        If the value is no option; the message suggests the nearest.

    Examples
    --------
    >>> from IPython.display import HTML
    >>> Choice(lambda n: HTML(f"{n} clips"), [1, 2, 5], 2)._repr_html_()
    '2 clips'
    """

    def __init__(
        self, show: Callable, options: Sequence[Hashable], value: Hashable = None, *, description: str = ""
    ):
        values = [one[1] if isinstance(one, tuple) else one for one in options]
        value = values[0] if value is None else value
        if value not in values:
            require_known(str(value), list(map(str, values)), f"the options of {description!r}")
        numbers = all(isinstance(one, int) for one in values)
        kind = widgets.SelectionSlider if numbers else widgets.Dropdown
        look = {"layout": widgets.Layout(width="460px"), "style": {"description_width": "initial"}}
        look |= {"continuous_update": False} if numbers else {}
        self.control = kind(options=options, value=value, description=description, **look)
        self.control.observe(self._change, "value")
        self._show, self._shown = show, _html_of(show(value))
        self._display: Any = None

    def _change(self, change: dict) -> None:
        self._shown = _html_of(self._show(change["new"]))
        if self._display:
            self._display.update(HTML(self._shown))

    def _repr_html_(self) -> str:
        return self._shown

    def _ipython_display_(self) -> None:
        display(self.control)
        self._display = display(HTML(self._shown), display_id=True)


def _html_of(shown: object) -> str:
    if isinstance(shown, list):
        return "".join(map(_html_of, shown))
    if not hasattr(shown, "savefig"):  # figures alone have it: matplotlib is imported where one is drawn
        return shown._repr_html_()  # type: ignore[attr-defined]
    from matplotlib import pyplot as plt

    content = io.BytesIO()
    shown.savefig(content, format="png", metadata={"Software": None}, dpi=110)
    plt.close(shown)
    return f"<img src='data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}'>"
