"""Texts of others among our own words."""

from __future__ import annotations

import pytest

from feedback.reports.formatting import close_direction

LRE, RLO, RLI, PDF, PDI = "\u202a", "\u202e", "\u2067", "\u202c", "\u2069"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain, עברית", ""),
        (f"{RLO}away", PDF),
        (f"{RLO}away{PDF} and back", ""),
        (f"{RLI}{LRE}", PDF + PDI),
        (f"{RLI}{LRE}{PDI}", ""),
        (f"{LRE}{RLI}{PDF}", PDI + PDF),  # within the isolate nothing ends what was opened before it
        (f"{PDI}{PDF}", ""),
    ],
)
def test_every_direction_that_a_text_opens_is_closed_at_its_end(text: str, wanted: str):
    assert close_direction(text) == text + wanted
