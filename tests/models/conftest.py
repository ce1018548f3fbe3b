"""Fixtures of the tests of networks."""

import functools

import pytest
import seeded
import stand_ins

from sss_lib import models
from sss_lib.models.weights import file as weights


@pytest.fixture(scope="module")
def load_stand_in(tmp_path_factory):
    """Load a model by name, on weights of the published form that lie in the cache."""
    with pytest.MonkeyPatch.context() as patch:
        seeded.accept(tmp_path_factory.mktemp("cache"), patch)

        def load(name):
            stand_ins.write(models.spec(name.partition("+")[0]), weights.cache_dir())
            return models.load(name)

        yield functools.cache(load)
