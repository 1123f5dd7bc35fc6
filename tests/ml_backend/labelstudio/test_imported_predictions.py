"""Imported predictions are chosen and merged whatever they hold: Label Studio stores any JSON as a result."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ml_backend.labelstudio.imported_predictions import ImportedPrediction, ImportedVersions

ANY = st.sampled_from([None, True, 3, "", "label", "a", [], ["a"], {}, {"a": 1}])
REGION = st.dictionaries(st.sampled_from(["id", "from_name", "type", "from_id", "to_id", "value"]), ANY)


@given(st.lists(st.one_of(ANY, REGION, st.lists(REGION, max_size=4)), max_size=4))
def test_no_content_of_an_imported_prediction_raises(results: list[Any]):
    rows = [{"id": number, "model_version": "v1", "result": result} for number, result in enumerate(results)]
    chosen = ImportedVersions(lambda _version: False).choose(rows)

    if chosen is not None:
        assert all(isinstance(region, dict) for region in chosen.result)
        assert len(chosen.without("label")) <= len(chosen.result)
        assert "" not in chosen.controls()


def test_relations_and_attributes_go_with_the_regions_that_our_model_replaces():
    spans = tuple({"id": name, "from_name": "label", "type": "labels"} for name in ("a", "b"))
    other = {"id": "c", "from_name": "mark", "type": "labels"}
    sure = {"id": "a", "from_name": "sure", "type": "choices"}
    relations = tuple({"type": "relation", "from_id": a, "to_id": b} for a, b in (("a", "b"), ("c", "c")))
    prediction = ImportedPrediction("v1", (*spans, other, sure, *relations))

    assert prediction.without("label") == (other, relations[1])
    assert prediction.without("sure") == (*spans, other, *relations)
