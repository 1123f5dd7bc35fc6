"""Examine the service, its connection to Label Studio, and a project: what is well, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from feedback.app.bootstrap import list_names, make_client, make_media_fetcher
from feedback.errors import NotConnected
from feedback.reports.formatting import person_name
from feedback.reports.health import service_findings
from feedback.reports.project_status import project_status
from feedback.reports.uncounted_answers import uncounted_sentences
from feedback.settings import Settings
from feedback.store import ProjectRow, Store, describe_store
from ml_backend.labelstudio.doctor import Finding, each_check, shadowed_packages

EXAMINATION_S = 10.0  # somebody waits for the reason why Label Studio does not answer
_LEFT_OUT = "Correct the row in Label Studio; everything else goes on without it. The log has more about it."
_NOT_LEARNED = "Change the label config, or choose another control with [model] control in the policy."
_UNCOUNTED = (
    "`hitl history {project} TASK` and `hitl why {project} TASK` name them; "
    "who may answer is in [people] of the policy."
)


@dataclass(slots=True)
class Examination:
    """What an examination found, in the order of the checks."""

    findings: list[Finding] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)  # what holds, a sentence for each check without a finding
    next_step: str = ""  # what is left to do, also where nothing is wrong

    @property
    def has_error(self) -> bool:
        """Return whether something does not work."""
        return any(finding.severity == "error" for finding in self.findings)


def examine(
    settings: Settings, store: Store, project: str = "", *, before_connect: Sequence[Finding] | None = None
) -> Examination:
    """Run all checks and change nothing. Without `project` (an id) only the installation is examined.

    `before_connect` are findings about the service that are known already; what `hitl connect` mends is left out then.
    """
    row = store.projects.get_project(project) if project else None
    is_open = bool(project) and not (row and (row.connected or row.source))
    found = Examination(next_step=f"It is not connected: run `hitl connect {project}`." if is_open else "")
    for holds, findings in _each_check(settings, store, project, row, before_connect):
        known = [row.what for row in found.findings]  # the worker meets Label Studio, too, and says so
        new = [row for row in findings if not any(row.what in what for what in known)]
        found.findings += [row for row in new if before_connect is None or not row.mended_by_connect]
        found.passed += [holds] if holds and not findings else []
    return found


def _each_check(
    settings: Settings, store: Store, project: str, row: ProjectRow | None, service: Sequence[Finding] | None
) -> Iterator[tuple[str, list[Finding]]]:
    """Yield what holds where nothing is found, and the findings."""
    yield "no other package has the name of one of ours", list(shadowed_packages())
    if service is not None:
        yield "", list(service)
    else:
        holds = f"the service answers at {settings.url} and works, with the store {describe_store(settings.store_url)}"
        yield holds, service_findings(settings, store)
    status = project_status(store, row) if row else {}
    try:
        with make_client(settings, timeout_s=EXAMINATION_S) as client:
            yield from each_check(
                client,
                project,
                backend_url=settings.url,
                connected=row is not None and row.connected,
                missed=status.get("missed_by_webhooks", 0),
                control=row.policy.model.control if row else "",
                hosted=bool(row and row.policy.model.hosted),
                check_address=make_media_fetcher(settings).check,
            )
    except NotConnected as error:
        yield "", [Finding("Label Studio not set", "error", str(error), error.hint)]
    if row is not None:
        sentence = status.get("not_learned")
        lost = [Finding("answers not learned", "warning", f"{sentence}.", _NOT_LEARNED)] if sentence else []
        yield "answers become training rows", lost
        counts, who = status.get("not_counted", ()), _UNCOUNTED.format(project=project)
        name = partial(person_name, list_names(settings, store) if counts else {})
        sentences = uncounted_sentences(counts, name=name)
        uncounted = [Finding("answers do not count", "warning", f"{sentence}.", who) for sentence in sentences]
        yield "the answers of everybody count", uncounted
        left_out = [Finding("rows left out", "warning", line, _LEFT_OUT) for line in status.get("left_out", ())]
        yield "no row was left out within a day", left_out
