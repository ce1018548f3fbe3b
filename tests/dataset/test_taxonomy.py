"""A vocabulary of one's own: ancestors on request, and what can't be one is refused."""

import pandas as pd
import pytest

from sss_lib import dataset, taxonomy
from sss_lib.dataset import DatasetError
from sss_lib.dataset.known import fsd50k
from sss_lib.dataset.taxonomy import Taxonomy


@pytest.fixture
def table(tmp_path):
    def write(text):
        (tmp_path / "classes.csv").write_text(text)
        return tmp_path / "classes.csv"

    return write


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
def test_a_label_may_have_several_parents_that_meet_again(table, column):
    path = table(f'label,{column},family\nWolf,"Dog, Wild",A\nDog,Animal,A\nWild,Animal,A\nAnimal,,A\n')
    classes = taxonomy.read(path)
    assert classes.ancestors("Wolf") == ["Dog", "Wild", "Animal"]
    assert classes.complete(["Wolf", "Dog"]) == ["Wolf", "Dog", "Wild", "Animal"]


def test_a_table_without_parents_has_no_ancestors(table):
    classes = taxonomy.read(table("label,family\nDog,A\nCat,\n"))
    assert classes.complete(["Dog"]) == ["Dog"]
    assert classes.families == {"Dog": "A", "Cat": ""}


def test_a_table_without_families_has_none(table):
    classes = taxonomy.read(table("label,parent\nDog,Animal\nAnimal,\n"))
    assert classes.complete(["Dog"]) == ["Dog", "Animal"]
    assert classes.families == {"Dog": "", "Animal": ""}
    with pytest.raises(DatasetError, match=r"columns label, kind, but no 'family'"):
        taxonomy.read(table("label,kind\nDog,Animal\n"))


def test_spaces_around_a_name_are_none_of_it(table):
    classes = taxonomy.read(table("label, parents ,family\n Dog ,Animal , Living\nAnimal,, Living \n"))
    assert classes.parents == {"Dog": ("Animal",), "Animal": ()}
    assert set(classes.families.values()) == {"Living"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (",,A\nDog,,", r"1 lines have no label \(2\)"),
        ("Dog,Dog,", r"classes.csv: 'Dog' is its own ancestor \(Dog > Dog\)"),
        ("Dog,Pet,\nPet,Animal,\nAnimal,Dog,", r"own ancestor \(Dog > Pet > Animal > Dog\): take one"),
        ("Cat,,\nDog,Pet,\nPet,Animal,\nAnimal,Pet,", r"\(Pet > Animal > Pet\)"),
        (
            "Dog,Animl,\nAnimal,,",
            r"1 parents are not among the labels: give each a line .* \('Animl'\)",
        ),
        ("Dog,,\nDog,,", r"1 labels stand twice \('Dog'\)"),
    ],
)
def test_what_can_be_no_taxonomy_is_refused(table, rows, message):
    with pytest.raises(DatasetError, match=message):
        taxonomy.read(table(f"label,parents,family\n{rows}\n"))


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere\.csv does not exist"):
        taxonomy.read(tmp_path / "nowhere.csv")


def test_ancestors_are_added_on_request_only(collection):
    table = collection / "ground_truth.csv"
    table.write_text(
        table.read_text("utf-8").replace("Dog,Animal", "Dog").replace("Cat,Animal", "Cat"), "utf-8"
    )
    assert dataset.load(collection).class_sizes().to_dict() == {"Animal": 1, "Cat": 1, "Dog": 2, "Rain": 2}
    full = dataset.load(collection, add_ancestors=True)
    assert full.class_sizes().to_dict() == {"Animal": 4, "Cat": 1, "Dog": 2, "Rain": 2}
    assert full.clips["labels"].tolist()[3] == ["Dog", "Rain", "Animal"]
    same = dataset.from_folder(
        collection / "audio",
        table,
        taxonomy.read(collection / "classes.csv"),
        add_ancestors=True,
    )
    pd.testing.assert_frame_equal(same.clips, full.clips)


def test_ancestors_need_a_vocabulary(collection):
    (collection / "classes.csv").unlink()
    with pytest.raises(DatasetError, match="tiny has no vocabulary that would tell ancestors"):
        dataset.load(collection, add_ancestors=True)


def test_a_mapping_of_families_is_a_vocabulary_without_a_hierarchy(collection):
    families = {"Animal": "Living", "Cat": "Living", "Dog": "Living", "Rain": ""}
    found = dataset.from_folder(collection / "audio", collection / "ground_truth.csv", families)
    assert found.families == {"Animal": "Living", "Cat": "Living", "Dog": "Living"}
    with pytest.raises(DatasetError, match="outside the vocabulary of 3 classes"):
        dataset.from_folder(
            collection / "audio",
            collection / "ground_truth.csv",
            {k: families[k] for k in ("Animal", "Cat", "Dog")},
        )


def test_a_deep_taxonomy_and_one_of_many_paths_are_quick():
    deep = Taxonomy({str(i): (str(i + 1),) if i < 4000 else () for i in range(4001)}, {})
    assert len(deep.ancestors("0")) == 4000
    with pytest.raises(DatasetError, match=r"is its own ancestor"):
        Taxonomy({str(i): (str((i + 1) % 4000),) for i in range(4000)}, {})
    layers = {f"{i}{side}": (f"{i + 1}a", f"{i + 1}b") if i < 40 else () for i in range(41) for side in "ab"}
    assert len(Taxonomy(layers, {}).ancestors("0a")) == 80  # of 2^40 paths
