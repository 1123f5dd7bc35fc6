"""A rich console that prints the texts of other people as they are: no control character in them is obeyed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook
from rich.segment import Segment
from rich.text import Text

from ml_backend.printable import printable


class PrintableConsole(Console):
    """A console for texts, tables and progress bars; the codes for colours and for the cursor are its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.push_render_hook(_PrintableHook())

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text without control characters, before its width is measured: a table stays in line."""
        return super().render_str(printable(text), **options)


class _PrintableHook(RenderHook):
    """Cleans whatever is printed, also by renderables that never pass `render_str`."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Printable(renderable) for renderable in renderables]


class _Printable:
    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(printable(segment.text, lines=True), segment.style)
