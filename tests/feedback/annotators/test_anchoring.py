"""Anchoring is proven where people follow what they see."""

import numpy as np

from feedback.annotators.anchoring import anchoring


def test_people_who_follow_what_they_see_are_found():
    rng = np.random.default_rng(0)
    people, shown = np.repeat([0, 1], 400), np.tile([True, False], 400)
    agrees = rng.random(800) < np.where((people == 1) & shown, 0.95, 0.75)

    effects = anchoring(people, shown, agrees)

    assert effects[1].low > 0.0
    assert effects[0].low <= 0.0 <= effects[0].high
