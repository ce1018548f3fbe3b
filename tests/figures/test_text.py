"""A written table says in every format what the table says, whatever its names hold."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sss_lib import export

TABLE = pd.DataFrame(
    {
        "System": ["a_b & c", "50 % | {x}"],
        "MAP@15": ["0.381 [0.335, 0.416]", "0.236 [0.202, 0.266] **"],
        "p": [np.nan, 0.00412],
        "n": [3, 12],
    }
)


def test_markdown_by_hand():
    assert export.to_markdown(TABLE, caption="What it is.").splitlines() == [
        "What it is.",
        "",
        "| System | MAP@15 | p | n |",
        "| --- | --- | ---: | ---: |",
        r"| a\_b & c | 0.381 \[0.335, 0.416] | - | 3 |",
        r"| 50 % \| {x} | 0.236 \[0.202, 0.266] \*\* | 0.004 | 12 |",
    ]


def test_latex_by_hand():
    assert export.to_latex(TABLE).splitlines() == [
        r"\begin{tabular}{llrr}",
        r"\toprule",
        r"System & MAP@15 & p & n \\",
        r"\midrule",
        r"a\_b \& c & 0.381 [0.335, 0.416] & - & 3 \\",
        r"50 \% \textbar{} \{x\} & 0.236 [0.202, 0.266]$^{**}$ & 0.004 & 12 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    assert r"\caption{100 \% of \#1}" in export.to_latex(TABLE, caption="100 % of #1")


@pytest.mark.parametrize("suffix", [".tex", ".md", ".csv"])
def test_a_table_is_written_the_same_each_time_and_a_csv_reads_back(tmp_path, suffix):
    paths = [export.write(TABLE, tmp_path / f"{i}{suffix}", caption="What it is.") for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    if suffix == ".csv":
        read = pd.read_csv(paths[0], dtype={"System": str, "MAP@15": str})
        pd.testing.assert_frame_equal(read, TABLE, check_dtype=False)
    with pytest.raises(ValueError, match=r"table.xlsx ends in '.xlsx': use one of .tex, .md, .csv"):
        export.write(TABLE, tmp_path / "table.xlsx")


def test_marks_by_hand():
    found = export.marks([0.05, 0.0499, 0.01, 0.009, 0.001, 0.0009, np.nan])
    assert [len(mark) for mark in found] == [0, 1, 1, 2, 2, 3, 0]


def test_marks_that_mean_something_to_a_format_are_escaped():
    table = pd.DataFrame({"a|b": ["p < 0.05 > x", "nns-mips"], "v": [-0.5, 0.5]})
    tex = export.to_latex(table, caption="a < b")
    assert r"a\textbar{}b" in tex
    assert r"p \textless{} 0.05 \textgreater{} x & $-$0.500" in tex
    assert "nns-mips & 0.500" in tex
    assert r"\caption{a \textless{} b}" in tex
    text = export.to_markdown(table, caption="* p < 0.05, a_b | c")
    assert text.splitlines()[0] == r"\* p \< 0.05, a\_b \| c"


class Page(HTMLParser):
    """The texts of an HTML page: those of its cells, row by row, and those outside; and its elements."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.outside, self.elements = [], "", []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.elements[-1] in ("td", "th") and data != "\n":
            self.rows[-1][-1] += data
        else:
            self.outside += data


HOSTILE = st.text(alphabet="\\|`*_[]()<>&;#~$!-+={}%^'\"ab1.: lt/", max_size=12)
TABULAR = {"table", "thead", "tbody", "tr", "th", "td", "caption", "p"}


@given(heading=HOSTILE, cells=st.lists(HOSTILE, min_size=1, max_size=3), caption=HOSTILE)
@example(heading="a|b", cells=[r"x\|y", "`c` _i_ [l](u)", "<script>"], caption="[x]: u")
@example(heading="&lt;", cells=["~~x~~ $y$", "**", "\\"], caption="# d_s <b>")
@example(heading="-", cells=["[x]", "---", "1. x"], caption="1. x")
@pytest.mark.parametrize(
    "render",
    [
        export.to_html,
        lambda table, caption: (
            MarkdownIt().enable(["table", "strikethrough"]).render(export.to_markdown(table, caption=caption))
        ),
    ],
    ids=["html", "markdown"],
)
def test_a_table_is_read_back_with_its_texts_and_nothing_but_a_table(render, heading, cells, caption):
    page = Page(render(pd.DataFrame({heading: cells, "n": 1}), caption=caption))
    plain = [" ".join(text.split()) for text in (heading, *cells)]
    assert [row[0] for row in page.rows] == plain
    assert " ".join(page.outside.split()) == " ".join(caption.split())
    assert set(page.elements) <= TABULAR


def test_the_dash_of_what_is_not_there_is_in_every_form():
    table = pd.DataFrame({"v": np.array([0.25, np.nan], "float32"), "name": [None, "x"]})
    assert Page(export.to_html(table, digits=2)).rows[1:] == [["0.25", "-"], ["-", "x"]]
    assert export.to_markdown(table, digits=2).splitlines()[2:] == ["| 0.25 | - |", "| - | x |"]
    assert export.show(table, caption="&")._repr_html_() == export.to_html(table, caption="&")


def test_no_row_of_latex_begins_as_an_option_of_the_line_before():
    table = pd.DataFrame({"[a]": ["[x]", "*x", "x*"], "b": "[y]"})
    assert export.to_latex(table).splitlines()[1:-1] == [
        r"\toprule",
        r"{}[a] & b \\",
        r"\midrule",
        r"{}[x] & [y] \\",
        r"{}*x & [y] \\",
        r"x$^{*}$ & [y] \\",
        r"\bottomrule",
    ]
