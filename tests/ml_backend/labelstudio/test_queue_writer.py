"""How often writing the queue asks whether to stop; what it writes into a real Label Studio is proved end to end."""

from __future__ import annotations

from typing import Any

from ml_backend.labelstudio.queue_writer import QueueRow, write_queue_window

CONFIG = '<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="a"/></Choices></View>'


class Project:
    """A project without pre-annotations, as the queue reads and writes it."""

    def __init__(self, *, dropped: int = 0) -> None:
        self.rows: list[dict[str, Any]] = []
        self.dropped = dropped  # rows at the end of a bulk request that Label Studio leaves out

    def project(self, _project: str) -> dict[str, Any]:
        return {"label_config": CONFIG, "model_version": "m1+q1"}

    def each_task(self, _project: str, *, filters: list[dict[str, Any]], **_: Any) -> list[dict[str, Any]]:
        (ids,) = [row["value"] for row in filters]
        found = [body for body in self.rows if body["task"] in ids]
        return [{"id": body["task"], "predictions": [{**body, "id": body["task"]}]} for body in found]

    def create_prediction(self, **body: Any) -> dict[str, Any]:
        self.rows.append(body)
        return {"id": body["task"]}

    def create_predictions(self, _project: str, bodies: list[dict[str, Any]]) -> None:
        self.rows += bodies[: len(bodies) - self.dropped]


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
