"""Find plug-ins by name: a dict of built-ins first, then entry points of installed packages.

importlib.metadata is enough; pluggy and stevedore add hooks and managers that nothing here needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ml_backend.errors import UnknownName

# The built-ins of the group hitl.codecs; the label config asks which kinds there are. The answers of the first are
# regions, each a tuple whose last part is its label.
REGION_CODECS: Mapping[str, str] = {
    "brushlabels": "ml_backend.codecs.masks:BrushLabels",
    "ellipselabels": "ml_backend.codecs.shapes:EllipseLabels",
    "hypertextlabels": "ml_backend.codecs.intervals:HyperTextLabels",
    "keypointlabels": "ml_backend.codecs.shapes:KeyPointLabels",
    "labels": "ml_backend.codecs.intervals:Labels",
    "paragraphlabels": "ml_backend.codecs.intervals:ParagraphLabels",
    "polygonlabels": "ml_backend.codecs.shapes:PolygonLabels",
    "rectanglelabels": "ml_backend.codecs.shapes:RectangleLabels",
    "timelinelabels": "ml_backend.codecs.intervals:TimelineLabels",
    "timeserieslabels": "ml_backend.codecs.intervals:TimeSeriesLabels",
}
CODECS: Mapping[str, str] = {
    **REGION_CODECS,
    "choices": "ml_backend.codecs.choices:Choices",
    "datetime": "ml_backend.codecs.date_time:DateTime",
    "number": "ml_backend.codecs.number:Number",
    "pairwise": "ml_backend.codecs.pairwise:Pairwise",
    "ranker": "ml_backend.codecs.ranker:Ranker",
    "rating": "ml_backend.codecs.rating:Rating",
    "taxonomy": "ml_backend.codecs.taxonomy:Taxonomy",
    "textarea": "ml_backend.codecs.textarea:TextArea",
}


def load(group: str, name: str, builtins: Mapping[str, str]) -> Any:
    """Import and return the plug-in `name`: a built-in ("module:attribute"), or an entry point of `group`.

    Built-ins come first, so that no installed package can replace them. UnknownName suggests the nearest name.
    """
    if name in builtins:
        module, _, attribute = builtins[name].partition(":")
        return getattr(import_module(module), attribute)
    installed = _installed(group)
    if name in installed:
        return installed[name].load()
    known = names(group, builtins)
    similar = get_close_matches(name, known, n=1)
    suggestion = f"; did you mean {similar[0]!r}?" if similar else ""
    raise UnknownName(f"no {group} called {name!r}{suggestion}", hint=f"Known names: {', '.join(known) or 'none'}.")


def names(group: str, builtins: Mapping[str, str]) -> list[str]:
    """Return all names that `load` finds in `group`, sorted."""
    return sorted({*builtins, *_installed(group)})


@cache
def _installed(group: str) -> Mapping[str, EntryPoint]:
    """Return a group's entry points by name; kept, because each search reads the metadata of every package: 10 ms."""
    return {point.name: point for point in entry_points(group=group)}
