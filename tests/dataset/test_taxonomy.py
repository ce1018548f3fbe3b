"""A vocabulary of one's own: ancestors on request, and what can't be one is refused."""

import pandas as pd
import pytest

from sss_lib import dataset, taxonomy
from sss_lib.dataset import DatasetError
from sss_lib.dataset.known import fsd50k
from sss_lib.dataset.taxonomy import Taxonomy


@pytest.fixture
def read(tmp_path):
    def of(text):
        (tmp_path / "classes.csv").write_text(text)
        return taxonomy.read(tmp_path / "classes.csv")

    return of


def ancestors_by_closure(parents, label):
    """All that can be reached upwards, by repeating until nothing is new."""
    found = set(parents[label])
    while True:
        more = found | {above for one in found for above in parents[one]}
        if more == found:
            return found
        found = more


def test_ancestors_are_those_of_a_plain_closure():
    classes = fsd50k.taxonomy()
    assert len(classes.parents) == 200
    for label in classes.parents:
        found = classes.ancestors(label)
        assert set(found) == ancestors_by_closure(classes.parents, label)
        assert len(set(found)) == len(found)


@pytest.mark.parametrize("column", ["parent", "parents"])
def test_a_label_may_have_several_parents_that_meet_again(read, column):
    classes = read(f'label,{column},family\nWolf,"Dog, Wild",A\nDog,Animal,A\nWild,Animal,A\nAnimal,,A\n')
    assert classes.ancestors("Wolf") == ["Dog", "Wild", "Animal"]
    assert classes.complete(["Wolf", "Dog"]) == ["Wolf", "Dog", "Wild", "Animal"]


@pytest.mark.parametrize(
    ("text", "complete", "families"),
    [
        ("label,family\nDog,A\nAnimal,\n", ["Dog"], {"Dog": "A", "Animal": ""}),
        ("label,parent\nDog,Animal\nAnimal,\n", ["Dog", "Animal"], {"Dog": "", "Animal": ""}),
        (
            "label, parents ,family\n Dog ,Animal , A\nAnimal,, A \n",
            ["Dog", "Animal"],
            {"Dog": "A", "Animal": "A"},
        ),
    ],
    ids=["no parents", "no families", "spaces"],
)
def test_a_table_may_lack_parents_or_families_and_have_spaces(read, text, complete, families):
    assert read(text).complete(["Dog"]) == complete
    assert read(text).families == families


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (",,A\nDog,,", r"1 lines have no label \(2\)"),
        ("Dog,Dog,", r"classes.csv: 'Dog' is its own ancestor \(Dog > Dog\)"),
        ("Dog,Pet,\nPet,Animal,\nAnimal,Dog,", r"own ancestor \(Dog > Pet > Animal > Dog\): take one"),
        ("Cat,,\nDog,Pet,\nPet,Animal,\nAnimal,Pet,", r"\(Pet > Animal > Pet\)"),
        ("Dog,Animl,\nAnimal,,", r"1 parents are not among the labels: give each a line .* \('Animl'\)"),
        ("Dog,,\nDog,,", r"1 labels stand twice \('Dog'\)"),
    ],
)
def test_what_can_be_no_taxonomy_is_refused(read, rows, message):
    with pytest.raises(DatasetError, match=message):
        read(f"label,parents,family\n{rows}\n")


def test_a_table_that_is_missing_or_lacks_both_columns_is_named(read, tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere\.csv does not exist"):
        taxonomy.read(tmp_path / "nowhere.csv")
    with pytest.raises(DatasetError, match=r"classes\.csv: it has columns label, kind, but no 'family'"):
        read("label,kind\nDog,Animal\n")


def test_ancestors_are_added_on_request_only(collection):
    table = collection / "ground_truth.csv"
    text = table.read_text("utf-8").replace("Dog,Animal", "Dog").replace("Cat,Animal", "Cat")
    table.write_text(text, "utf-8")
    assert dataset.load(collection).class_sizes().to_dict() == {"Animal": 1, "Cat": 1, "Dog": 2, "Rain": 2}
    full = dataset.load(collection, add_ancestors=True)
    assert full.class_sizes().to_dict() == {"Animal": 4, "Cat": 1, "Dog": 2, "Rain": 2}
    assert full.clips["labels"].tolist()[3] == ["Dog", "Rain", "Animal"]
    classes = taxonomy.read(collection / "classes.csv")
    same = dataset.from_folder(collection / "audio", table, classes, add_ancestors=True)
    pd.testing.assert_frame_equal(same.clips, full.clips)
    (collection / "classes.csv").unlink()
    with pytest.raises(DatasetError, match="tiny has no vocabulary that would tell ancestors"):
        dataset.load(collection, add_ancestors=True)


def test_a_mapping_of_families_is_a_vocabulary_without_a_hierarchy(collection):
    families = {"Animal": "Living", "Cat": "Living", "Dog": "Living", "Rain": ""}
    paths = collection / "audio", collection / "ground_truth.csv"
    assert dataset.from_folder(*paths, families).families == dict.fromkeys(["Animal", "Cat", "Dog"], "Living")
    del families["Rain"]
    with pytest.raises(DatasetError, match="outside the vocabulary of 3 classes"):
        dataset.from_folder(*paths, families)


def test_a_deep_taxonomy_and_one_of_many_paths_are_quick():
    deep = Taxonomy({str(i): (str(i + 1),) if i < 4000 else () for i in range(4001)}, {})
    assert len(deep.ancestors("0")) == 4000
    with pytest.raises(DatasetError, match=r"is its own ancestor"):
        Taxonomy({str(i): (str((i + 1) % 4000),) for i in range(4000)}, {})
    layers = {f"{i}{side}": (f"{i + 1}a", f"{i + 1}b") if i < 40 else () for i in range(41) for side in "ab"}
    assert len(Taxonomy(layers, {}).ancestors("0a")) == 80  # of 2^40 paths
