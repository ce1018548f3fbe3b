"""Hear what the rankings say: a board of results on a notebook's page, its controls, judging, and a map.

- `study`: the collection and the systems whose rankings exist; `sounds`, `loudness`: clips as played.
- `views`, `board`: the results of some systems side by side; `controls`, `selection`: what queries next;
  `asked`: how a page asks for more.
- `outside`: queries from outside the collection, a sound of the listener's own or words.
- `judgements`, `judging`, `agreement`: what listeners say of unnamed systems, kept, and what follows from it.
- `layouts`, `map`: the collection in two dimensions; `serve`: notebook 06 as a page.
"""

try:
    import anywidget  # noqa: F401
    import ipywidgets  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        f"the listening page needs {error.name}: install it with pip install -e .[listen]"
    ) from error

from sss_lib.listening.agreement import agreement, correlation, judged_scores, preferences
from sss_lib.listening.board import Board
from sss_lib.listening.controls import Controls
from sss_lib.listening.judgements import Judgements
from sss_lib.listening.judging import Judging, JudgingControls
from sss_lib.listening.map import MapControls, SoundMap
from sss_lib.listening.study import Study

__all__ = [
    "Board",
    "Controls",
    "Judgements",
    "Judging",
    "JudgingControls",
    "MapControls",
    "SoundMap",
    "Study",
    "agreement",
    "correlation",
    "judged_scores",
    "preferences",
]
