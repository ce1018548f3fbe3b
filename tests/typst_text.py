"""What a typst source says by itself: its prose, formulas, raw text and strings, without its code.

Only as much of the language as the documents use: `#` begins code, `[` in code begins prose.
"""

import re

WORD = re.compile(r"[A-Za-z_][\w-]*")
COMMENT = re.compile(r"(?<!:)//[^\n]*|/\*.*?\*/", re.DOTALL)
LITERAL = {
    '"': re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL),
    "$": re.compile(r"\$((?:\\.|[^$\\])*)\$", re.DOTALL),
    "`": re.compile(r"(?s)(?P<ticks>`+)(.*?)(?P=ticks)"),
}
CLOSING = {"(": ")", "{": "}", "[": "]"}
SHOWN = re.compile(
    r"(?<![\w-])(?:count|fixed|interval|str|strong|emph|text|raw)\(\s*[-+]?[\d.]+(?!\w)"
    r"|(?<!\")#[({]*\s*[-+]?\d+|let\s+[\w-]+\s*=\s*[-+]?[\d.]+\s*$",
    re.MULTILINE,
)
"""A number in code that would be printed as it is."""


def said(source):
    """Text that a source prints as it stands, a line a piece, and the numbers that it hands to be printed."""
    source = COMMENT.sub("", source)
    pieces = []
    _prose(source, 0, pieces)
    return "\n".join([*pieces, *SHOWN.findall(source)])


def _prose(source, i, pieces):
    """Read prose up to the `]` that closes it, or to the end; return where it goes on."""
    start, depth = len(pieces), 0
    text = []
    while i < len(source):
        char = source[i]
        if char == "\\":
            text.append(source[i : i + 2])
            i += 2
        elif char == "#":
            i = _expression(source, i + 1, pieces)
        elif char in "$`":
            i = _literal(source, i, text)
        elif char == "]" and not depth:
            i += 1
            break
        else:
            depth += (char == "[") - (char == "]")
            text.append(char)
            i += 1
    pieces.insert(start, "".join(text))
    return i


def _literal(source, i, pieces):
    found = LITERAL[source[i]].match(source, i)
    pieces.append(found[found.lastindex])
    return found.end()


def _code(source, i, pieces, ends):
    """Read code up to and with one of the characters that end it, which may not be inside brackets."""
    while i < len(source) and source[i] not in ends:
        i = _group(source, i, pieces) if source[i] in CLOSING or source[i] in LITERAL else i + 1
    return i + 1


def _group(source, i, pieces):
    char = source[i]
    if char in LITERAL:
        return _literal(source, i, pieces)
    return _prose(source, i + 1, pieces) if char == "[" else _code(source, i + 1, pieces, CLOSING[char])


def _expression(source, i, pieces):
    """Read what follows a `#` in prose."""
    word = WORD.match(source, i)
    if word is None:
        return _group(source, i, pieces) if source[i] in CLOSING or source[i] in LITERAL else i
    if word[0] in ("let", "set", "show", "import"):
        return _code(source, i, pieces, "\n")
    i = word.end()
    if word[0] in ("if", "for", "while"):
        while True:
            i = _code(source, i, pieces, "{[") - 1
            i = _group(source, i, pieces)
            other = re.compile(r"\s*else\b").match(source, i)
            if other is None:
                return i
            i = other.end()
    while i < len(source) and (source[i] in "([" or re.compile(r"\.[a-z]").match(source, i)):
        i = _group(source, i, pieces) if source[i] in "([" else WORD.match(source, i + 1).end()
    return i
