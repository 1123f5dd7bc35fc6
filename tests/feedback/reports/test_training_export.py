"""The fine-tuning set: each training label with its source and with what the model had predicted; no audit task."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from feedback.ingest.polling import poll_changes
from feedback.policy import Policy
from feedback.project.snapshot import SnapshotCache
from feedback.reports.training_export import list_training_examples, to_csv, to_json_lines
from feedback.store import OverrideRow, Store
from ml_backend.records import Answer
from tests.support.routed_project import RoutedProject


def test_each_training_label_has_its_source_and_the_prediction_that_stood_beside_it(store: Store, tmp_path: Path):
    routed_project = RoutedProject(store, tmp_path)
    routed_project.use(Policy())
    tasks = [routed_project.add(f"t{number}", amount=[number]) for number in range(12)]
    for task in tasks:
        routed_project.studio.answer(task, "fruit", person=1)
    poll_changes(store, routed_project.studio, "7", now_s=routed_project.now_s)
    roles = routed_project.load_snapshot(SnapshotCache()).roles
    trained = [task for task in tasks if roles[task] == "train"]
    first = tasks.index(trained[0])  # which task it is depends on the draw
    shown, given = Answer("choices", ("tool",)), Answer("choices", ("fruit",))
    rows = [
        OverrideRow(
            "7", n, trained[0], 1, shown, 0.6 + n / 10, f"m{n}", given, True, False, "r", "", "L1", "p", float(n), ""
        )
        for n in (1, 2)
    ]
    store.overrides.save_overrides(rows)
    project = store.projects.get_project("7")
    assert project is not None

    examples, n_audit = list_training_examples(store, project)

    assert [example.task for example in examples] == trained
    assert n_audit == len(tasks) - len(trained)
    assert (examples[0].label, examples[0].source) == ("fruit", "person")
    assert (examples[0].model, examples[0].prediction, examples[0].confidence) == ("m2", "tool", 0.8)  # the newest
    assert (examples[1].model, examples[1].prediction, examples[1].confidence) == (None, None, None)
    table = list(csv.DictReader(io.StringIO(to_csv(examples))))
    assert table[0] == {
        "task": str(trained[0]), "data.text": f"t{first}", "data.amount": f"[{first}]",
        "label": "fruit", "source": "person", "model": "m2", "prediction": "tool", "confidence": "0.8",
    }  # fmt: skip
    lines = [json.loads(line) for line in to_json_lines(examples).splitlines()]
    assert lines[0]["data"] == {"text": f"t{first}", "amount": [first]}
    assert len(lines) == len(table) == len(trained)
