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
