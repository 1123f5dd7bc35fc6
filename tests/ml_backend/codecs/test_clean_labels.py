"""One label that Label Studio has in two spellings is one label here, and is written as the label config spells it."""

from __future__ import annotations

from typing import Any

import pytest

from ml_backend.codecs import decode_result, get_codec
from ml_backend.label_config import Control, read_label_config

OWN = "cafe\u0301\xa0"  # of the config: decomposed, as a Mac writes it, with a non-breaking space
CLEAN = "café"
SPAN, BOX = {"start": 0, "end": 5}, {"x": 1.0, "y": 1.0, "width": 9.0, "height": 9.0, "rotation": 0.0}


def control_of(tag: str, child: str) -> Control:
    shown = '<Image name="t" value="$t"/>' if tag.startswith("Rectangle") else '<Text name="t" value="$t"/>'
    name = tag.split()[0]
    return read_label_config(f'<View>{shown}<{tag} name="c" toName="t">{child}</{name}></View>').control()


CASES: dict[str, tuple[str, str, dict[str, Any], Any]] = {
    "choices": ("Choices", f'<Choice value="{OWN}"/><Choice value="tea"/>', {}, [OWN]),
    "nested choices": (
        'Choices allowNested="true"',
        f'<Choice value="Drink"><Choice value="{OWN}"/></Choice>',
        {},
        [["Drink", OWN]],
    ),
    "taxonomy": ("Taxonomy", f'<Choice value="Drink"><Choice value="{OWN}"/></Choice>', {}, [["Drink", OWN]]),
    "labels": ("Labels", f'<Label value="{OWN}"/>', SPAN, [OWN]),
    "rectanglelabels": ("RectangleLabels", f'<Label value="{OWN}"/>', BOX, [OWN]),
}


def spelled(part: Any, name: str) -> Any:
    if isinstance(part, list):
        return [spelled(item, name) for item in part]
    return name if part == OWN else part


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("name", [OWN, CLEAN, "cafe\u0301", "\u200bcafé "])
def test_answers_in_any_spelling_are_equal_and_are_written_as_the_config_spells_them(case: Any, name: str):
    tag, child, place, labels = case
    control = control_of(tag, child)
    region = {"from_name": "c", "to_name": "t", "type": control.kind}

    def decode(value: Any) -> Any:
        return decode_result([{**region, "value": {**place, control.kind: value}}]).answers["c"]

    answer = decode(spelled(labels, name))
    (written,) = get_codec(control.kind).encode(answer, control, None)

    assert answer == decode(labels)
    assert CLEAN in answer.key
    assert written["value"][control.kind] == labels


def test_the_labels_of_a_control_are_clean_and_each_of_them_once():
    control = control_of("Choices", f'<Choice value="{OWN}"/><Choice value="{CLEAN}"/><Choice value="tea"/>')

    assert control.labels == (CLEAN, "tea")
    assert control.written == ()  # the config has the clean spelling, too


def test_a_label_that_two_branches_spell_differently_is_written_as_its_own_branch_spells_it():
    branches = (
        f'<Choice value="Hot"><Choice value="{OWN}"/></Choice><Choice value="Cold"><Choice value="{CLEAN}"/></Choice>'
    )
    control = control_of('Choices allowNested="true"', branches)

    for path in (["Hot", OWN], ["Cold", CLEAN]):
        answer = get_codec("choices").decode([{"value": {"choices": [path]}}])
        (written,) = get_codec("choices").encode(answer, control, None)

        assert answer.value == (f"{path[0]} > {CLEAN}",)
        assert written["value"]["choices"] == [path]


def test_an_option_that_a_task_brings_along_is_written_as_the_task_spells_it():
    control = control_of('Choices value="$options"', "")
    data = {"options": [{"value": OWN}, {"value": "tea"}]}
    answer = decode_result([{"from_name": "c", "type": "choices", "value": {"choices": [CLEAN]}}]).answers["c"]

    (written,) = get_codec("choices").encode(answer, control.on_task(data), None)

    assert control.options_of(data) == (CLEAN, "tea")
    assert written["value"]["choices"] == [OWN]


def test_a_control_that_a_model_was_stored_with_keeps_its_spelling():
    control = control_of("Choices", f'<Choice value="{OWN}"/><Choice value="tea"/>')
    state = {name: getattr(control, name) for name in control.__dataclass_fields__}

    assert Control.load({**state, "labels": list(control.labels), "written": list(control.written)}) == control
