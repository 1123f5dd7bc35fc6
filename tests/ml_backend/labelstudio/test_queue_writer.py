"""How often writing the queue asks whether to stop; what it writes into a real Label Studio is proved end to end."""

from __future__ import annotations

from typing import Any

import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.queue_writer import PLACES, QueueRow, write_queue_window
from ml_backend.labelstudio.review_project_client import ReviewTask

CONFIG = '<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="a"/></Choices></View>'


class Project:
    """A project without pre-annotations, as the queue reads and writes it."""

    def __init__(self, *, dropped: int = 0, refused: int | None = None, status: int = 400) -> None:
        self.rows: list[dict[str, Any]] = []
        self.refused, self.status = refused, status  # a task that no row is accepted for
        self.dropped = dropped  # rows at the end of a bulk request that Label Studio leaves out

    def project(self, _project: str) -> dict[str, Any]:
        return {"label_config": CONFIG, "model_version": "m1+q1"}

    def each_task(self, _project: str, *, filters: list[dict[str, Any]], **_: Any) -> list[dict[str, Any]]:
        (ids,) = [row["value"] for row in filters]
        found = [body for body in self.rows if body["task"] in ids]
        return [{"id": body["task"], "predictions": [{**body, "id": body["task"]}]} for body in found]

    def create_prediction(self, **body: Any) -> dict[str, Any]:
        self._refuse([body])
        self.rows.append(body)
        return {"id": body["task"]}

    def create_predictions(self, _project: str, bodies: list[dict[str, Any]]) -> None:
        self._refuse(bodies)
        self.rows += bodies[: len(bodies) - self.dropped]

    def patch_prediction(self, prediction: int, **_fields: Any) -> None:
        self._refuse([{"task": prediction}])

    def _refuse(self, bodies: list[dict[str, Any]]) -> None:
        if any(body["task"] == self.refused for body in bodies):
            raise LabelStudioError("Label Studio refused it", status=self.status)


def count_stop_calls(project: Project, n_rows: int) -> int:
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return False

    rows = [QueueRow(task, task) for task in range(n_rows)]
    written = write_queue_window(project, "7", rows, version="m1+q1", head=2, stop=stop)  # type: ignore[arg-type]
    assert written.complete
    assert sorted(body["task"] for body in project.rows) == list(range(n_rows))
    return len(asked)


def test_a_bulk_request_asks_whether_to_stop_once_however_many_rows_it_has():
    assert count_stop_calls(Project(), 10) == count_stop_calls(Project(), 300)


def test_each_row_that_a_bulk_request_left_out_asks_whether_to_stop():
    assert count_stop_calls(Project(dropped=3), 10) == count_stop_calls(Project(), 10) + 3


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize(("refused", "head"), [(0, 2), (0, 1), (7, 2)], ids=["of the first", "the first", "in bulk"])
def test_a_refused_row_leaves_all_others_in_the_queue(refused: int, head: int, status: int):
    project, rows = Project(refused=refused, status=status), [QueueRow(task, task) for task in range(10)]

    written = write_queue_window(project, "7", rows, version="m1+q1", head=head)  # type: ignore[arg-type]

    assert written.predictions.keys() == set(range(10)) - {refused}
    assert written.failed.keys() == {refused}
    assert written.complete


def test_a_lost_place_that_cannot_be_restored_leaves_the_others():
    project, rows = Project(refused=3), [QueueRow(task, task) for task in range(10)]
    project.rows = [{"task": 3, "model_version": "m1+q1", "score": None}]

    written = write_queue_window(project, "7", rows, version="m1+q1", head=2)  # type: ignore[arg-type]

    assert written.predictions.keys() == set(range(10))


def test_every_place_keeps_its_order_and_reads_as_no_percentage_in_the_editor():
    places = [0.0, 1e-6, 100.0, 100.000001, 499.0, 799_999.999999, 800_000.0, PLACES - 1]
    scores = [QueueRow(7, place).score for place in places]
    urgencies = [ReviewTask({}, urgency=urgency).score for urgency in (0.0, 2**-52, 0.5, 1 - 2**-53)]

    assert [scores, urgencies] == [sorted(set(scores)), sorted(set(urgencies))]
    # as in Label Studio's editor: (100 * score).toFixed(2)
    assert {f"{100 * score:.2f}" for score in scores + urgencies} == {"0.00"}


def test_a_place_that_somebody_changed_is_restored_however_small_its_score_is():
    class Patched(Project):
        def patch_prediction(self, prediction: int, **fields: Any) -> None:
            patched[prediction] = fields["score"]

    patched: dict[int, float] = {}
    project, rows = Patched(), [QueueRow(3, 5.0), QueueRow(4, 6.0)]
    project.rows = [{"task": row.task, "model_version": "m1+q1", "score": rows[0].score} for row in rows]

    write_queue_window(project, "7", rows, version="m1+q1")  # type: ignore[arg-type]

    assert patched == {4: rows[1].score}


def test_a_label_studio_that_fails_at_every_row_is_the_cause_and_no_row():
    class Failing(Project):
        def _refuse(self, bodies: list[dict[str, Any]]) -> None:
            raise LabelStudioError("Label Studio failed", status=500)

    with pytest.raises(LabelStudioError):
        write_queue_window(Failing(), "7", [QueueRow(task, task) for task in range(10)], version="m1+q1", head=2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("attributes", "choices", "chosen", "refused"),
    [
        ('allowNested="true"', '<Choice value="a"><Choice value="b"/></Choice>', [["a", "b"]], [["a", "gone"]]),
        ('allowNested="true"', '<Choice value="a"/><Choice value="b"/>', [["b"]], [["gone"]]),
        ('value="$options"', '<Choice value="other"/>', ["of this task"], None),
    ],
)
def test_what_only_the_editor_takes_is_written_outside_of_bulk_requests(
    monkeypatch: pytest.MonkeyPatch, attributes: str, choices: str, chosen: list[Any], refused: list[Any] | None
) -> None:
    config = f'<View><Text name="t" value="$t"/><Choices name="c" toName="t" {attributes}>{choices}</Choices></View>'
    monkeypatch.setitem(globals(), "CONFIG", config)
    project, bulk = Project(), []
    monkeypatch.setattr(project, "create_predictions", lambda _project, bodies: bulk.extend(bodies))
    regions = [
        {"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": value}}
        for value in (chosen, refused)
    ]
    rows = [QueueRow(task, task, (regions[0],)) for task in range(8)]
    rows += [QueueRow(8, 8, (regions[1],))] if refused else []

    written = write_queue_window(project, "7", rows, version="m1+q1", head=2)  # type: ignore[arg-type]

    results = {body["task"]: body["result"] for body in project.rows}
    assert written.complete
    assert [results[task] for task in range(8)] == [[regions[0]]] * 8
    assert list(written.failed) == ([8] if refused else [])
    assert [body["task"] for body in bulk] == ([8] if refused else [])  # shown empty, as anybody takes it
