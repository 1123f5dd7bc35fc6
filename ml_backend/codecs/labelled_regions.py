"""The one codec of all labelled regions: a table says how each kind is read, written, compared and described."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from ml_backend.codecs.regions import describe_regions, make_region, mean_similarity, read_labels, region_value
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer

Geometry: TypeAlias = tuple[Any, ...]  # what says where a region is; the numbers are those of the kind
LabelledRegion: TypeAlias = tuple[Any, ...]  # the parts of a geometry, then the label
_MIN_DISTANCE = 1e-6  # of answers that differ in nothing that the measure sees, such as where a polygon begins


@dataclass(frozen=True, slots=True)
class RegionKind:
    """What is special about one kind of labelled region."""

    name: str  # the type of its regions, and the name of the list of labels in their values
    read: Callable[[Mapping[str, Any]], Iterable[Geometry]]  # of a region; CodecError says what is wrong
    write: Callable[[Geometry, Control], tuple[dict[str, Any], dict[str, Any]]]  # fields of the value, of the region
    similarity: Callable[[Geometry, Geometry], float]  # in [0, 1], symmetric
    describe: Callable[[Geometry, str], str]  # the place in words, for a text that the control shows
    # of two answers; None: one minus the mean similarity of regions that are matched one to one
    distance: Callable[[Sequence[LabelledRegion], Sequence[LabelledRegion]], float] | None = None


class RegionCodec:
    """An answer is a sorted tuple of regions, each a geometry and then its label.

    The distance is one minus the mean similarity of matched regions: those with the same label are matched one to one
    (Kuhn, 1955, doi:10.1002/nav.3800020109), and a region without a partner counts as similarity 0. A kind may have
    another distance.
    """

    def __init__(self, kind: RegionKind) -> None:
        self._kind = kind

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        kind = self._kind
        found: set[LabelledRegion] = set()
        for region in regions:
            geometries = list(kind.read(region))
            labels = read_labels(region_value(region), kind.name)
            found |= {(*geometry, label) for geometry in geometries for label in labels}
        if not found:
            raise CodecError("there is no region")
        try:
            return Answer(kind.name, tuple(sorted(found)))
        except TypeError as error:
            raise CodecError("some times are numbers and some are texts") from error

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        """Return one region for each label and place; where a region needs the sides of its image, it has them."""
        found = []
        for *geometry, label in regions_of(answer):
            value, fields = self._kind.write(tuple(geometry), control)
            value[self._kind.name] = [label]
            found.append({**make_region(control, self._kind.name, value, score, named=True), **fields})
        return found

    def distance(self, a: Answer, b: Answer) -> float:
        if a == b:
            return 0.0
        left, right, measure = regions_of(a), regions_of(b), self._kind.distance
        found = measure(left, right) if measure else 1.0 - mean_similarity(left, right, self.similarity)
        return min(max(found, _MIN_DISTANCE), 1.0)

    def similarity(self, a: LabelledRegion, b: LabelledRegion) -> float:
        """Return the similarity of two regions, in [0, 1]; 0 for different labels."""
        if a[-1] != b[-1]:
            return 0.0
        return 1.0 if a == b else self._kind.similarity(a[:-1], b[:-1])

    def describe(self, answer: Answer, text: str = "", /) -> str:
        return describe_regions([self._describe_region(region, text) for region in regions_of(answer)])

    def _describe_region(self, region: LabelledRegion, text: str) -> str:
        return f"{region[-1]}{self._kind.describe(region[:-1], text)}"


def regions_of(answer: Answer) -> tuple[LabelledRegion, ...]:
    """Return the regions of an answer of one of these kinds."""
    return cast("tuple[LabelledRegion, ...]", answer.value)
