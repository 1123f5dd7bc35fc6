"""Label configs of other kinds: what can be learned is learned, and of the rest the turn says why it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from feedback.policy.schema import Train
from feedback.training.dataset import single_label
from ml_backend.codecs import answer_distance, decode_result, describe_answer
from tests.support.connected_project import POLICY, ConnectedProject, truth
from tests.support.fake_platform import TEXT_CONFIG

_CHOICES = '<Choice value="fruit"/><Choice value="tool"/>'
PER_REGION = TEXT_CONFIG.replace('name="kind"', 'name="kind" perRegion="true"')


def start(project: ConnectedProject, label_config: str, *data: dict[str, Any]) -> None:
    """Connect a project with this label config; its tasks have these data in addition to their texts, in turns."""
    project.studio.label_config = label_config
    for number, task in project.studio.tasks.items():
        more = data[number % len(data)] if data else {}
        project.studio.tasks[number] = replace(task, data={**task.data, **more})
    project.connect(label_config=label_config)
    project.turn()


def answer(project: ConnectedProject, task: int, *values: dict[str, Any], person: int = 1) -> None:
    """Answer a task with one region for each value."""
    number = project.studio.answer(task, "fruit", person=person)
    regions = [{"from_name": "kind", "to_name": "text", "type": "choices", "value": value} for value in values]
    project.studio.annotations[number] = replace(project.studio.annotations[number], result=tuple(regions))


def next_tasks(project: ConnectedProject, n: int) -> Any:
    """The next tasks as they are served, each with its text and data."""
    for _ in range(n):
        task = project.studio.next_task(1)
        assert task is not None
        yield task, str(project.studio.tasks[task].data["text"]), project.studio.tasks[task].data


def test_options_that_tasks_bring_along_are_learned_and_a_task_is_only_given_its_own(connected_project):
    with_tools, with_things = [{"value": "fruit"}, {"value": "tool"}], [{"value": "fruit"}, {"value": "thing"}]
    config = TEXT_CONFIG.replace('toName="text"', 'toName="text" value="$options"').replace(_CHOICES, "")
    start(connected_project, config, {"options": with_tools}, {"options": with_things}, {"options": [{"value": "new"}]})
    for _ in range(2):
        for task, text, data in next_tasks(connected_project, 25):
            offered = [option["value"] for option in data["options"]]
            chosen = "fruit" if truth(text) == "fruit" and len(offered) > 1 else offered[-1]
            answer(connected_project, task, {"choices": [chosen]})
        connected_project.turn()

    turn = connected_project.turn()
    rows = [row for row in connected_project.store.windows.get_window("7") if row.answer is not None]

    assert turn.version.startswith("m")
    shown = {row.task: single_label(row.answer) for row in rows}
    offered_by_task = {
        task: [item["value"] for item in connected_project.studio.tasks[task].data["options"]] for task in shown
    }
    assert all(label in offered_by_task[task] for task, label in shown.items())
    assert {"tool", "thing"} <= set(shown.values())


def test_an_answer_outside_of_a_tasks_own_options_is_no_row(connected_project):
    config = TEXT_CONFIG.replace('toName="text"', 'toName="text" value="$options"').replace(_CHOICES, "")
    start(connected_project, config, {"options": ["fruit", "tool"]})
    for task, _text, _data in next_tasks(connected_project, 12):
        answer(connected_project, task, {"choices": ["stone"]})

    assert connected_project.turn().not_learned == {"the label 'stone' is not among the options of its task": 12}


def test_paths_of_a_nested_list_are_learned_also_where_the_editor_adds_the_branch(connected_project):
    nested = '<Choice value="Goods"><Choice value="fruit"/><Choice value="tool"/></Choice>'
    config = TEXT_CONFIG.replace('toName="text"', 'toName="text" allowNested="true"').replace(_CHOICES, nested)
    start(connected_project, config)
    for task, text, _data in next_tasks(connected_project, 25):
        answer(connected_project, task, {"choices": [["Goods"], ["Goods", truth(text)]]})

    turn = connected_project.turn()
    rows = [row for row in connected_project.store.windows.get_window("7") if row.answer is not None]

    assert turn.verdict.startswith("promoted")
    assert {describe_answer(row.answer) for row in rows} == {"Goods > fruit", "Goods > tool"}


def test_answers_on_regions_stand_for_no_task_and_opposite_ones_do_not_agree(connected_project):
    start(connected_project, PER_REGION)
    spans = [{"start": 0, "end": 2, "text": "a1"}, {"start": 3, "end": 8, "text": "apple"}]
    both = [
        [{**span, "choices": [label]} for span, label in zip(spans, labels, strict=True)] for labels in ("ab", "ba")
    ]
    for task, _text, _data in next_tasks(connected_project, 25):
        for person, values in enumerate(both, start=1):
            answer(connected_project, task, *values, person=person)

    turn = connected_project.turn()
    votes = connected_project.store.votes.list_votes("7")

    assert len(votes) == 50
    assert answer_distance(votes[0].answer, votes[1].answer) == 1.0
    assert describe_answer(votes[0].answer) == "a (0 to 2), b (3 to 8)"
    assert any("asks about each region (perRegion)" in note and "without perRegion" in note for note in turn.notes)
    assert connected_project.store.registry.champion("7") is None
    assert all(row.answer is None for row in connected_project.store.windows.get_window("7"))


def test_a_model_predicts_nothing_once_its_control_asks_about_each_region(connected_project):
    connected_project.turn()
    connected_project.label(25)
    assert connected_project.turn().version.startswith("m")

    connected_project.studio.label_config = PER_REGION
    connected_project.connect(label_config=PER_REGION)
    turn = connected_project.turn()
    connected_project.label(25)
    connected_project.turn()

    assert any("learned another question" in note for note in turn.notes)
    assert all(row.answer is None for row in connected_project.store.windows.get_window("7"))


def test_a_label_that_was_removed_is_predicted_no_more_also_where_it_was_predicted_before(connected_project):
    with_stones = TEXT_CONFIG.replace(_CHOICES, f'{_CHOICES}<Choice value="stone"/>')
    start(connected_project, with_stones)
    policy = POLICY.model_copy(update={"train": Train(min_rows=20, min_new=1_000)})
    connected_project.connect(policy, label_config=with_stones)

    def label(n: int, *names: str) -> None:
        for task, text, _data in next_tasks(connected_project, n):
            answer(connected_project, task, {"choices": [names[len(text.split()[1]) % len(names)]]})

    label(40, "fruit", "tool", "stone")
    version = connected_project.turn().version
    before = connected_project.store.windows.get_window("7")
    connected_project.studio.label_config = TEXT_CONFIG
    connected_project.connect(policy, label_config=TEXT_CONFIG)
    turn = connected_project.turn()
    rows = connected_project.store.windows.get_window("7")

    assert "stone" in {single_label(row.answer) for row in before if row.answer is not None}
    assert turn.version == version
    assert {single_label(row.answer) for row in rows if row.answer is not None} == {"fruit", "tool"}
    assert all(row.blind for row in rows if row.answer is None)
    assert connected_project.turn().window == turn.window


def test_a_turn_says_why_no_image_is_opened_and_what_to_do(connected_project):
    config = TEXT_CONFIG.replace('<Text name="text" value="$text"/>', '<Image name="text" value="$image"/>')
    start(connected_project, config, {"image": "gs://my-bucket/p01.png"}, {"image": "s3://my-bucket/p02.png"})
    for task, text, _data in next_tasks(connected_project, 25):
        answer(connected_project, task, {"choices": [truth(text)]})

    notes = " ".join(connected_project.turn().notes)

    assert "that can be opened: 'gs://my-bucket/p01.png' is not" in notes or "'s3://my-bucket/p02.png' is not" in notes
    assert "Import images as data URIs" in notes


def test_the_answer_of_a_region_is_read_as_written_for_every_kind_of_region():
    def read(kind, value, **more):
        return decode_result([{"from_name": "c", "to_name": "t", "type": kind, "value": value, **more}]).answers["c"]

    whole = read("choices", {"choices": ["a"]}, id="x1", original_width=10)
    box = {"x": 1, "y": 2, "width": 30, "height": 40, "rotation": 0}
    boxes = [read("choices", {**box, "x": x, "choices": ["a"]}) for x in (1, 16)]
    items = [read("rating", {"rating": 4}, item_index=at) for at in (0, 1)]
    mask = read("choices", {"format": "rle", "rle": [1, 2], "choices": ["a"]})
    message = read("choices", {"chatmessage": {"role": "user"}, "choices": ["a"]})

    assert whole.kind == "choices"
    assert {found.kind for found in (*boxes, *items, mask, message)} == {"per_region"}
    assert 0.3 < answer_distance(*boxes) < 1.0
    assert answer_distance(*items) == 1.0
    assert answer_distance(boxes[0], whole) == answer_distance(mask, message) == 1.0
    assert describe_answer(items[1]).endswith("(item 1)")


SPANS = '<View><Text name="text" value="$text"/><Labels name="kind" toName="text">{}</Labels></View>'


def test_answers_with_a_label_that_was_renamed_are_skipped_and_the_turn_says_so(connected_project):
    old, new = (SPANS.format(f'<Label value="{label}"/><Label value="ORG"/>') for label in ("PER", "PERSON"))
    start(connected_project, old)
    spans = [{"start": 0, "end": 2, "labels": ["PER"]}], [{"start": 3, "end": 8, "labels": ["ORG"]}]
    for place, (task, _text, _data) in enumerate(next_tasks(connected_project, 12)):
        for person in (1, 2):
            number = connected_project.studio.answer(task, "fruit", person=person)
            regions = [
                {"from_name": "kind", "to_name": "text", "type": "labels", "value": value} for value in spans[place % 2]
            ]
            annotation = connected_project.studio.annotations[number]
            connected_project.studio.annotations[number] = replace(annotation, result=tuple(regions))
    before = connected_project.turn()

    connected_project.studio.label_config = new
    connected_project.connect(label_config=new)
    after = connected_project.turn()

    count = len(connected_project.store.votes.list_votes("7"))
    assert before.not_learned == {"answers of the type labels": count}
    assert after.not_learned == {
        "the label 'PER' is not in the label config": count // 2,
        "answers of the type labels": count // 2,
    }
