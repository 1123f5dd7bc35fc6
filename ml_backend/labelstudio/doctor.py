"""Find the traps between Label Studio and us: one small check each, with what is so and what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.project_checks import CHECKS, Finding, ProjectSnapshot
from ml_backend.labelstudio.projects import DOT_HINT, host_without_dot

__all__ = ["Finding", "examine"]

TESTED = ("1.23.",)  # releases of Label Studio that our end-to-end tests ran against
_OURS = ("ml_backend", "sampling", "feedback")
_BLOCKED = "reserved network address"


def examine(
    client: Client, project: str = "", *, backend_url: str = "", connected: bool = True, missed: int = 0
) -> list[Finding]:
    """Look for every known trap; [] when there is none. Changes nothing in Label Studio.

    Without `project` only the installation is examined, without `backend_url` nothing that concerns our address. A
    token that does not work ends the examination, since everything else needs it.
    """
    found = [*shadowed_packages()]
    dead = [*token(client)]
    if any(finding.severity == "error" for finding in dead):
        return found + dead
    found += [*dead, *version(client)]
    if backend_url:
        found += [*dotless_host(backend_url), *guards(client, backend_url)]
    if project:
        snapshot = ProjectSnapshot(
            client,
            client.project(project),
            tuple(client.backends(project)),
            tuple(client.webhooks(project)),
            backend_url,
            connected,
            missed,
        )
        for check in CHECKS:
            found += check(snapshot)
    return found


def token(client: Client) -> Iterator[Finding]:
    """A token that is dead, or a legacy one."""
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


def version(client: Client) -> Iterator[Finding]:
    """A release that we were not tested against."""
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
    """Another distribution, or a loose file on Python's path, with a top-level name of ours."""
    for name, owners in installed():
        others = sorted(set(owners) - {"label-studio-hitl"})
        if name in _OURS and others:
            yield _shadow(name, f"also installed by {', '.join(others)}", f"Uninstall {', '.join(others)}")
    ours = Path(__file__).parents[2]
    for place in {Path(entry or ".").resolve() for entry in path()} - {ours}:
        for name in _OURS:
            for twin in (place / f"{name}.py", place / name / "__init__.py"):
                if twin.exists() and not twin.samefile(ours / name / "__init__.py"):
                    yield _shadow(name, f"also at {twin}", f"Rename or remove {twin}")


def _shadow(name: str, where: str, remedy: str) -> Finding:
    what = f"the package {name!r} is {where}; Python may import the wrong one."
    return Finding("shadowed package", "error", what, f"{remedy}, or give label-studio-hitl its own environment.")


def dotless_host(backend_url: str) -> Iterator[Finding]:
    """An address of ours that Label Studio takes no webhook for."""
    if host := host_without_dot(backend_url):
        what = f"Label Studio takes no webhook for a host without a dot, and drops it silently: {host!r}."
        yield Finding("webhook host without a dot", "error", what, DOT_HINT)


def guards(client: Client, backend_url: str) -> Iterator[Finding]:
    """The two SSRF switches, asked with requests that can never succeed."""
    asked = (
        ("SSRF guard blocks webhooks", "SSRF_PROTECTION_ENABLED", "api/webhooks/", {"project": None}),
        ("SSRF guard blocks ML backends", "ML_BLOCK_LOCAL_IP", "api/ml/", {"project": -1}),
    )
    for name, switch, path, nobody in asked:
        refused = client.probe(path, {"url": f"{backend_url.rstrip('/')}/webhook", **nobody})
        if refused is not None and _BLOCKED in str(refused):
            yield Finding(
                name,
                "error",
                f"Label Studio refuses {backend_url}: it is in a network that its guard against SSRF blocks.",
                f"Start Label Studio with {switch}=false, or with USE_DEFAULT_BANNED_SUBNETS=false and "
                "USER_ADDITIONAL_BANNED_SUBNETS naming the networks that stay closed.",
            )
