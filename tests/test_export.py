import numpy as np
import pandas as pd
import pytest

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
        "| a_b & c | 0.381 [0.335, 0.416] | - | 3 |",
        r"| 50 % \| {x} | 0.236 [0.202, 0.266] \*\* | 0.004 | 12 |",
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


def test_csv_is_read_back_as_it_was(tmp_path):
    path = export.write(TABLE, tmp_path / "table.csv", caption="not in the file")
    pd.testing.assert_frame_equal(
        pd.read_csv(path, dtype={"System": str, "MAP@15": str}), TABLE, check_dtype=False
    )


@pytest.mark.parametrize("suffix", [".tex", ".md", ".csv"])
def test_a_table_is_written_the_same_each_time(tmp_path, suffix):
    written = [export.write(TABLE, tmp_path / f"{i}{suffix}").read_bytes() for i in range(2)]
    assert written[0] == written[1]
    assert b"**" in written[0] or rb"\*\*" in written[0]


def test_a_suffix_that_is_no_form_of_table_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"table.xlsx ends in '.xlsx': use one of .tex, .md, .csv"):
        export.write(TABLE, tmp_path / "table.xlsx")


def test_marks_by_hand():
    assert export.marks([0.05, 0.0499, 0.01, 0.009, 0.001, 0.0009, np.nan]) == [
        "",
        "*",
        "*",
        "**",
        "**",
        "***",
        "",
    ]


def test_marks_that_mean_something_to_a_format_are_escaped():
    table = pd.DataFrame({"a|b": ["p < 0.05 > x", "nns-mips"], "v": [-0.5, 0.5]})
    tex = export.to_latex(table, caption="a < b")
    assert r"a\textbar{}b" in tex
    assert r"p \textless{} 0.05 \textgreater{} x & $-$0.500" in tex
    assert "nns-mips & 0.500" in tex
    assert r"\caption{a \textless{} b}" in tex
    text = export.to_markdown(table, caption="* p < 0.05, a_b | c")
    assert text.splitlines()[0] == r"\* p \< 0.05, a_b \| c"
