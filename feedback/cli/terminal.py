"""The terminal: what Label Studio and its people wrote is printed as it stands, never read as markup."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 120  # columns of a table where nobody says how wide the reader is


def screen(*, errors: bool = False) -> Console:
    """A console on standard output, or on standard error; a label called "[/x]" or ":b:" is just that label."""
    from rich.console import Console

    console = Console(stderr=errors, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    return console
