"""Before anybody works: each control is learned, or named with the reason; so is what in the tasks' data forbids it."""

from dataclasses import replace
from pathlib import Path

import label_studio
import pytest
import yaml

from ml_backend.features.media_fetcher import MediaFetcher
from ml_backend.label_config import read_label_config
from ml_backend.models.learnability import find_obstacles, list_learnability

TEMPLATES = sorted((Path(label_studio.__file__).parent / "annotation_templates").rglob("config.yml"))
PER_REGION = "perRegion='true'"
CHOICES = "<Choices name='c' toName='o' {}><Choice value='a'/><Choice value='b'/></Choices>"


def control_of(shown, attributes=""):
    return read_label_config(f"<View>{shown}{CHOICES.format(attributes)}</View>").control()


def obstacles(control, *data):
    found = find_obstacles(control, data, MediaFetcher("http://studio:8080", hosts=["cdn.example.org"]).check)
    return [f"{item.what} {item.remedy}" for item in found]


def test_every_control_of_label_studios_own_templates_is_learned_or_says_why_not():
    assert len(TEMPLATES) > 60
    for template in TEMPLATES:
        config = read_label_config(yaml.safe_load(template.read_text())["config"])

        found = list_learnability(config)

        assert config.controls, template
        assert [item.control for item in found] == list(config.controls), template
        for item in found:
            kind = (item.control.object_kind, item.control.kind)
            is_usual = kind[1] == "choices" and kind[0] in ("text", "hypertext", "image", "table")
            is_plain = is_usual and not item.control.problem and not item.control.multiple
            assert item.is_learned == is_plain, (template, item)
            assert item.is_learned or item.reason.endswith("."), (template, item)


def test_answers_that_nothing_can_read_are_told_from_those_that_can_be_compared():
    shown = "<Text name='o' value='$text'/>"
    config = read_label_config(
        f"<View>{shown}<Image name='i' value='$i'/><Labels name='l' toName='i'><Label value='x'/></Labels>"
        "<Rectangle name='box' toName='i'/><TextArea name='note' toName='o'/><Rating name='stars' toName='o'/>"
        f"<Repeater on='$pages' indexFlag='{{{{i}}}}'><Text name='p{{{{i}}}}' value='$pages[{{{{i}}}}]'/>"
        "<Choices name='c{{i}}' toName='p{{i}}'><Choice value='a'/></Choices></Repeater></View>"
    )

    read = {item.control.name: item.is_read for item in list_learnability(config)}

    assert read == {"l": False, "box": False, "note": True, "stars": True, "c{{i}}": False}


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("gs://bucket/p.png", ("gs://bucket/p.png", "is not fetched", "keys of the bucket")),
        ("s3://bucket/p.png?X-Signature=secret", ("s3://bucket/p.png", "keys of the bucket")),
        ("azure-blob://box/p.png", ("is not fetched", "keys of the bucket")),
        ("file:///etc/passwd", ("is not fetched", "uploaded to Label Studio")),
        ("https://images.example.com/p.png", ("host that is not allowed", "HITL_MEDIA_HOSTS")),
        ("C:\\pictures\\p.png", ("is not an address",)),
    ],
)
def test_images_that_are_never_fetched_are_named_with_the_reason_and_the_remedy(address, words):
    control = control_of("<Image name='o' value='$image'/>")

    (found,) = obstacles(control, {"image": address}, {"image": address})

    assert found.startswith("in all of the first 2 tasks: an image that is not opened")
    assert all(word in found for word in words)
    assert "secret" not in found


def test_images_that_may_be_fetched_are_no_obstacle_and_the_others_are_counted_by_remedy():
    control = control_of("<Image name='o' value='$image'/>")
    fine = [
        "data:image/png;base64,AAAA",
        "/data/upload/1/p.png",
        "http://studio:8080/p.png",
        "https://cdn.example.org/p",
    ]

    assert obstacles(control, *({"image": address} for address in fine)) == []
    found = obstacles(control, *({"image": address} for address in (*fine, "gs://a/p", "s3://b/p", "ftp://c/p")), {})
    assert [sentence.partition(":")[0] for sentence in found] == [
        "in 1 of the first 8 tasks",  # no address
        "in 2 of the first 8 tasks",  # buckets
        "in 1 of the first 8 tasks",
    ]


def test_a_text_field_that_tasks_lack_is_said_with_the_fields_that_they_have():
    control = control_of("<Text name='o' value='$body'/>")

    (found,) = obstacles(control, {"text": "late"}, {"text": "fine", "id": 7})
    assert found == "in all of the first 2 tasks: no text in the field 'body'. The tasks have: id, text."
    (found,) = obstacles(control, {"body": "late"}, {"body": ["fine"]})
    assert found.startswith("in 1 of the first 2 tasks: no text")
    assert obstacles(control, {"body": "late"}) == []
    assert obstacles(control) == []


def test_tasks_without_the_options_that_they_should_bring_along_are_counted():
    xml = "<View><Text name='t' value='$t'/><Choices name='c' toName='t' value='$options'/></View>"
    control = read_label_config(xml).control()

    (found,) = obstacles(control, {"t": "x", "options": [{"value": "a"}]}, {"t": "y"}, {"t": "z", "options": "a"})
    assert found.startswith("in 2 of the first 3 tasks: no options in the field 'options'.")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["a", "b"], "options in the field 'options' that Label Studio does not show, because they are texts"),
        ([], "no options in the field 'options'"),
        ([{"value": " "}], "no options in the field 'options'"),
    ],
)
def test_options_that_nobody_can_choose_are_said(options, words):
    control = control_of("<Text name='o' value='$t'/>", "value='$options'")
    bare = replace(control, labels=())

    (found,) = obstacles(bare, {"t": "x", "options": options}, {"t": "y", "options": options})

    assert found.startswith(f"in all of the first 2 tasks: {words}.")
    assert '[{"value": "Late"}' in found


def test_options_of_which_no_two_tasks_have_one_are_said():
    control = replace(control_of("<Text name='o' value='$t'/>", "value='$options'"), labels=())
    data = [{"t": "x", "options": [{"value": f"a{number}"}, {"value": f"b{number}"}]} for number in range(3)]

    (found,) = obstacles(control, *data)

    assert found.startswith("in all of the first 3 tasks: no option in the field 'options' that another of them has.")
    assert obstacles(control, *data, data[0]) == []


def test_texts_that_are_addresses_in_a_bucket_are_said_and_texts_about_one_are_not():
    control = control_of("<Text name='o' value='$t'/>")

    (found,) = obstacles(control, {"t": "S3://box/1.txt"}, {"t": "gs://box/2.txt"}, {"t": "a copy of s3://box/1.txt"})

    assert found.startswith("in 2 of the first 3 tasks: an address of a bucket instead of a text: 'S3://box/1.txt'.")
    assert obstacles(control, {"t": "https://example.com/1.txt"}) == []


def test_pages_of_nothing_but_tags_and_lists_of_addresses_are_said():
    page = control_of("<HyperText name='o' value='$page'/>")
    image = control_of("<Image name='o' value='$images'/>")

    assert obstacles(page, {"page": "<p>late</p>"}) == []
    (found,) = obstacles(page, {"page": "<img src='s3://box/1.png'/>"})
    assert found.startswith("in all of the first 1 tasks: no text in the field 'page'.")
    (found,) = obstacles(image, {"images": ["gs://box/1.png", "azure-blob://box/2.png"], "id": 7})
    assert found.endswith("no address in the field 'images'. The tasks have: id, images (a list).")


def test_a_hosted_model_may_read_what_our_recipes_cannot_but_learns_no_answers_about_parts():
    page = read_label_config(f"<View><Text name='o' value='$u' valueType='url'/>{CHOICES.format('')}</View>")
    part = read_label_config(f"<View><Text name='o' value='$t'/>{CHOICES.format(PER_REGION)}</View>")

    assert [list_learnability(config, hosted=True)[0].is_learned for config in (page, part)] == [True, False]
    assert not list_learnability(page)[0].is_learned
    assert page.matching_control(page.control()) == page.control()
    assert part.matching_control(part.control()) is None
    own = read_label_config("<View><Text name='o' value='$t'/><Choices name='c' toName='o' value='$options'/></View>")
    assert "takes them from the field 'options'" in list_learnability(own, hosted=True)[0].reason
    plain = read_label_config(f"<View><Text name='o' value='$u'/>{CHOICES.format('')}</View>")
    assert page.matching_control(plain.control()) is None  # it learned texts, and would read addresses


def test_tasks_without_a_table_are_told():
    table = control_of("<Table name='o' value='$facts'/>")

    assert obstacles(table, {"facts": {"age": 3}}, {"facts": [{"key": "age", "value": 3}]}) == []
    (found,) = obstacles(table, {"facts": "age: 3"}, {})
    assert found.startswith("in all of the first 2 tasks: no table in the field 'facts'.")
