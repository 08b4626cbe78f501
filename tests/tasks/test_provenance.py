"""A task is recognised by its images under another name."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from medshot.imaging import Vectors
from medshot.tasks import MARKS, Task, marks_of

IMAGES = 200


def task_of(seed: int) -> Task:
    values = Vectors(np.random.default_rng(seed).normal(size=(IMAGES, 3)))
    return Task("one", values, np.arange(IMAGES) % 2, ("a", "b"), np.arange(IMAGES))


WHOLE = task_of(0)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.3, 1))
def test_a_part_in_any_order_and_under_any_name_shares_marks(seed: int, share: float):
    rows = np.random.default_rng(seed).permutation(IMAGES)[: round(share * IMAGES)]
    part = replace(WHOLE, name="two", rows=WHOLE.rows[rows], labels=WHOLE.labels[rows], patients=WHOLE.patients[rows])
    assert set(marks_of(part)) & set(marks_of(WHOLE))
    assert len(marks_of(part)) == MARKS


def test_other_images_share_none():
    assert not set(marks_of(task_of(1))) & set(marks_of(WHOLE))
