"""The hypothesis profile of `make quick`: fewer examples; every other run has all of them."""

from __future__ import annotations

from hypothesis import settings

_QUICK = "quick"
_FEWEST = 5

settings.register_profile(_QUICK, max_examples=12)


def examples(most: int) -> int:
    """Return how many examples a property gets: `most`, and an eighth of them under the profile "quick"."""
    return min(most, max(_FEWEST, most // 8)) if settings.get_current_profile_name() == _QUICK else most
