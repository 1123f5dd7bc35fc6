"""Taxonomy: one or several paths down a tree of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ml_backend.codecs.regions import region, value_of
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer

Path = tuple[str, ...]


class Taxonomy:
    """The answer is the sorted tuple of chosen paths; the distance is one minus the share of common tree nodes.

    A path is all its nodes from the root: who names the right branch and the wrong leaf is half right.

    >>> dog, cat = Answer("taxonomy", (("Animal", "Dog"),)), Answer("taxonomy", (("Animal", "Cat"),))
    >>> round(Taxonomy().distance(dog, cat), 3)
    0.667
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        """Join the paths of all regions."""
        chosen: set[Path] = set()
        for one in regions:
            paths = value_of(one).get("taxonomy")
            if not isinstance(paths, list) or not all(_is_path(path) for path in paths):
                raise CodecError("taxonomy is not a list of paths, each a list of labels")
            chosen.update(tuple(path) for path in paths)
        if not chosen:
            raise CodecError("no path is chosen")
        return Answer("taxonomy", tuple(sorted(chosen)))

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        """One region with every path."""
        return [region(control, "taxonomy", {"taxonomy": [list(path) for path in _paths(answer)]}, score)]

    def distance(self, a: Answer, b: Answer) -> float:
        """One minus the Jaccard index of all nodes on the chosen paths.

        Who also chose a parent that the others' leaf implies differs by half of what the paths differ.
        """
        nodes = _apart(_nodes(a), _nodes(b))
        return nodes or _apart(set(_paths(a)), set(_paths(b))) / 2


def _apart(left: set[Path], right: set[Path]) -> float:
    return 1.0 - len(left & right) / len(left | right) if left | right else 0.0


def _is_path(path: object) -> bool:
    return isinstance(path, list) and bool(path) and all(isinstance(label, str) for label in path)


def _paths(answer: Answer) -> tuple[Path, ...]:
    return cast("tuple[Path, ...]", answer.value)


def _nodes(answer: Answer) -> set[Path]:
    return {path[:depth] for path in _paths(answer) for depth in range(1, len(path) + 1)}
