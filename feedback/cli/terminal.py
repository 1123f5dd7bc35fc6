"""The terminal: texts from people are printed as they are, never interpreted as markup."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 120  # columns of a table when the width is unknown


def screen(*, errors: bool = False) -> Console:
    """Return a console on standard output or standard error that prints "[/x]" and ":b:" as they are."""
    from rich.console import Console

    console = Console(stderr=errors, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    return console
