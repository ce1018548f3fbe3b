"""Listening to rankings: notebook 06. Rankings and audio come in; a page to listen and to judge comes out.

- `study`: the collection and the systems whose rankings exist; `sounds`, `loudness`: clips as played.
- `board`, `views`: the results of some systems side by side; `controls`, `selection`: the next query.
- `tasks`: a hub, a confusion and a near-duplicate to begin with.
- `external_queries`: queries from outside the collection, a sound of the listener's own or words.
- `judging`, `judgements`, `agreement`: blind judgements of systems, their file, and their statistics.
- `map`: the collection in two dimensions; page/: the JavaScript and CSS of the page.
- `serve`, `server`: notebook 06 as a page, and what guards it.
"""

from sss_lib.listening.agreement import agreement, correlation, judged_scores, preferences
from sss_lib.listening.board import Board
from sss_lib.listening.controls import Controls
from sss_lib.listening.judgements import Judgements
from sss_lib.listening.judging import Judging, JudgingControls
from sss_lib.listening.map import MapControls, SoundMap
from sss_lib.listening.study import Study
from sss_lib.listening.tasks import choose, tasks

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
    "choose",
    "correlation",
    "judged_scores",
    "preferences",
    "tasks",
]
