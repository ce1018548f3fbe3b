"""Words that search sounds, by hand and against plain loops, with a made text tower."""

import numpy as np
import pytest
import scipy.sparse

from sss_lib import models
from sss_lib.dataset import DatasetError
from sss_lib.evaluation import words
from sss_lib.models.catalogue import CATALOGUE


def ranked(corpus, query):
    """Rows from the largest cosine to the least, equal ones in row order."""
    unit = corpus / np.linalg.norm(corpus, axis=1, keepdims=True)
    return sorted(range(len(corpus)), key=lambda i: (-round(float(unit[i] @ query), 12), i))


def plain_ap(right, order, n):
    places = [rank for rank, i in enumerate(order[:n], 1) if i in right]
    return sum((1 + j) / rank for j, rank in enumerate(places)) / min(n, len(right))


@pytest.mark.parametrize("n", [None, 5, 15])
def test_zero_shot_is_as_by_a_plain_loop(n):
    rng = np.random.default_rng(0)
    x, texts, labels = rng.normal(size=(40, 6)), rng.normal(size=(5, 6)), rng.random((40, 5)) < 0.3
    labels[:, 3] = False
    found = words.zero_shot(texts, x, scipy.sparse.csr_array(labels), n)
    for label in range(5):
        right = set(np.flatnonzero(labels[:, label]))
        if label == 3:
            assert np.isnan(found[label])
        else:
            expected = plain_ap(right, ranked(x, texts[label] / np.linalg.norm(texts[label])), n or 40)
            assert found[label] == pytest.approx(expected, abs=1e-12)


class Spoken:
    """Made text tower: which of three words are in a text; of a sound its frames say the same."""

    def __call__(self, wave):
        return wave[None, :3]

    def embed_text(self, text):
        return np.array([word in text.split() for word in ("dog", "rain", "big")], float)


@pytest.fixture
def tower():
    models.register("spoken", Spoken(), rate_hz=16000, dim=3)
    yield models.text_tower(models.spec("spoken"))
    del CATALOGUE["spoken"]


X = np.array([[2.0, 0, 0], [0, 3, 0], [1, 0, 1], [0, 1, 0.1]])
"""A dog, rain, a big dog, and rain with something big."""


def test_class_names_find_their_sounds_by_hand(tower):
    texts = words.embed(tower, ["dog", "big_dog", "rain"])
    np.testing.assert_array_equal(texts, [[1, 0, 0], [1, 0, 1], [0, 1, 0]])
    labels = np.array([[1, 0, 0], [0, 0, 1], [1, 1, 0], [0, 0, 1]], bool)
    np.testing.assert_allclose(words.zero_shot(texts, X, labels), [1, 1, 1])
    labels = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 1]], bool)
    # "dog" has the dog, the big dog, the rain and what has some of big; "big dog" the big one first.
    np.testing.assert_allclose(words.zero_shot(texts, X, labels), [1 / 4, 1 / 2, 1])


CAPTIONS = {
    "lines": "fname,caption\na,dog\nb,rain\nc,big dog\nc,big\nother,dog\n",
    "clotho": "file_name,caption_1,caption_2\na.wav,dog,\nb.wav,rain,\nc.wav,big dog,big\nother.wav,dog,\n",
}


@pytest.mark.parametrize("form", CAPTIONS)
def test_captions_find_their_clips_and_clips_their_captions_by_hand(tower, tmp_path, form):
    (tmp_path / "captions.csv").write_text(CAPTIONS[form])
    texts, clip_of = words.read_captions(tmp_path / "captions.csv", ["a", "b", "c", "d"])
    assert (texts, clip_of.tolist()) == (["dog", "rain", "big dog", "big"], [0, 1, 2, 2])
    x = np.array([[2.0, 0, 0], [0, 1, 0.1], [1, 0, 1], [0, 3, 0]])  # the rain of no caption is nearer
    found = words.captioned(words.embed(tower, texts), x, clip_of)
    to_audio, to_text = found.loc["text to audio"], found.loc["audio to text"]
    assert to_audio["n_queries"] == 4
    assert to_audio[["R@1", "R@5", "R@10"]].tolist() == [3 / 4, 1, 1]
    assert to_audio["mAP@10"] == (1 + 1 / 2 + 1 + 1) / 4
    assert to_text["n_queries"] == 3
    assert to_text["R@1"] == 1
    # Of c, "dog" is as near as "big", and comes first.
    assert to_text["mAP@10"] == pytest.approx((1 + 1 + (1 + 2 / 3) / 2) / 3)


def test_retrieval_on_clothos_form_is_as_by_a_plain_loop():
    rng = np.random.default_rng(1)
    x, clip_of = rng.normal(size=(30, 8)), np.repeat(np.arange(30), 5)
    texts = x[clip_of] + 2 * rng.normal(size=(150, 8))
    found = words.captioned(texts, x, clip_of)
    for side, queries, corpus, right_of in [
        ("text to audio", texts, x, lambda i: {clip_of[i]}),
        ("audio to text", x, texts, lambda i: set(range(5 * i, 5 * i + 5))),
    ]:
        orders = [ranked(corpus, query / np.linalg.norm(query)) for query in queries]
        for k in (1, 5, 10):
            share = np.mean([bool(right_of(i) & set(order[:k])) for i, order in enumerate(orders)])
            assert found.loc[side, f"R@{k}"] == pytest.approx(share)
        precision = np.mean([plain_ap(right_of(i), order, 10) for i, order in enumerate(orders)])
        assert found.loc[side, "mAP@10"] == pytest.approx(precision)


@pytest.mark.parametrize(
    ("content", "message"),
    [("fname,text\na,dog\n", "give fname,caption"), ("caption\ndog\n", "give fname,caption")]
    + [("fname,caption\nz,dog\n", "none of the 2 clips"), ("fname,caption\na, \n", "none of the 2 clips")],
)
def test_tables_without_captions_are_refused(tmp_path, content, message):
    (tmp_path / "captions.csv").write_text(content)
    with pytest.raises(DatasetError, match=message):
        words.read_captions(tmp_path / "captions.csv", ["a", "b"])


def test_orders_of_systems_agree_by_hand():
    by_audio = np.array([[0.1, 0.2, np.nan], [0.3, 0.4, 0.5], [0.6, 0.7, 0.8]])
    same = words.agreement(by_audio, by_audio / 2)
    assert (same.tau, same.ci_low, same.ci_high) == (1, 1, 1)
    assert words.agreement(by_audio, -by_audio).tau == -1
    turned = words.agreement(by_audio, np.array([[0.1, 0.1, 0.1], [0.3, 0.3, 0.3], [0.2, 0.2, 0.2]]))
    assert turned.tau == pytest.approx(1 / 3)
    unsure = words.agreement(np.array([[0.0, 1.0], [0.6, 0.6]]), np.array([[0.0, 0.0], [1.0, 1.0]]), seed=3)
    assert (unsure.tau, unsure.ci_low, unsure.ci_high) == (1, -1, 1)
