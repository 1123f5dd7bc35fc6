"""Check the connection to Label Studio: each problem with its fix, for `hitl doctor`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.project_checks import CHECKS, Finding, ProjectState
from ml_backend.labelstudio.projects import DOT_HINT, host_without_dot

__all__ = ["Finding", "run_checks"]

TESTED = ("1.23.",)  # releases of Label Studio that the end-to-end tests run with
_OURS = ("ml_backend", "sampling", "feedback")
_BLOCKED = "reserved network address"


def run_checks(
    client: Client, project: str = "", *, backend_url: str = "", connected: bool = True, missed: int = 0
) -> list[Finding]:
    """Run all checks and return the findings; changes nothing in Label Studio.

    Parameters
    ----------
    project
        Its id; without it, only the installation is checked.
    backend_url
        Where Label Studio reaches this service; without it, the checks of this address are left out.
    connected
        Whether the project is supposed to be connected.
    missed
        Changes that polling found and no webhook had brought.

    Returns
    -------
    list of Finding
        A token that does not work ends the checks, because all others need it.
    """
    findings = [*shadowed_packages()]
    of_token = [*check_api_token(client)]
    if any(finding.severity == "error" for finding in of_token):
        return findings + of_token
    findings += [*of_token, *check_version(client)]
    if backend_url:
        findings += [*check_host(backend_url), *check_ssrf_guards(client, backend_url)]
    if project:
        state = ProjectState(
            client,
            client.project(project),
            tuple(client.backends(project)),
            tuple(client.webhooks(project)),
            backend_url,
            connected,
            missed,
        )
        for check in CHECKS:
            findings += check(state)
    return findings


def check_api_token(client: Client) -> Iterator[Finding]:
    """Find an access token that does not work, or a legacy one."""
    try:
        legacy = client.legacy_token
        client.me()
    except LabelStudioError as error:
        name = "dead token" if error.status in (401, 403) else "Label Studio not reached"
        yield Finding(name, "error", str(error), error.hint)
        return
    if legacy:
        yield Finding(
            "legacy token",
            "warning",
            "LABEL_STUDIO_API_KEY is a legacy token; new organizations refuse those.",
            "Make a personal access token in Label Studio (Account & Settings).",
        )


def check_version(client: Client) -> Iterator[Finding]:
    """Find a release of Label Studio that is not tested."""
    release = client.version()
    if not release.startswith(TESTED):
        yield Finding(
            "untested Label Studio version",
            "warning",
            f"Label Studio is {release}; tested are {', '.join(prefix + 'x' for prefix in TESTED)}.",
            "Watch the queue for a while (hitl status), or use a tested release.",
        )


def shadowed_packages(
    installed: Callable[[], Iterable[tuple[str, Iterable[str]]]] = lambda: packages_distributions().items(),
    path: Callable[[], Iterable[str]] = lambda: sys.path,
) -> Iterator[Finding]:
    """Find other distributions, or files on Python's path, with the name of one of our packages."""
    for name, owners in installed():
        others = sorted(set(owners) - {"label-studio-hitl"})
        if name in _OURS and others:
            yield _shadow(name, f"also installed by {', '.join(others)}", f"Uninstall {', '.join(others)}")
    ours = Path(__file__).parents[2]
    for place in {Path(entry or ".").resolve() for entry in path()} - {ours}:
        for name in _OURS:
            for other in (place / f"{name}.py", place / name / "__init__.py"):
                if other.exists() and not other.samefile(ours / name / "__init__.py"):
                    yield _shadow(name, f"also at {other}", f"Rename or remove {other}")


def _shadow(name: str, where: str, remedy: str) -> Finding:
    what = f"the package {name!r} is {where}; Python may import the wrong one."
    return Finding("shadowed package", "error", what, f"{remedy}, or give label-studio-hitl its own environment.")


def check_host(backend_url: str) -> Iterator[Finding]:
    """Find a host for which Label Studio accepts no webhook."""
    if host := host_without_dot(backend_url):
        what = f"Label Studio accepts no webhook for a host without a dot, and ignores it silently: {host!r}."
        yield Finding("webhook host without a dot", "error", what, DOT_HINT)


def check_ssrf_guards(client: Client, backend_url: str) -> Iterator[Finding]:
    """Find the two SSRF guards of Label Studio, with requests that can never succeed."""
    probes = (
        ("SSRF guard blocks webhooks", "SSRF_PROTECTION_ENABLED", "api/webhooks/", {"project": None}),
        ("SSRF guard blocks ML backends", "ML_BLOCK_LOCAL_IP", "api/ml/", {"project": -1}),
    )
    for name, switch, path, nobody in probes:
        refused = client.probe(path, {"url": f"{backend_url.rstrip('/')}/webhook", **nobody})
        if refused is not None and _BLOCKED in str(refused):
            yield Finding(
                name,
                "error",
                f"Label Studio refuses {backend_url}: its SSRF guard blocks this network.",
                f"Start Label Studio with {switch}=false, or with USE_DEFAULT_BANNED_SUBNETS=false and "
                "USER_ADDITIONAL_BANNED_SUBNETS naming the networks that stay closed.",
            )
