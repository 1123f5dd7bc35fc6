"""Request bodies as Label Studio 1.23 shapes them, as many distinct ones as a run needs."""

from __future__ import annotations

import random
from typing import Any

import orjson

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text" choice="single">'
    '<Choice value="Positive"/><Choice value="Negative"/><Choice value="Neutral"/></Choices></View>'
)
LABELS = ("Positive", "Negative", "Neutral")
PROJECT = 1
_OWN = {
    "Positive": ["good", "fine", "great", "lovely", "happy", "warm"],
    "Negative": ["bad", "awful", "poor", "dull", "sad", "stale"],
    "Neutral": ["room", "staff", "food", "price", "early", "late"],
}
_WORDS = [word for words in _OWN.values() for word in words] + ["the", "was", "and", "very", "with", "some", "clean"]
_TIME = "2026-01-01T00:00:00.000001Z"


def text(rng: random.Random, label: str | None = None, words: int = 20) -> str:
    """Twenty words; those of a label come more often where one is given."""
    return " ".join(rng.choice(_OWN[label] if label and rng.random() < 0.3 else _WORDS) for _ in range(words))


def task(rng: random.Random, number: int) -> dict[str, Any]:
    """A task with all the fields that a prediction request carries."""
    return {
        "id": number, "data": {"text": text(rng)}, "meta": {}, "created_at": _TIME, "updated_at": _TIME,
        "is_labeled": False, "overlap": 1, "inner_id": number, "total_annotations": 0, "cancelled_annotations": 0,
        "total_predictions": 0, "comment_count": 0, "unresolved_comment_count": 0, "last_comment_updated_at": None,
        "project": PROJECT, "updated_by": None, "file_upload": None, "comment_authors": [], "annotations": [],
        "predictions": [],
    }  # fmt: skip


def setup() -> dict[str, Any]:
    """What Label Studio sends before every prediction."""
    return {
        "project": f"{PROJECT}.1700000000",
        "schema": CONFIG,
        "hostname": "http://localhost:8080",
        "access_token": "none",
        "extra_params": None,
    }


def predict(rng: random.Random, tasks: int) -> dict[str, Any]:
    """A prediction request."""
    return {
        "tasks": [task(rng, 1 + rng.randrange(1_000_000)) for _ in range(tasks)],
        "project": f"{PROJECT}.1700000000",
        "label_config": CONFIG,
        "params": {"login": None, "password": None, "context": None},
    }


def event(rng: random.Random, number: int) -> dict[str, Any]:
    """A submit: annotation, task and project, each event another annotation of another task."""
    region = {
        "id": f"r{number}",
        "from_name": "sentiment",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": [rng.choice(LABELS)]},
    }
    annotation = {
        "id": number, "result": [region], "was_cancelled": False, "ground_truth": False, "created_at": _TIME,
        "updated_at": _TIME, "draft_created_at": None, "lead_time": 3.5, "prediction": {}, "result_count": 1,
        "unique_id": f"u{number}", "import_id": None, "last_action": None, "bulk_created": False, "task": number,
        "project": PROJECT, "completed_by": 2 + number % 5, "updated_by": 2 + number % 5, "parent_prediction": None,
        "parent_annotation": None, "last_created_by": None,
    }  # fmt: skip
    project = {"id": PROJECT, "title": "bench", "label_config": CONFIG, "model_version": "", "sampling": "Sequential"}
    return {"action": "ANNOTATION_CREATED", "annotation": annotation, "task": task(rng, number), "project": project}


def post(path: str, body: dict[str, Any], *, keep_alive: bool = True) -> bytes:
    """One whole HTTP request."""
    data = orjson.dumps(body)
    connection = "keep-alive" if keep_alive else "close"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Connection: {connection}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data
