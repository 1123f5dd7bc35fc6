"""Each kind reads what Label Studio's editor really writes."""

import pytest

from ml_backend.codecs import decode_result, get_codec
from ml_backend.label_config import Control, read_label_config
from ml_backend.records import Answer

EDITOR = [  # regions as Label Studio 1.23 stores them
    ({"from_name": "m", "to_name": "t", "type": "choices", "value": {"choices": ["X", "Z"]}}, ("X", "Z")),
    (
        {"from_name": "x", "to_name": "t", "type": "taxonomy", "value": {"taxonomy": [["Animal", "Dog"], ["Plant"]]}},
        (("Animal", "Dog"), ("Plant",)),
    ),
    ({"from_name": "r", "to_name": "t", "type": "rating", "value": {"rating": 4}}, 4),
    ({"from_name": "n", "to_name": "t", "type": "number", "value": {"number": 3.5}}, 3.5),
    ({"from_name": "p", "to_name": "img,img2", "type": "pairwise", "value": {"selected": "left"}}, "left"),
    (
        {
            "id": "s1",
            "from_name": "l",
            "to_name": "t",
            "type": "labels",
            "value": {"start": 0, "end": 5, "text": "Alice", "labels": ["PER"]},
            "score": 0.9,
        },
        ((0, 5, "PER"),),
    ),
    (
        {
            "id": "r1",
            "from_name": "b",
            "to_name": "img",
            "type": "rectanglelabels",
            "original_width": 640,
            "original_height": 480,
            "image_rotation": 0,
            "value": {"x": 10, "y": 20, "width": 30, "height": 15, "rotation": 0, "rectanglelabels": ["Car"]},
        },
        ((10.0, 20.0, 30.0, 15.0, 0.0, 1.0, "Car"),),
    ),
]


@pytest.mark.parametrize(
    ("region", "value"), EDITOR, ids=lambda given: given["type"] if isinstance(given, dict) else ""
)
def test_a_stored_region_is_read(region, value):
    read = decode_result([region])

    assert read.answers == {region["from_name"]: Answer(region["type"], value)}
    assert not read.problems


@pytest.mark.parametrize(
    ("regions", "problem"),
    [
        ([{"start": 0, "labels": ["PER"]}], "end is None, wanted a number"),
        ([{"start": 3, "end": 3, "labels": ["PER"]}], "a span from 3 to 3 is empty"),
    ],
)
def test_a_span_without_an_end_is_named(regions, problem):
    read = decode_result([{"from_name": "l", "to_name": "t", "type": "labels", "value": one} for one in regions])

    assert read.problems == (f"control l: {problem}",)


def test_spans_of_hypertext_are_read_by_their_global_offsets():
    value = {
        "start": "/p[1]/text()[1]",
        "end": "/p[1]/text()[1]",
        "globalOffsets": {"start": 3, "end": 8},
        "labels": ["A"],
    }

    assert get_codec("labels").decode([{"value": value}]).value == ((3, 8, "A"),)


def test_pairwise_names_one_object_or_label_studio_drops_it():
    control = Control("p", "img,img2", "pairwise", (), False, "image", "a")

    assert get_codec("pairwise").encode(Answer("pairwise", "left"), control, None)[0]["to_name"] == "img"


def test_regions_get_the_same_id_every_time():
    control = Control("l", "t", "labels", ("PER",), False, "text", "text")
    answer = Answer("labels", ((0, 5, "PER"), (7, 9, "PER")))

    first, second = (get_codec("labels").encode(answer, control, None) for _ in range(2))

    assert first == second
    assert len({region["id"] for region in first}) == 2


def test_the_right_branch_and_the_wrong_leaf_is_nearer_than_another_branch():
    dog, cat, oak = (Answer("taxonomy", (path,)) for path in (("Animal", "Dog"), ("Animal", "Cat"), ("Plant", "Oak")))

    assert get_codec("taxonomy").distance(dog, cat) < get_codec("taxonomy").distance(dog, oak) == 1.0


def test_neighbouring_ratings_are_nearer_than_far_ones():
    one, two, five = (Answer("rating", stars) for stars in (1, 2, 5))

    assert get_codec("rating").distance(one, two) < get_codec("rating").distance(one, five) < 1.0


CONFIG = """<View><Text name="t" value="$t"/><Image name="img" value="$i"/><Image name="img2" value="$j"/>
<Choices name="m" toName="t" choice="multiple"><Choice value="X"/><Choice value="Z"/></Choices>
<Taxonomy name="x" toName="t"><Choice value="Animal"><Choice value="Dog"/></Choice><Choice value="Plant"/></Taxonomy>
<Rating name="r" toName="t" maxRating="5"/><Number name="n" toName="t"/>
<Labels name="l" toName="t"><Label value="PER"/></Labels>
<RectangleLabels name="b" toName="img"><Label value="Car"/></RectangleLabels>
<Pairwise name="p" toName="img,img2"/></View>"""


@pytest.mark.parametrize(
    ("region", "value"), EDITOR, ids=lambda given: given["type"] if isinstance(given, dict) else ""
)
def test_what_we_write_passes_label_studios_own_validation(region, value):
    from label_studio_sdk.label_interface.interface import LabelInterface

    control = next(one for one in read_label_config(CONFIG).controls if one.name == region["from_name"])
    result = get_codec(region["type"]).encode(Answer(region["type"], value), control, 0.9)

    prediction = {"result": result, "score": 0.9, "model_version": "m1"}
    assert LabelInterface(CONFIG).validate_prediction(prediction, return_errors=True) == []
