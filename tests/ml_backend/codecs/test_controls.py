"""Label configs of every control: what we write passes Label Studio's validation, and answers are read by control."""

from __future__ import annotations

from typing import Any

import pytest
from label_studio_sdk.label_interface.interface import LabelInterface

from ml_backend.codecs import answer_distance, decode_result, describe_result, get_codec
from ml_backend.label_config import read_label_config
from ml_backend.models.learnability import list_learnability
from ml_backend.plugins import CODECS
from tests.support.controls import CASES, Case


def region(name: str, kind: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": "i", "type": kind, "value": value, **more}


def test_every_codec_has_a_case():
    assert {case.control.kind for case in CASES.values()} == set(CODECS)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_we_write_of_every_kind_passes_label_studios_own_validation(case: Case):
    result = get_codec(case.control.kind).encode(case.answer, case.control, 0.9)

    prediction = {"result": result, "score": 0.9, "model_version": "m1"}
    assert LabelInterface(case.label_config).validate_prediction(prediction, return_errors=True) == []
    assert decode_result(result).answers == {"c": case.answer}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_answers_of_every_kind_are_at_least_compared_and_the_reason_says_why_none_learns_them(case: Case):
    (found,) = list_learnability(read_label_config(case.label_config))

    assert found.is_read
    assert found.is_learned or found.reason.endswith(".")
    assert found.is_learned or found.use.startswith("Its answers are compared, not learned")


MANY = """<View><Image name="i" value="$image"/>
<RectangleLabels name="box" toName="i"><Label value="Car" alias="car" hotkey="c"/><Label value="Bus"/></RectangleLabels>
<PolygonLabels name="shape" toName="i"><Label value="Car"/></PolygonLabels>
<Choices name="light" toName="i"><Choice value="Day" alias="d" hotkey="1"/><Choice value="Night" hotkey="2"/></Choices>
<View visibleWhen="choice-selected" whenTagName="light" whenChoiceValue="Night">
<Choices name="lamps" toName="i"><Choice value="on"/><Choice value="off"/></Choices></View>
<Choices name="state" toName="i" perRegion="true" whenTagName="box"><Choice value="new"/><Choice value="old"/></Choices>
<TextArea name="note" toName="i" visibleWhen="region-selected" perRegion="true"/></View>"""
BOX = {"x": 1.0, "y": 2.0, "width": 30.0, "height": 40.0, "rotation": 0}
POLYGON = {"points": [[1, 2], [31, 2], [31, 42]], "closed": True}


def test_a_label_of_two_controls_belongs_to_the_control_that_it_was_given_in():
    read = decode_result(
        [
            region("box", "rectanglelabels", {**BOX, "rectanglelabels": ["Car"]}, id="r1"),
            region("shape", "polygonlabels", {**POLYGON, "polygonlabels": ["Car"]}, id="r2"),
        ]
    )

    assert not read.problems
    assert read.answers["box"].value == ((1.0, 2.0, 30.0, 40.0, 0.0, 1.0, "Car"),)
    assert read.answers["shape"].value == ((((1.0, 2.0), (31.0, 2.0), (31.0, 42.0)), "Car"),)


def test_aliases_are_the_labels_that_answers_have_and_hotkeys_change_nothing():
    controls = {control.name: control.labels for control in read_label_config(MANY).controls}

    assert controls["box"] == ("car", "Bus")
    assert controls["light"] == ("d", "Night")
    assert controls["lamps"] == ("on", "off")


def test_a_control_that_was_hidden_has_no_answer_and_the_others_have_theirs():
    night = [region("light", "choices", {"choices": ["Night"]}), region("lamps", "choices", {"choices": ["on"]})]

    assert set(decode_result(night).answers) == {"light", "lamps"}
    assert set(decode_result([region("light", "choices", {"choices": ["d"]})]).answers) == {"light"}


def test_answers_about_regions_stand_beside_the_regions():
    read = decode_result(
        [
            region("box", "rectanglelabels", {**BOX, "rectanglelabels": ["car"]}, id="r1"),
            region("state", "choices", {**BOX, "choices": ["old"]}, id="r1"),
            region("note", "textarea", {**BOX, "text": ["rusty"]}, id="r1"),
            region("shape", "polygonlabels", {**POLYGON, "polygonlabels": ["Car"]}, id="r2"),
            region("state", "choices", {**POLYGON, "choices": ["new"]}, id="r2"),
        ]
    )

    assert not read.problems
    assert {name: answer.kind for name, answer in read.answers.items()} == {
        "box": "rectanglelabels", "shape": "polygonlabels", "state": "per_region", "note": "per_region",
    }  # fmt: skip
    assert get_codec("per_region").describe(read.answers["note"]) == "rusty (a region)"


@pytest.mark.parametrize(
    ("place", "moved"),
    [
        (BOX, {**BOX, "x": 11.0}),
        (POLYGON, {"points": [[1, 2], [31, 2], [31, 22]]}),
        ({"x": 50, "y": 50, "radiusX": 9, "radiusY": 9}, {"x": 53, "y": 50, "radiusX": 9, "radiusY": 9}),
    ],
)
def test_answers_about_regions_are_compared_by_how_far_the_regions_are_the_same(place, moved):
    first, near, other = (
        decode_result([region("state", "choices", {**where, "choices": [label]})]).answers["state"]
        for where, label in ((place, "new"), (moved, "new"), (moved, "old"))
    )

    assert 0.2 < answer_distance(first, near) < 0.8
    assert answer_distance(first, other) == 1.0


def test_one_control_that_nobody_can_read_costs_no_other_its_answers():
    broken = region("shape", "polygonlabels", {"points": "a circle", "polygonlabels": ["Car"]})
    unknown = region("deep", "cuboidlabels", {"x": 1})

    read = decode_result([broken, unknown, region("light", "choices", {"choices": ["d"]})])

    assert set(read.answers) == {"light"}
    assert [problem.partition(":")[0] for problem in read.problems] == ["control shape", "control deep"]
    assert "shape: an answer of type polygonlabels" in describe_result([broken])
