"""How often writing the queue asks whether to stop; what it writes into a real Label Studio is proved end to end."""

from __future__ import annotations

from typing import Any

from ml_backend.labelstudio.queue_writer import QueueRow, write_queue_window

CONFIG = '<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="a"/></Choices></View>'


class Project:
    """A project without pre-annotations, as the queue reads and writes it."""

    def __init__(self, *, dropped: int = 0) -> None:
        self.tasks: list[int] = []
        self.dropped = dropped  # rows at the end of a bulk request that Label Studio leaves out

    def project(self, _project: str) -> dict[str, Any]:
        return {"label_config": CONFIG, "model_version": "m1+q1"}

    def model_versions(self, _project: str) -> list[dict[str, Any]]:
        return [{"model_version": "m1+q1", "count": len(self.tasks)}]

    def predictions(self, **_: Any) -> list[dict[str, Any]]:
        return [{"id": task, "task": task, "model_version": "m1+q1"} for task in self.tasks]

    def create_prediction(self, task: int, **_: Any) -> dict[str, Any]:
        self.tasks.append(task)
        return {"id": task}

    def create_predictions(self, _project: str, bodies: list[dict[str, Any]]) -> None:
        self.tasks += [body["task"] for body in bodies[: len(bodies) - self.dropped]]


def count_stop_calls(project: Project, n_rows: int) -> int:
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return False

    rows = [QueueRow(task, task) for task in range(n_rows)]
    written = write_queue_window(project, "7", rows, version="m1+q1", head=2, stop=stop)  # type: ignore[arg-type]
    assert written.complete
    assert sorted(project.tasks) == list(range(n_rows))
    return len(asked)


def test_a_bulk_request_asks_whether_to_stop_once_however_many_rows_it_has():
    assert count_stop_calls(Project(), 10) == count_stop_calls(Project(), 300)


def test_each_row_that_a_bulk_request_left_out_asks_whether_to_stop():
    assert count_stop_calls(Project(dropped=3), 10) == count_stop_calls(Project(), 10) + 3
