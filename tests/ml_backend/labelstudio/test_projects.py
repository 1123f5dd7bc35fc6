"""What connecting would change, and what it says where Label Studio cannot reach us; the rest is proved end to end."""

from __future__ import annotations

from typing import Any

import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.projects import SettingsSnapshot, connect, plan_changes, without_leftovers

URL = "http://127.0.0.1:9090"
HEADERS = {"X-Hitl-Secret": "of this store"}
OURS: dict[str, Any] = {
    "url": f"{URL}/webhook",
    "headers": HEADERS,
    "is_active": True,
    "send_payload": True,
    "send_for_all_actions": True,
}
CONNECTED: dict[str, Any] = {
    "id": 7,
    "sampling": "Uncertainty sampling",
    "show_collab_predictions": True,
    "evaluate_predictions_automatically": False,
    "min_annotations_to_start_training": 0,
    "maximum_annotations": 1,
    "show_overlap_first": False,
    "annotator_evaluation_enabled": False,
    "model_version": "m1+q3",
}


class Project:
    """What the plan reads of a Label Studio."""

    def __init__(self, webhook: dict[str, Any]) -> None:
        self.webhook = webhook

    def backends(self, _project: str) -> list[dict[str, Any]]:
        return [{"url": URL, "title": "hitl"}]

    def webhooks(self, _project: str) -> list[dict[str, Any]]:
        return [self.webhook]


def changes(webhook: dict[str, Any], **project: Any) -> list[str]:
    found = plan_changes(
        Project(webhook),  # type: ignore[arg-type]
        {**CONNECTED, **project},
        backend_url=URL,
        webhook_url=f"{URL}/webhook",
        headers=HEADERS,
    )
    return [str(change) for change in found]


def test_a_connected_project_needs_no_change():
    assert changes(OURS) == []


class Unreachable(Project):
    """A connected Label Studio that does not reach the address at which it is connected once more."""

    def __init__(self) -> None:
        self.hooks = [{**OURS, "id": 1}]

    def project(self, _project: str) -> dict[str, Any]:
        return CONNECTED

    def webhooks(self, _project: str) -> list[dict[str, Any]]:
        return self.hooks

    def create_webhook(self, _project: str, **fields: Any) -> None:
        self.hooks = [*self.hooks, {**OURS, "id": 2, **fields}]

    def delete_webhook(self, number: int) -> None:
        self.hooks = [hook for hook in self.hooks if hook["id"] != number]

    def create_backend(self, _project: str, **_fields: Any) -> None:
        raise LabelStudioError("Label Studio cannot reach this service", status=400)


def test_a_connected_project_keeps_its_webhooks_where_its_new_address_is_not_reached():
    site = Unreachable()
    earlier = SettingsSnapshot("7", {}, None, (), {}, (), URL, f"{URL}/webhook")

    with pytest.raises(LabelStudioError, match="cannot reach this service"):
        connect(site, "7", backend_url="https://127.0.0.1:9090", webhook_secret="of this store", earlier=earlier)  # type: ignore[arg-type]

    assert [hook["url"] for hook in site.hooks] == [f"{URL}/webhook"]


@pytest.mark.parametrize("left", [{"headers": {"X-Hitl-Secret": "of a lost store"}}, {"is_active": False}])
def test_a_webhook_that_somebody_changed_is_listed_without_its_secret(left: dict[str, Any]):
    (change,) = changes({**OURS, **left})

    assert change.startswith("webhook: 'changed by somebody'")
    assert "of a lost store" not in change
    assert "of this store" not in change


def test_the_error_for_an_unreachable_backend_hides_the_details_of_the_http_library(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> Any:
        reason = "Can't connect to ML backend http://127.0.0.1:9090, health check failed. Max retries exceeded with"
        raise LabelStudioError(f"Label Studio refused POST api/ml/ (HTTP 400): {reason}", status=400)

    client = Client("http://127.0.0.1:8080", "a-token", sleep=lambda _: None)
    monkeypatch.setattr(client, "send", refuse)

    with client, pytest.raises(LabelStudioError, match="cannot reach this service") as caught:
        client.create_backend("7", url=URL, title="hitl")

    assert "hitl serve" in caught.value.hint
    assert "Max retries" not in str(caught.value)


@pytest.mark.parametrize(
    "reason",
    [
        "Can't connect to ML backend http://127.0.0.1:9090, health check failed. Make sure it is up",
        "Successfully connected to http://127.0.0.1:9090 but it doesn't look like a valid ML backend. Reason: ...",
    ],
)
def test_a_backend_that_answers_too_late_is_registered_again(monkeypatch: pytest.MonkeyPatch, reason: str):
    answers = iter([LabelStudioError(reason, status=400), LabelStudioError(reason, status=400), {"id": 3}])
    waits: list[float] = []

    def send(*_: Any, **__: Any) -> Any:
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    client = Client("http://127.0.0.1:8080", "a-token", sleep=waits.append)
    monkeypatch.setattr(client, "send", send)

    with client:
        assert client.create_backend("7", url=URL, title="hitl") == {"id": 3}
    assert len(waits) == 2


@pytest.mark.parametrize(
    "reason",
    [
        "authentication parameters",
        "Can't connect to ML backend http://127.0.0.1:9090, health check failed. Additional info: Max retries exceeded",
        "Successfully connected, but it doesn't look like a valid ML backend. Reason: 400 Client Error: BAD REQUEST.",
    ],
)
def test_a_backend_that_waiting_does_not_help_is_registered_once(monkeypatch: pytest.MonkeyPatch, reason: str):
    sent: list[str] = []

    def refuse(method: str, *_: Any, **__: Any) -> Any:
        sent.append(method)
        raise LabelStudioError(reason, status=400)

    client = Client("http://127.0.0.1:8080", "a-token", sleep=pytest.fail)
    monkeypatch.setattr(client, "send", refuse)

    with client, pytest.raises(LabelStudioError):
        client.create_backend("7", url=URL, title="hitl")
    assert sent == ["POST"]


def taken(webhook: dict[str, Any] | None) -> SettingsSnapshot:
    return SettingsSnapshot(
        "7",
        {"sampling": "Uncertainty sampling"},
        "m1+q3",
        ("m1+q3", "m1", "imported"),
        {},
        (),
        URL,
        f"{URL}/webhook",
        {"url": URL, "title": "hitl"},
        webhook,
    )


def test_what_a_lost_store_left_in_a_project_is_not_the_projects_own():
    cleared = without_leftovers(taken(OURS))

    assert cleared.remains
    assert (cleared.webhook, cleared.backend, cleared.model_version) == (None, None, "")
    assert cleared.versions == ("imported",)


@pytest.mark.parametrize("webhook", [None, {**OURS, "headers": {"X-Theirs": "1"}}])
def test_a_webhook_of_somebody_else_at_our_address_is_the_projects_own(webhook: dict[str, Any] | None):
    assert without_leftovers(taken(webhook)) == taken(webhook)
