"""The ML backends and webhooks of a project: what Label Studio calls, and how it is told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.transport import Json, NotLabelStudio, as_object, project_number

_NOT_FOUND = 404
_UNREACHED = "Can't connect to ML backend"  # followed by the innards of its HTTP library
_WEBHOOK: Mapping[str, Any] = {"send_payload": True, "send_for_all_actions": True, "is_active": True}


class Hooks:
    """The part of a client that connects a project to us and lets it go."""

    _send: Callable[..., Any]

    def backends(self, project: str) -> list[Json]:
        """The ML backends of a project; Label Studio calls each of them to answer this."""
        return list(self._send("GET", "api/ml/", query={"project": project_number(project)}))

    def create_backend(self, project: str, *, url: str, title: str, **fields: Any) -> Json:
        """Connect an ML backend, which must be running; basic_auth_user and _pass switch authentication on."""
        body = {"url": url, "title": title, "project": project_number(project), **_auth(fields)}
        try:
            return as_object(self._send("POST", "api/ml/", body=body))
        except LabelStudioError as error:
            if _UNREACHED not in str(error):
                raise
            raise LabelStudioError(
                f"Label Studio cannot reach our service at {url}: its health check failed.",
                hint="Start `hitl serve` first; HITL_PUBLIC_URL is where Label Studio reaches it.",
                status=error.status,
            ) from None

    def patch_backend(self, backend: int, project: str, *, url: str, **fields: Any) -> Json:
        """Change an ML backend; url and project go with it, since Label Studio answers 500 without."""
        body = {"url": url, "project": project_number(project), **_auth(fields)}
        return as_object(self._send("PATCH", f"api/ml/{backend}", body=body))

    def delete_backend(self, backend: int) -> None:
        """Disconnect an ML backend; its webhook stays, the project's model version is reset when it was its title."""
        self._gone_is_fine("DELETE", f"api/ml/{backend}")

    def webhooks(self, project: str) -> list[Json]:
        """The webhooks of a project, headers included."""
        return list(self._send("GET", "api/webhooks/", query={"project": project_number(project)}))

    def create_webhook(self, project: str, *, url: str, headers: Mapping[str, str], **fields: Any) -> Json:
        """Make a webhook for every event of a project, payload included."""
        body = {"project": project_number(project), "url": url, "headers": dict(headers), **_WEBHOOK, **fields}
        return as_object(self._send("POST", "api/webhooks/", body=body))

    def patch_webhook(self, webhook: int, **fields: Any) -> Json:
        """Change a webhook; its actions are read and sent again, since a PATCH without them empties the list."""
        if "actions" not in fields:
            fields["actions"] = self._send("GET", f"api/webhooks/{webhook}/")["actions"]
        return as_object(self._send("PATCH", f"api/webhooks/{webhook}/", body=fields))

    def delete_webhook(self, webhook: int) -> None:
        """Delete one webhook."""
        self._gone_is_fine("DELETE", f"api/webhooks/{webhook}/")

    def _gone_is_fine(self, method: str, path: str) -> None:
        try:
            self._send(method, path)
        except NotLabelStudio:
            raise
        except LabelStudioError as error:
            if error.status != _NOT_FOUND:
                raise


def _auth(fields: Json) -> Json:
    return {"auth_method": "BASIC_AUTH", **fields} if fields.get("basic_auth_user") else fields
