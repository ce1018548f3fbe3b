"""The tables and the tree of notebook 00."""

from sss_lib import dataset, overview, taxonomy


def test_the_glance_counts_what_there_is(collection):
    tiny = dataset.load(collection)
    table = overview.glance(tiny, dataset.verify(tiny))
    told = dict(zip(table[""], table["this collection"], strict=True))
    assert told["clips"] == "5, 0 of them without usable audio"
    assert told["classes"] == "4 in 1 families"
    assert told["labels"] == "9, 1.8 a clip"
    assert told["uploaders"] == "3 named"
    assert told["classes of one clip"].startswith("1: skipped")
    assert told["licences"] == "not told (5)"


def test_the_tree_shows_families_classes_and_sizes(collection):
    tiny, classes = dataset.load(collection), taxonomy.read(collection / "classes.csv")
    assert overview.tree(tiny, classes).splitlines() == [
        "Living",
        "    Animal (4)",
        "        Cat (1)",
        "        Dog (2)",
        "no family",
        "    Rain (2)",
    ]
    assert overview.tree(tiny, classes, depth=2).splitlines()[1] == "    Animal (4, 2 classes below)"
    assert overview.tree(tiny).splitlines() == [
        "Living",
        "    Animal (4)",
        "    Cat (1)",
        "    Dog (2)",
        "no family",
        "    Rain (2)",
    ]


def test_co_occurrence_is_the_share_of_a_rows_clips(collection):
    together = overview.co_occurrence(dataset.load(collection))
    assert together.index.tolist() == together.columns.tolist() == ["Animal", "Dog", "Rain", "Cat"]
    assert together.loc["Dog", "Animal"] == 1
    assert together.loc["Animal", "Dog"] == 0.5
    assert together.loc["Rain", "Dog"] == 0.5
    assert together.loc["Cat", "Rain"] == 0
    assert overview.co_occurrence(dataset.load(collection), 2).shape == (2, 2)
