"""The client of Label Studio's REST API: one method per request, JSON in and out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import tenacity

from ml_backend.errors import LabelStudioError, NotFound
from ml_backend.labelstudio.transport import NO_SUCH_PATH, Json, Transport, as_object, project_number

_BULK_TIMEOUT_S = 300.0  # a recount of 100,000 tasks takes seconds, and a minute on a busy PostgreSQL
_PAGE = 500
_FILES_AT_ONCE = 100  # Label Studio takes no more in a request
_UNREACHED = "Can't connect to ML backend"  # followed by details of its HTTP library
_NO_SETUP = "doesn't look like a valid ML backend"  # its /setup failed, or took longer than 3 s
_FINAL = "Max retries exceeded|Client Error"  # no connection, or a refusal (4xx): waiting does not help
_REGISTRATIONS = 4  # tries, a second apart: a busy backend may answer too late
_WEBHOOK: Mapping[str, Any] = {"send_payload": True, "send_for_all_actions": True, "is_active": True}


class Client(Transport):
    """Calls Label Studio as one user: `Client("https://labels.example.org", personal_access_token)`.

    Every failure is a LabelStudioError with its HTTP status. label-studio-sdk has a client, too; it has no retry for
    lost responses, no page by id, and no check of the traps named below.
    """

    def version(self) -> str:
        """Return Label Studio's release, such as "1.23.2"."""
        return str(self.send("GET", "api/version")["release"])

    def me(self) -> Json:
        """Return the user of this client: id, email, ...; NotLabelStudio where another server answers."""
        try:
            body = self.send("GET", "api/current-user/whoami")
        except LabelStudioError as error:
            if error.status not in NO_SUCH_PATH:
                raise
            body = None
        if not isinstance(body, dict) or "email" not in body:
            raise self.not_label_studio("the user of a token")
        return body

    def invitation(self) -> str:
        """Return the sign-up address of the organization, with its token."""
        return str(self.send("GET", "api/invite")["invite_url"])

    def users(self) -> list[Json]:
        """Return all users of the organization: id, email, ..."""
        return list(self.send("GET", "api/users/"))

    def projects(self) -> Iterator[Json]:
        """Yield every project that this user sees."""
        page = 1
        while True:
            found = self.send("GET", "api/projects/", query={"page": page, "page_size": 100})
            yield from found["results"]
            if not found.get("next"):
                return
            page += 1

    def project(self, project: str) -> Json:
        """Return one project with its counters; NotFound where it does not exist."""
        try:
            return as_object(self.send("GET", f"api/projects/{project_number(project)}/"))
        except NotFound as error:
            raise NotFound(
                f"Label Studio has no project {project} for the user of this token.",
                hint="A project's id is in its address: /projects/12/.",
                status=error.status,
            ) from None

    def create_project(self, **fields: Any) -> Json:
        """Create a project: title, label_config, ..."""
        return as_object(self.send("POST", "api/projects/", body=fields))

    def patch_project(self, project: str, **fields: Any) -> Json:
        """Change these settings of a project."""
        path = f"api/projects/{project_number(project)}/"
        return as_object(self.send("PATCH", path, body=fields, timeout_s=_BULK_TIMEOUT_S))

    def delete_project(self, project: str) -> None:
        """Delete a project with everything in it."""
        self._delete_if_exists(f"api/projects/{project_number(project)}/")

    def tasks(
        self,
        project: str,
        *,
        filters: Sequence[Json] = (),
        ordering: str = "tasks:id",
        include: Sequence[str] = (),
        page: int = 1,
        page_size: int = _PAGE,
        above: int | None = None,
    ) -> list[Json]:
        """Return a page of tasks (of ids `above`) with everything or the fields of `include`; [] at the end."""
        items = [*filters, *([] if above is None else [task_filter("id", "greater", above)])]
        wanted = {"filters": {"conjunction": "and", "items": items}, "ordering": [ordering]}
        query: Json = {
            "project": project_number(project),
            "page": page,
            "page_size": page_size,
            "fields": "all",
            "resolve_uri": "false",  # data as in webhooks, without proxy addresses
            "query": json.dumps(wanted),
        }
        if include:
            query["include"] = ",".join(include)
        try:
            found = self.send("GET", "api/tasks/", query=query, timeout_s=_BULK_TIMEOUT_S)
        except NotFound:
            if page > 1:
                return []
            raise
        return list(found["tasks"])

    def count_tasks(self, project: str, *, filters: Sequence[Json]) -> int:
        """Return how many tasks meet all filters."""
        wanted = {"filters": {"conjunction": "and", "items": list(filters)}}
        query: Json = {"project": project_number(project), "page_size": 1, "include": "id", "query": json.dumps(wanted)}
        return int(self.send("GET", "api/tasks/", query=query, timeout_s=_BULK_TIMEOUT_S)["total"])

    def each_task(
        self, project: str, *, filters: Sequence[Json] = (), include: Sequence[str] = (), page_size: int = _PAGE
    ) -> Iterator[Json]:
        """Yield every task in order of id; each page starts above the last id, so that deletions skip no task."""
        last = 0
        while True:
            found = self.tasks(project, above=last, filters=filters, include=include, page_size=page_size)
            yield from found
            if len(found) < page_size:
                return
            last = found[-1]["id"]

    def task(self, task: int) -> Json:
        """Return one task with all annotations and predictions."""
        return as_object(self.send("GET", f"api/tasks/{task}/", query={"resolve_uri": "false"}))

    def patch_task(self, task: int, **fields: Any) -> Json:
        """Change a task: overlap, is_labeled, data, ..."""
        return as_object(self.send("PATCH", f"api/tasks/{task}/", body=fields))

    def delete_task(self, task: int) -> None:
        """Delete one task."""
        self.send("DELETE", f"api/tasks/{task}/")

    def import_tasks(self, project: str, tasks: Sequence[Json]) -> list[int]:
        """Import tasks (`{"data": …}`) in one request; return their ids in order."""
        path, query = f"api/projects/{project_number(project)}/import", {"return_task_ids": "true"}
        made = self.send("POST", path, query=query, body=list(tasks), timeout_s=_BULK_TIMEOUT_S)
        return [int(task) for task in made["task_ids"]]

    def upload_files(self, project: str, files: Sequence[tuple[str, bytes]]) -> list[str]:
        """Upload files (name, content) without making tasks of them; return their addresses in tasks, in order."""
        path, addresses = f"api/projects/{project_number(project)}", list[str]()
        for start in range(0, len(files), _FILES_AT_ONCE):
            part = {f"file{place}": file for place, file in enumerate(files[start : start + _FILES_AT_ONCE])}
            query = {"commit_to_project": "false"}
            made = self.send("POST", f"{path}/import", query=query, files=part, timeout_s=_BULK_TIMEOUT_S)
            ids = [int(number) for number in made["file_upload_ids"]]
            found = self.send("GET", f"{path}/file-uploads", query={"ids": json.dumps(ids)})
            place_of = {int(row["id"]): str(row["file"]) for row in found}
            addresses += [f"/data/{place_of[number]}" for number in ids]
        if len(addresses) != len(files):
            raise LabelStudioError(f"Label Studio kept {len(addresses)} of {len(files)} uploaded files.")
        return addresses

    def next_task(self, project: str) -> Json | None:
        """Return the task that the label stream serves this user, which locks it; None where there is none."""
        try:
            return as_object(self.send("GET", f"api/projects/{project_number(project)}/next/"))
        except NotFound as error:
            if "no tasks" in str(error):
                return None
            raise

    def submit(self, task: int, result: Sequence[Json], *, skip: bool = False, **fields: Any) -> Json:
        """Submit an annotation as this user, with fields such as lead_time, parent_prediction or unique_id."""
        query = {"was_cancelled": "1"} if skip else None
        body = {"result": list(result), **fields}
        return as_object(self.send("POST", f"api/tasks/{task}/annotations/", query=query, body=body))

    def annotations(self, task: int) -> list[Json]:
        """Return the annotations of one task."""
        return list(self.send("GET", f"api/tasks/{task}/annotations/"))

    def drafts(self, task: int) -> list[Json]:
        """Return the drafts of all users for one task: user, created_at, ..."""
        return list(self.send("GET", f"api/tasks/{task}/drafts"))

    def create_prediction(
        self, task: int, *, result: Sequence[Json], score: float | None, model_version: str, project: str = ""
    ) -> Json:
        """Create one prediction (0.06 s for any size of project; Label Studio does not validate it)."""
        body: Json = {"task": task, "result": list(result), "score": score, "model_version": model_version}
        if project:
            body["project"] = project_number(project)
        return as_object(self.send("POST", "api/predictions/", body=body))

    def create_predictions(self, project: str, rows: Sequence[Json]) -> int:
        """Create many predictions in one request; return how many were created.

        Label Studio silently drops invalid rows, so compare the number. One unknown task id makes the request fail.
        """
        path = f"api/projects/{project_number(project)}/import/predictions"
        return int(self.send("POST", path, body=list(rows), timeout_s=_BULK_TIMEOUT_S)["created"])

    def prediction(self, prediction: int) -> Json | None:
        """Return one prediction; None where it was deleted."""
        with suppress(NotFound):
            return as_object(self.send("GET", f"api/predictions/{prediction}/"))
        return None

    def predictions(self, *, task: int | None = None, project: str | None = None) -> list[Json]:
        """Return all predictions of a task or a project, in one response without pages."""
        query: Json = {} if task is None else {"task": task}
        if project is not None:
            query["project"] = project_number(project)
        return list(self.send("GET", "api/predictions/", query=query, timeout_s=_BULK_TIMEOUT_S))

    def patch_prediction(self, prediction: int, **fields: Any) -> Json:
        """Change a prediction: score, ..."""
        return as_object(self.send("PATCH", f"api/predictions/{prediction}/", body=fields))

    def delete_prediction(self, prediction: int) -> None:
        """Delete one prediction; one that was deleted already is no error."""
        self._delete_if_exists(f"api/predictions/{prediction}/")

    def model_versions(self, project: str) -> list[Json]:
        """Return the versions with predictions, newest first: model_version, count, latest (ISO time)."""
        found = self.send("GET", f"api/projects/{project_number(project)}/model-versions/", query={"extended": "true"})
        return list(found["static"])

    def delete_model_version(self, project: str, version: str) -> int:
        """Delete all predictions of a version (slow); return how many. A project's current version becomes null."""
        path = f"api/projects/{project_number(project)}/model-versions/"
        gone = self.send("DELETE", path, body={"model_version": version}, timeout_s=_BULK_TIMEOUT_S)
        return int(gone["deleted_predictions"])

    def probe(self, path: str, body: Any) -> LabelStudioError | None:
        """Send a POST that is expected to fail and return the error; None where it succeeded."""
        try:
            self.send("POST", path, body=body)
        except LabelStudioError as error:
            return error
        return None

    def backends(self, project: str) -> list[Json]:
        """Return the ML backends of a project; Label Studio calls each of them for this."""
        return list(self.send("GET", "api/ml/", query={"project": project_number(project)}))

    def create_backend(self, project: str, *, url: str, title: str, **fields: Any) -> Json:
        """Connect an ML backend, which must be running; basic_auth_user and basic_auth_pass turn on authentication.

        It is tried again where Label Studio refuses because the backend did not answer in time.
        """
        body = {"url": url, "title": title, "project": project_number(project), **_auth(fields)}
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_message(match=f"(?!.*({_FINAL})).*({_UNREACHED}|{_NO_SETUP})"),
            wait=tenacity.wait_fixed(1.0),
            stop=tenacity.stop_after_attempt(_REGISTRATIONS),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return as_object(retrying(self.send, "POST", "api/ml/", body=body))
        except LabelStudioError as error:
            if _UNREACHED not in str(error):
                raise
            raise LabelStudioError(
                f"Label Studio cannot reach this service at {url}: its health check failed.",
                hint="Start `hitl serve` first; HITL_PUBLIC_URL is where Label Studio reaches it.",
                status=error.status,
            ) from None

    def patch_backend(self, backend: int, project: str, *, url: str, **fields: Any) -> Json:
        """Change an ML backend; Label Studio answers 500 without url and project."""
        body = {"url": url, "project": project_number(project), **_auth(fields)}
        return as_object(self.send("PATCH", f"api/ml/{backend}", body=body))

    def delete_backend(self, backend: int) -> None:
        """Delete an ML backend; its webhook stays, and a model_version equal to its title is reset."""
        self._delete_if_exists(f"api/ml/{backend}")

    def webhooks(self, project: str) -> list[Json]:
        """Return the webhooks of a project with their headers."""
        return list(self.send("GET", "api/webhooks/", query={"project": project_number(project)}))

    def create_webhook(self, project: str, *, url: str, headers: Mapping[str, str], **fields: Any) -> Json:
        """Create a webhook for every event of a project, with payload."""
        body = {"project": project_number(project), "url": url, "headers": dict(headers), **_WEBHOOK, **fields}
        return as_object(self.send("POST", "api/webhooks/", body=body))

    def patch_webhook(self, webhook: int, **fields: Any) -> Json:
        """Change a webhook; its actions are sent along, because a PATCH without them empties the list."""
        if "actions" not in fields:
            fields["actions"] = self.send("GET", f"api/webhooks/{webhook}/")["actions"]
        return as_object(self.send("PATCH", f"api/webhooks/{webhook}/", body=fields))

    def delete_webhook(self, webhook: int) -> None:
        """Delete one webhook."""
        self._delete_if_exists(f"api/webhooks/{webhook}/")

    def _delete_if_exists(self, path: str) -> None:
        with suppress(NotFound):
            self.send("DELETE", path)


def task_filter(field: str, operator: str, value: Any, *, kind: str = "Number") -> Json:
    """Return a filter of the Data Manager for `Client.tasks`."""
    return {"filter": f"filter:tasks:{field}", "operator": operator, "type": kind, "value": value}


def version_filter(version: str) -> Json:
    """Return the filter for tasks with a prediction of a model version."""
    return task_filter("predictions_model_versions", "contains", version, kind="String")


def _auth(fields: Json) -> Json:
    return {"auth_method": "BASIC_AUTH", **fields} if fields.get("basic_auth_user") else fields
