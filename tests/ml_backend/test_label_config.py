import re

import pytest

from ml_backend.errors import LabelConfigError, UnknownName
from ml_backend.label_config import read_label_config
from ml_backend.models import recipe_for
from ml_backend.models.text_classifier import TextChoices
from ml_backend.records import field_value


def asks_about(value):
    """The control of a project whose text shows `value`."""
    choices = "<Choices name='c' toName='t'><Choice value='a'/><Choice value='b'/></Choices>"
    return read_label_config(f"<View><Text name='t' value='{value}'/>{choices}</View>").control()


@pytest.mark.parametrize("value", ["Is it rude?", "Hello $name"])
def test_an_object_that_shows_no_data_field_has_no_recipe(value):
    control = asks_about(value)

    assert control.field == ""
    with pytest.raises(UnknownName, match="shows no data field"):
        recipe_for(control)


def test_a_control_that_shows_its_data_in_a_way_of_its_own_does_not_spoil_its_neighbours():
    own = "<ReactCode name='r' toName='r' data='$image'/>"
    text = "<Text name='t' value='$text'/><Choices name='c' toName='t'><Choice value='a'/></Choices>"

    config = read_label_config(f"<View>{own}{text}</View>")

    assert {control.name: control.field for control in config.controls} == {"r": "", "c": "text"}


def test_what_is_nested_in_the_data_is_learned_from_as_label_studio_shows_it():
    control = asks_about("$order.notes[0]")
    data = [
        {"order": {"notes": [f"{word} parcel {number}", "seen"]}} for number in range(8) for word in ("late", "fine")
    ]

    model = TextChoices().fit(data, ["a", "b"] * 8, field=control.field)

    assert model.predict_proba([{"order": {"notes": ["late parcel"]}}])[0].argmax() == model.classes.index("a")


@pytest.mark.parametrize(
    "data",
    [{}, {"a": None}, {"a": "text"}, {"a": ["b"]}, {"a": {"b": []}}, {"a": {"b": {"0": {"c": 1}}}}, [], None, "a.b"],
)
def test_a_path_that_leads_nowhere_finds_nothing(data):
    assert field_value(data, "a.b[0].d") is None
    assert field_value(data, "a.b[" + "9" * 5_000 + "]") is None


def test_a_key_with_a_dot_of_its_own_goes_before_what_is_nested():
    assert field_value({"a.b": "flat", "a": {"b": "deep"}}, "a.b") == "flat"


def test_a_control_that_is_not_there_is_blamed_on_the_policy_that_names_it():
    config = read_label_config("<View><Text name='t' value='$t'/><Rating name='stars' toName='t'/></View>")

    with pytest.raises(LabelConfigError, match="it has: stars") as refused:
        config.control("kind")

    assert "hitl.toml" in refused.value.hint


def test_label_configs_are_kept_within_a_bound_of_bytes():
    head = "<View><Text name='t' value='$text'/><Choices name='c' toName='t'>"
    long = "".join(f"<Choice value='{number:0500d}'/>" for number in range(1_000))
    first = read_label_config(f"{head}{long}</Choices></View>")
    assert read_label_config(first.xml) is first

    for number in range(8):
        read_label_config(f"{head}{long}<Choice value='other {number}'/></Choices></View>")

    assert read_label_config(first.xml) is not first


LABELS = "<Choice value='a'/><Choice value='b'/>"


def control_of(attributes="", *, shown="<Text name='t' value='$text'/>", labels=LABELS, to="t", around="{}"):
    """The control of a config that asks for one label, with an obstacle."""
    choices = f"<Choices name='c' toName='{to}' {attributes}>{labels}</Choices>"
    return read_label_config(f"<View>{around.format(shown + choices)}</View>").control()


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.swapcase])
@pytest.mark.parametrize(
    "names", [r"(?<=<)/?\w+", r"\w+(?==)", r"(?<=<)/?\w+|\w+(?==)"], ids=["tags", "attributes", "both"]
)
def test_tags_and_attributes_may_be_in_any_case(names, spell):
    xml = f"<View><Text name='t' value='$text'/><Choices name='c' toName='t'>{LABELS}</Choices></View>"

    control = read_label_config(re.sub(names, lambda found: spell(found[0]), xml)).control()

    assert control == control_of()
    assert recipe_for(control).name.startswith("text-choices")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"attributes": "perRegion='true'"}, "about each region (perRegion)"),
        ({"attributes": "perItem='true'"}, "about each item (perItem)"),
        ({"attributes": "perMessage='true'"}, "about each message (perMessage)"),
        ({"attributes": "PERREGION='true'"}, "about each region (perRegion)"),
        ({"around": "<Repeater on='$pages' indexFlag='{{{{idx}}}}'>{}</Repeater>"}, "stands in a Repeater"),
        ({"around": "<repeater on='$pages'><View>{}</View></repeater>"}, "stands in a Repeater"),
        ({"shown": "<Text name='t' value='$link' valueType='url'/>"}, "address in the field 'link'"),
        ({"shown": "<HyperText name='t' value='$page' valuetype='url'/>"}, "address in the field 'page'"),
        ({"shown": "<Text name='t' value='$text' encoding='base64'/>"}, "is encoded"),
        ({"shown": "<Image name='t' valueList='$pages'/>"}, "several files"),
        ({"shown": "<Text name='t' value='$a'/><Text name='u' value='$b'/>", "to": "t,u"}, "several objects (t, u)"),
        ({"labels": ""}, "list of labels is empty"),
        ({"labels": "<Choice value='a'/>"}, "no label but 'a'"),
        ({"labels": "<Choice value='a '/><Choice value='a'/>"}, "no label but 'a'"),
        (
            {"attributes": "allowNested='true'", "labels": "<Choice value='1'><Choice value='x'/></Choice>"},
            "no label but '1 > x'",
        ),
        ({"labels": f"{LABELS}<Choice value=' '/>"}, "one of its labels is empty"),
        ({"labels": "<Choice value='$first'/><Choice value='$all.second'/>"}, "shows the field 'first' of each task"),
        ({"labels": "<Choice value='up to $5'/><Choice value='more'/>"}, "shows the field '5' of each task"),
        ({"labels": "<View><Header value='Which?'/></View>"}, "list of labels is empty"),
        (
            {"attributes": "allowNested='true'", "labels": "<Choice value='1 > 2'><Choice value='x'/></Choice>"},
            "stands between the labels of a path",
        ),
    ],
)
def test_what_no_model_can_learn_says_why_and_what_to_do(made, reason):
    control = control_of(**made)

    assert reason in control.problem
    assert control.remedy.endswith(".")
    with pytest.raises(UnknownName, match="no model learns control 'c'") as refused:
        recipe_for(control)
    assert refused.value.hint == control.remedy


def test_a_model_of_the_same_control_predicts_no_more_once_it_asks_about_each_region():
    before = control_of()
    after = read_label_config(
        f"<View><Text name='t' value='$text'/><Choices name='c' toName='t' perRegion='true'>{LABELS}</Choices></View>"
    )

    assert after.matching_control(before) is None


def test_without_a_name_the_control_is_one_that_can_be_learned():
    text = "<Text name='t' value='$text'/>"
    note, each = "<TextArea name='note' toName='t'/>", "<Choices name='each' toName='t' perRegion='true'>{}</Choices>"
    spans, kind = (
        "<Labels name='l' toName='t'><Label value='x'/></Labels>",
        "<Choices name='kind' toName='t'>{}</Choices>",
    )

    def chosen(*controls):
        return read_label_config(f"<View>{text}{''.join(controls)}</View>".format(LABELS, LABELS)).control().name

    assert chosen(each, note, spans, kind) == "kind"
    assert chosen(each, spans) == "l"
    assert chosen("<Rectangle name='box' toName='t'/>", note, each) == "each"
    assert chosen(each) == "each"


def test_a_nested_list_has_paths_and_a_flat_one_has_what_can_be_chosen():
    nested = (
        "<Choice value='Billing'><Choice value='Invoice'/><Choice value='Refund' alias='R'/></Choice>"
        "<View><Choice value='Other'/></View>"
    )

    assert control_of("allowNested='true'", labels=nested).labels == ("Billing > Invoice", "Billing > R", "Other")
    assert control_of(labels=nested).labels == ("Billing", "Other")


def test_a_label_is_what_the_editor_submits():
    labels = "<Choice value='a'>First</Choice><Choice value='b' alias='second'>B</Choice><Choice value='c'> </Choice>"

    assert control_of(labels=labels).labels == ("First", "second", "c")
    assert control_of(labels="<Choice value='$a' alias='$5'/><Choice value='more'/>").problem == ""


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        (["x", "y", "x"], ("a", "b", "x", "y")),
        ([{"value": "x"}, {"value": "long", "alias": "y"}, 7], ("a", "b", "x", "y", "7")),
        ([{"value": "x", "children": [{"value": "1"}, {"value": "2"}]}, "y"], ("a", "b", "x > 1", "x > 2", "y")),
        ([None, {}, [], {"value": None}, {"value": " "}], ("a", "b")),
        ("x", ("a", "b")),
        (None, ("a", "b")),
    ],
)
def test_the_options_of_a_task_are_those_of_the_config_and_its_own(options, labels):
    control = control_of("value='$more.options' allowNested='true'")

    assert control.options_of({"more": {"options": options}}) == labels
    assert control.problem == ""


def test_options_of_endless_depth_end():
    option = {"value": "x"}
    for _ in range(5_000):
        option = {"value": "x", "children": [option]}

    assert len(control_of("value='$options' allowNested='true'").options_of({"options": [option]})) == 3
