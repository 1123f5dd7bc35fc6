"""The codec of Taxonomy: one or several paths in a tree of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ml_backend.clean_text import clean_text
from ml_backend.codecs.regions import describe_regions, jaccard_distance, make_region, region_value
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer

Path = tuple[str, ...]


class Taxonomy:
    """An answer is a sorted tuple of paths; the distance is one minus the Jaccard index of their tree nodes.

    A path counts with all its nodes from the root, so that the right branch with a wrong leaf is partly right. This is
    the set-augmentation of Kiritchenko et al. (2006), doi:10.1007/11766247_34, for hierarchical classes.

    >>> dog, cat = Answer("taxonomy", (("Animal", "Dog"),)), Answer("taxonomy", (("Animal", "Cat"),))
    >>> round(Taxonomy().distance(dog, cat), 3)
    0.667
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        chosen: set[Path] = set()
        for region in regions:
            paths = region_value(region).get("taxonomy")
            if not isinstance(paths, list) or not all(
                path and isinstance(path, list) and all(isinstance(label, str) for label in path) for path in paths
            ):
                raise CodecError("taxonomy is not a list of paths, each a list of labels")
            chosen.update(tuple(map(clean_text, path)) for path in paths)
        if not chosen:
            raise CodecError("no path is chosen")
        return Answer("taxonomy", tuple(sorted(chosen)))

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        return [make_region(control, "taxonomy", {"taxonomy": [list(path) for path in _paths(answer)]}, score)]

    def distance(self, a: Answer, b: Answer) -> float:
        nodes = jaccard_distance(_nodes(a), _nodes(b))
        # 0 for other paths where one answer also names a parent
        return nodes or jaccard_distance(set(_paths(a)), set(_paths(b))) / 2

    def describe(self, answer: Answer, _text: str = "", /) -> str:
        return describe_regions([" > ".join(path) for path in _paths(answer)])


def _paths(answer: Answer) -> tuple[Path, ...]:
    return cast("tuple[Path, ...]", answer.value)


def _nodes(answer: Answer) -> set[Path]:
    return {path[:depth] for path in _paths(answer) for depth in range(1, len(path) + 1)}
