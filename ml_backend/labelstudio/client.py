"""What we ask of Label Studio: one method a request, JSON in and out; every trap of the API is stepped round here."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.transport import Json, NotLabelStudio, Transport, as_object, project_number
from ml_backend.labelstudio.webhook_registration import Hooks

_BULK_TIMEOUT_S = 300.0  # a recount of 100,000 tasks takes seconds, on a busy PostgreSQL a minute
_PAGE = 500
_NOT_FOUND = 404


class Client(Hooks):
    """A Label Studio, as one user: `Client("https://labels.example.org", personal_access_token)`.

    Reads and repeatable writes are retried; every failure is a LabelStudioError with its HTTP status.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout_s: float = 30.0,
        tries: int = 4,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = Transport(url, api_key, timeout_s=timeout_s, tries=tries, sleep=sleep)
        self._send = self._transport.send

    @property
    def url(self) -> str:
        """The address, with a slash at the end."""
        return self._transport.url

    @property
    def legacy_token(self) -> bool:
        """True when the key is a legacy token."""
        return self._transport.legacy

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def authorization(self) -> str:
        """The Authorization header for requests that others send as us, such as for the files of tasks."""
        return self._transport.authorization()

    def version(self) -> str:
        """Label Studio's release, such as "1.23.2"."""
        return str(self._send("GET", "api/version")["release"])

    def me(self) -> Json:
        """Who this client is: id, email, ..."""
        return as_object(self._send("GET", "api/current-user/whoami"))

    def invitation(self) -> str:
        """The sign-up address of the organization, with its token."""
        return str(self._send("GET", "api/invite")["invite_url"])

    def users(self) -> list[Json]:
        """Everybody in the organization: id, email, ..."""
        return list(self._send("GET", "api/users/"))

    def projects(self) -> Iterator[Json]:
        """Every project that this user sees."""
        page = 1
        while True:
            found = self._send("GET", "api/projects/", query={"page": page, "page_size": 100})
            yield from found["results"]
            if not found.get("next"):
                return
            page += 1

    def project(self, project: str) -> Json:
        """One project with its counters."""
        try:
            return as_object(self._send("GET", f"api/projects/{project_number(project)}/"))
        except LabelStudioError as error:
            if error.status != _NOT_FOUND or isinstance(error, NotLabelStudio):
                raise
            raise LabelStudioError(
                f"Label Studio has no project {project} for the user of this token.",
                hint="A project's number stands in its address: /projects/12/.",
                status=error.status,
            ) from None

    def create_project(self, **fields: Any) -> Json:
        """Make a project: title, label_config, ..."""
        return as_object(self._send("POST", "api/projects/", body=fields))

    def patch_project(self, project: str, **fields: Any) -> Json:
        """Change the given settings of a project; others stay."""
        return as_object(
            self._send("PATCH", f"api/projects/{project_number(project)}/", body=fields, timeout_s=_BULK_TIMEOUT_S)
        )

    def delete_project(self, project: str) -> None:
        """Delete a project and everything in it."""
        self._send("DELETE", f"api/projects/{project_number(project)}/", timeout_s=_BULK_TIMEOUT_S)

    def tasks(
        self,
        project: str,
        *,
        filters: Sequence[Json] = (),
        ordering: str = "tasks:id",
        include: Sequence[str] = (),
        page: int = 1,
        page_size: int = _PAGE,
    ) -> list[Json]:
        """One page of tasks with annotations and predictions (unless `include` names fewer fields); [] past the end."""
        wanted = {"filters": {"conjunction": "and", "items": list(filters)}, "ordering": [ordering]}
        query: Json = {
            "project": project_number(project),
            "page": page,
            "page_size": page_size,
            "fields": "all",
            "resolve_uri": "false",  # data as in webhooks, not proxied
            "query": json.dumps(wanted),
        }
        if include:
            query["include"] = ",".join(include)
        try:
            found = self._send("GET", "api/tasks/", query=query, timeout_s=_BULK_TIMEOUT_S)
        except LabelStudioError as error:
            if error.status == _NOT_FOUND and page > 1:
                return []
            raise
        return list(found["tasks"])

    def each_task(
        self, project: str, *, filters: Sequence[Json] = (), include: Sequence[str] = (), page_size: int = _PAGE
    ) -> Iterator[Json]:
        """Every task in order of id; pages follow the last id seen, so that deletions meanwhile skip nothing."""
        last = 0
        while True:
            found = self.tasks_above(project, last, filters=filters, include=include, page_size=page_size)
            yield from found
            if len(found) < page_size:
                return
            last = found[-1]["id"]

    def tasks_above(
        self,
        project: str,
        last: int,
        *,
        filters: Sequence[Json] = (),
        include: Sequence[str] = (),
        page_size: int = _PAGE,
    ) -> list[Json]:
        """The first tasks whose id is above `last`, in order of id."""
        above = {"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": last}
        return self.tasks(project, filters=[*filters, above], include=include, page_size=page_size)

    def task(self, task: int) -> Json:
        """One task with all annotations and predictions."""
        return as_object(self._send("GET", f"api/tasks/{task}/", query={"resolve_uri": "false"}))

    def patch_task(self, task: int, **fields: Any) -> Json:
        """Change a task: overlap, is_labeled, data, ..."""
        return as_object(self._send("PATCH", f"api/tasks/{task}/", body=fields))

    def delete_task(self, task: int) -> None:
        """Delete one task."""
        self._send("DELETE", f"api/tasks/{task}/")

    def import_tasks(self, project: str, tasks: Sequence[Json]) -> list[int]:
        """Import tasks (`{"data": …}`) in one request; their ids in order."""
        made = self._send(
            "POST",
            f"api/projects/{project_number(project)}/import",
            query={"return_task_ids": "true"},
            body=list(tasks),
            timeout_s=_BULK_TIMEOUT_S,
        )
        return [int(task) for task in made["task_ids"]]

    def next_task(self, project: str) -> Json | None:
        """What the label stream hands this user now, locking it for them; None when there is nothing."""
        try:
            return as_object(self._send("GET", f"api/projects/{project_number(project)}/next/"))
        except LabelStudioError as error:
            if error.status == _NOT_FOUND and "no tasks" in str(error):
                return None
            raise

    def submit(self, task: int, result: Sequence[Json], *, skip: bool = False, **fields: Any) -> Json:
        """Submit an annotation as this user; fields: lead_time, parent_prediction, ground_truth, unique_id, ..."""
        query = {"was_cancelled": "1"} if skip else None
        body = {"result": list(result), **fields}
        return as_object(self._send("POST", f"api/tasks/{task}/annotations/", query=query, body=body))

    def annotations(self, task: int) -> list[Json]:
        """The annotations of one task."""
        return list(self._send("GET", f"api/tasks/{task}/annotations/"))

    def drafts(self, task: int) -> list[Json]:
        """The drafts of one task, everybody's: user, created_at, ..."""
        return list(self._send("GET", f"api/tasks/{task}/drafts"))

    def patch_annotation(self, annotation: int, **fields: Any) -> Json:
        """Change an annotation: result, ground_truth, ..."""
        return as_object(self._send("PATCH", f"api/annotations/{annotation}/", body=fields))

    def delete_annotation(self, annotation: int) -> None:
        """Delete one annotation; one that is gone already is no error."""
        self._gone_is_fine("DELETE", f"api/annotations/{annotation}/")

    def create_prediction(
        self, task: int, *, result: Sequence[Json], score: float | None, model_version: str, project: str = ""
    ) -> Json:
        """Write one prediction (0.06 s whatever the project's size; nothing validates it)."""
        body: Json = {"task": task, "result": list(result), "score": score, "model_version": model_version}
        if project:
            body["project"] = project_number(project)
        return as_object(self._send("POST", "api/predictions/", body=body))

    def create_predictions(self, project: str, rows: Sequence[Json]) -> int:
        """Write many predictions in one request; how many were created.

        Label Studio silently drops rows that it finds invalid: compare. One unknown task id refuses the request.
        """
        path = f"api/projects/{project_number(project)}/import/predictions"
        return int(self._send("POST", path, body=list(rows), timeout_s=_BULK_TIMEOUT_S)["created"])

    def prediction(self, prediction: int) -> Json | None:
        """One prediction by id; None when it is gone."""
        try:
            return as_object(self._send("GET", f"api/predictions/{prediction}/"))
        except LabelStudioError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def predictions(self, *, task: int | None = None, project: str | None = None) -> list[Json]:
        """All predictions of a task or of a project (not paged by Label Studio: mind large projects)."""
        query: Json = {} if task is None else {"task": task}
        if project is not None:
            query["project"] = project_number(project)
        return list(self._send("GET", "api/predictions/", query=query, timeout_s=_BULK_TIMEOUT_S))

    def delete_prediction(self, prediction: int) -> None:
        """Delete one prediction; one that is gone already is no error."""
        self._gone_is_fine("DELETE", f"api/predictions/{prediction}/")

    def model_versions(self, project: str) -> list[Json]:
        """The versions that have predictions: model_version, count, latest (ISO time), newest first."""
        found = self._send("GET", f"api/projects/{project_number(project)}/model-versions/", query={"extended": "true"})
        return list(found["static"])

    def delete_model_version(self, project: str, version: str) -> int:
        """Delete all predictions of a version (slow); how many. Deleting the project's current one sets it to null."""
        path = f"api/projects/{project_number(project)}/model-versions/"
        gone = self._send("DELETE", path, body={"model_version": version}, timeout_s=_BULK_TIMEOUT_S)
        return int(gone["deleted_predictions"])

    def probe(self, path: str, body: Any) -> LabelStudioError | None:
        """POST something that cannot succeed, to read the refusal; None when it was accepted."""
        try:
            self._send("POST", path, body=body)
        except LabelStudioError as error:
            return error
        return None
