"""A listening study as a short YAML file says it: data, which is checked, and nothing that runs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sss_lib.io.names import composed, file_name_flaw, require_known
from sss_lib.io.plain_yaml import read_mapping

GRADE, PREFER = "grade", "prefer"
QUESTIONS = {
    GRADE: "How much does each sound mean the same as the query?",
    PREFER: "Which of the two lists fits the query better?",
}
"""Kinds of questions, and their words unless the file has others."""
GRADES = ("nothing in common", "a little", "similar", "the same meaning")
TEXTS = {
    "title": "Which sounds mean the same?",
    "welcome": "You will hear short sounds and judge how alike they are in meaning: what one hears, not how "
    "it was recorded. Two dogs that bark mean the same, however different they sound.",
    "consent": "Taking part is voluntary. Your answers are kept under a code, without your name or address. "
    "You may stop at any time, and withdraw all your answers with the button at the foot of the page.",
    "instructions": "Listen to the query, then to every other sound, as often as you like. Judge what the "
    "sounds mean. Ignore their loudness, length and quality. There are no right answers.",
    "end": "That was all. Thank you! You may close this page.",
}
"""Texts of the page, unless the file has others."""
QUESTIONNAIRE = (
    {"ask": "What did you listen with?", "choices": ["headphones", "earphones", "loudspeakers"]},
    {"ask": "Where were you?", "choices": ["in a quiet room", "in a noisy place"]},
    {"ask": "Do you work with sound or music?", "choices": ["yes", "no"]},
    {
        "ask": "Is your hearing impaired, as far as you know?",
        "choices": ["no", "yes", "I would rather not say"],
    },
    {"ask": "Anything you would like to tell us?"},
)
HEADPHONES = ("no", "check", "require")
"""Whether judges are checked for headphones, and whether those without may go on."""
RULES = {"anchors": 0.7, "repeats": 0.2, "seconds_per_sound": 1.5, "answered": 0.5}
"""What a judge must reach to count; see `quality.quality`."""
NUMBERS: dict[str, tuple[type, float, float]] = {
    "queries": (int, 1, 500),
    "results": (int, 1, 15),
    "anchors": (int, 0, 5),
    "training": (int, 0, 3),
    "seed": (int, 0, 2**32 - 1),
    "judges": (int, 1, 10_000),
    "repeats": (float, 0, 0.5),
    "session_minutes": (float, 5, 30),
    "heard_s": (float, 0, 30),
}
MOST_SIGNS = 5000
"""Of a text."""


@dataclass(frozen=True)
class StudyFile:
    """What a listening study asks, of whom, and who counts.

    Attributes
    ----------
    collection : str
        Name of a dataset that a grid has run on.
    systems : tuple of str
        Names as notebook 06 has them.
    name : str
        The file's name without its suffix; answers are called by it.
    queries, results, seed : int
        Query clips that are drawn, and the first results of each system that are judged.
    questions : mapping of str to str
        "grade" for a grade 0 to 3 of each result, "prefer" for the better of two lists; and their words.
    anchors : int
        Results of each anchor: a random list, and an upper bound by the labels.
    repeats : float
        Share of the trials that come twice.
    training : int
        Trials with feedback before those that count.
    headphones : str
        See `HEADPHONES`.
    session_minutes : float
        Time after which the page proposes a pause.
    heard_s : float
        Seconds of each sound that must be heard, all of a shorter one, before an answer counts.
    judges : int
        At most so many may begin.
    exclude : mapping of str to float
        Rule by which judges are left out, fixed before the first answer; see `RULES`.
    texts, questionnaire
        See `TEXTS` and `QUESTIONNAIRE`.
    """

    collection: str
    systems: tuple[str, ...]
    name: str = ""
    queries: int = 20
    results: int = 3
    seed: int = 0
    questions: Mapping[str, str] = field(default_factory=lambda: {GRADE: QUESTIONS[GRADE]})
    anchors: int = 1
    repeats: float = 0.1
    training: int = 2
    headphones: str = "check"
    session_minutes: float = 25
    heard_s: float = 3
    judges: int = 200
    exclude: Mapping[str, float] = field(default_factory=lambda: dict(RULES))
    texts: Mapping[str, str] = field(default_factory=dict)
    questionnaire: tuple[Mapping[str, Any], ...] = QUESTIONNAIRE

    def __post_init__(self) -> None:
        if not isinstance(self.collection, str) or not self.collection:
            raise ValueError(
                f"collection {self.collection!r} is no name: give that of a dataset, such as mini"
            )
        names = self.systems if isinstance(self.systems, tuple) else ()
        if not names or not all(isinstance(one, str) for one in names) or len(set(names)) < len(names):
            raise ValueError(
                f"systems {self.systems!r} are no list of different names: give those of notebook 06"
            )
        for key, (kind, low, high) in NUMBERS.items():
            value = getattr(self, key)
            if type(value) not in {int, kind} or not low <= value <= high:
                what = "whole number" if kind is int else "number"
                raise ValueError(f"{key}={value!r} of the study: give a {what} from {low:g} to {high:g}")
        require_known(self.headphones, HEADPHONES, "the values of headphones")
        self._require_texts("questions", QUESTIONS)
        self._require_texts("texts", TEXTS)
        if not self.questions:
            raise ValueError(f"questions are empty: give {GRADE}, {PREFER}, or both")
        if PREFER in self.questions and len(self.systems) < 2:
            raise ValueError(
                f"a preference is between 2 systems, and the study has {len(self.systems)}: add one"
            )
        if not isinstance(self.exclude, Mapping):
            raise ValueError(f"exclude={self.exclude!r} is no mapping: give, say, anchors: 0.7")
        for key, value in self.exclude.items():
            require_known(key, RULES, "the rules of exclusion")
            most = 60 if key == "seconds_per_sound" else 1
            if type(value) not in (int, float) or not 0 <= value <= most:
                raise ValueError(f"{key}={value!r} of the rule of exclusion: give a number from 0 to {most}")
        if "anchors" in self.exclude and not self.anchors:
            raise ValueError(
                "anchors=0, and the rule of exclusion asks for them: set anchors to 1, or drop the rule"
            )
        if "repeats" in self.exclude and not self.repeats:
            raise ValueError(
                "repeats=0, and the rule of exclusion asks for them: set repeats, or drop the rule"
            )
        if not isinstance(self.questionnaire, tuple):
            raise ValueError(f"questionnaire={self.questionnaire!r:.60} is no list: give [] for no questions")
        for one in self.questionnaire:
            self._require_item(one)

    def _require_texts(self, key: str, known: Mapping[str, str]) -> None:
        texts = getattr(self, key)
        if not isinstance(texts, Mapping):
            raise ValueError(f"{key}={texts!r} is no mapping: give keys such as {next(iter(known))}")
        for name, text in texts.items():
            require_known(name, known, f"the {key} of a study")
            _require_text(text, f"{name} of the {key}")

    def _require_item(self, item: object) -> None:
        if not isinstance(item, Mapping) or "ask" not in item:
            raise ValueError(
                f"{item!r} of the questionnaire is no question: give ask, and choices if it has any"
            )
        for key in item:
            require_known(key, ("ask", "choices"), "the keys of a question")
        choices = item.get("choices", [])
        if not isinstance(choices, list) or len(choices) == 1 or len(choices) > 20:
            raise ValueError(
                f"choices {choices!r} of {item['ask']!r}: give a list of 2 to 20, or leave them out"
            )
        for text in (item["ask"], *choices):
            _require_text(text, "the questionnaire")

    @property
    def words(self) -> dict[str, str]:
        """Texts of the page."""
        return {**TEXTS, **self.texts}

    def as_dict(self) -> dict[str, Any]:
        """All of the study, as JSON has it."""
        return {**asdict(self), "systems": list(self.systems), "questionnaire": list(self.questionnaire)}


def _require_text(text: object, where: str) -> None:
    if not isinstance(text, str) or not text.strip() or len(text) > MOST_SIGNS:
        raise ValueError(
            f"{text!r:.60} of {where} is no text of at most {MOST_SIGNS} signs: put it in quotes"
        )


def of_dict(about: Mapping[str, Any], where: str) -> StudyFile:
    """Study of a mapping whose keys are the attributes of `StudyFile`. Raises ValueError for any other."""
    keys = [one.name for one in fields(StudyFile)]
    for key in about:
        require_known(key, keys, f"the keys of {where}")
    if missing := [key for key in ("collection", "systems") if key not in about]:
        raise ValueError(f"{where} has no {missing[0]!r}: it needs collection and systems")
    as_tuples = {k: tuple(about[k]) for k in ("systems", "questionnaire") if isinstance(about.get(k), list)}
    if about.get("headphones") is False:  # as YAML reads "no"
        about = {**about, "headphones": "no"}
    questions = about.get("questions", {GRADE: QUESTIONS[GRADE]})
    if isinstance(questions, (str, list)):  # kinds alone, in the usual words
        questions = [questions] if isinstance(questions, str) else questions
        for one in questions:
            require_known(one, QUESTIONS, "the questions of a study")
        questions = {one: QUESTIONS[one] for one in questions}
    return StudyFile(**{**about, **as_tuples, "questions": questions})


def read_study_file(path: str | Path) -> StudyFile:
    """Study of a YAML file.

    Raises
    ------
    ValueError
        If a key or a value is unknown; the message has the remedy.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"study {path} does not exist: give a YAML file, such as notebooks/studies/mini.yaml"
        )
    content = read_mapping(path, "collection: mini")
    if flaw := file_name_flaw(path.stem):
        raise ValueError(f"study {path} {flaw}, so that answers can't be called by it: rename it")
    if "name" in content:
        raise ValueError(f"'name' is not among the keys of {path.name}: the file's name is the study's")
    return replace(of_dict(content, path.name), name=composed(path.stem))
