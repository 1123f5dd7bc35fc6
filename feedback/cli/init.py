"""hitl init: ask for Label Studio's address and token, write .env, examine it all, and offer to connect a project."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from feedback.app.bootstrap import load_settings, make_client, opened_store
from feedback.cli.arguments import project_argument
from feedback.cli.connect import connect
from feedback.cli.doctor import print_examination
from feedback.cli.terminal import echo
from feedback.errors import SettingsError
from feedback.settings import ENV_FILE, Settings, read_env_file, read_settings
from ml_backend.errors import LabelStudioError
from ml_backend.host_names import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_LISTED = 20  # projects
_PORT = 9090
_DOCKER_HOST = "host.docker.internal"  # this machine, by the name that containers know
_DOCKER = f"http://{_DOCKER_HOST}:{_PORT}"


def init(
    project: Annotated[str, project_argument("Default: it is asked for.")],
    url: Annotated[str, typer.Option(help="The address of Label Studio. Default: it is asked for.")] = "",
    token_file: Annotated[
        str, typer.Option(metavar="FILE", help="A file with the access token; - is standard input. Default: asked for.")
    ] = "",
    public_url: Annotated[
        str, typer.Option(help="The address at which Label Studio reaches this service, if not this machine's own.")
    ] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Change a .env that exists, without asking.")] = False,
) -> None:
    """Set up this folder: ask for Label Studio's address and token, write .env, check, and connect a project.

    Without a terminal nothing is asked: give --url and --token-file, or set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY.
    """
    asks = sys.stdin.isatty()
    file = Path(ENV_FILE)
    if file.exists() and not overwrite:
        what = f"{file.absolute()} exists."
        if not asks:
            raise SettingsError(what, hint="Give --overwrite to change these settings in it; its other lines stay.")
        typer.confirm(f"{what} Change Label Studio's settings in it? Its other lines stay.", abort=True)
    before = {name: value for name, (value, _) in (read_env_file(file) if file.is_file() else {}).items()}
    given = _ask_address(url or os.environ.get("LABEL_STUDIO_URL", ""), before.get("LABEL_STUDIO_URL", ""), asks=asks)
    address, _, tail = given.partition("/projects/")
    token = _read_token(token_file, asks=asks)
    ours = public_url or (_ask_public_url(address, before) if asks else "")
    new = {"LABEL_STUDIO_URL": address, "LABEL_STUDIO_API_KEY": token, **_reached_at(ours, before)}
    settings = read_settings(before | new)  # refuses what cannot be used, before anything is written
    if before.get("LABEL_STUDIO_API_KEY"):
        _refuse_dead_token(settings, file)
    _write(file, new)
    echo(f"Written: {file.absolute()}, which only you can read.")
    for name in new:
        if os.environ.get(name, new[name]) != new[name]:
            echo(f"But {name} is set in the environment, too, and the environment wins.", fg=typer.colors.YELLOW)
    if "HITL_BASIC_AUTH_PASSWORD" in new:
        echo(
            f"Programs and pages need a log-in: the user {new['HITL_BASIC_AUTH_USER']}, with the password in this file."
        )
    settings = load_settings()
    is_running = _examine(settings)
    chosen = project or (_ask_project(settings, tail.partition("/")[0]) if asks else "")
    if not chosen:
        echo("Next: `hitl serve` in this folder, and `hitl connect PROJECT` in another terminal.")
        return
    if asks and not is_running:
        echo("Now run `hitl serve` in another terminal, in this folder.")
        typer.prompt("Press Enter when it runs", default="", show_default=False)
    connect(chosen)


def _ask_address(given: str, before: str, *, asks: bool) -> str:
    if asks and not given:
        given = typer.prompt("The address of Label Studio", default=before or "http://localhost:8080")
    if not given:
        raise SettingsError("the address of Label Studio is missing.", hint="Give --url, or set LABEL_STUDIO_URL.")
    return given.strip().rstrip("/")


def _read_token(file: str, *, asks: bool) -> str:
    try:
        if file:
            return (sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")).strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(
            f"{file} cannot be read: {reason}.", hint="Give a file with nothing but the token."
        ) from None
    if token := os.environ.get("LABEL_STUDIO_API_KEY", ""):
        return token
    if not asks:
        hint = "Give --token-file, or set LABEL_STUDIO_API_KEY. Label Studio has it under Account & Settings."
        raise SettingsError("the access token is missing.", hint=hint)
    echo("The access token is in Label Studio under Account & Settings > Personal Access Token. It is not shown here.")
    return str(typer.prompt("Access token", hide_input=True)).strip()


def _ask_public_url(label_studio_url: str, before: Mapping[str, str]) -> str:
    host = urlsplit(label_studio_url).hostname or ""
    own = "localhost"
    if not is_loopback(host):
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, 80))  # sends nothing; the system chooses the address that leads there
            own = probe.getsockname()[0]
    echo(f"Label Studio calls this service. A Label Studio in Docker on this machine reaches it at {_DOCKER}.")
    likely = before.get("HITL_PUBLIC_URL") or f"http://{own}:{before.get('HITL_PORT', _PORT)}"
    return str(typer.prompt("The address at which Label Studio reaches this service", default=likely))


def _reached_at(url: str, before: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of a service that is reached at this address, with secrets where others can reach it."""
    parts = urlsplit(url)
    new: dict[str, str] = {}
    known = {**before, **os.environ}
    if parts.scheme == "http" and parts.port and str(parts.port) != known.get("HITL_PORT", str(_PORT)):
        new["HITL_PORT"] = str(parts.port)
    if not url:
        return new
    if is_loopback(parts.hostname or ""):
        own = {"HITL_PUBLIC_URL": url, "HITL_PAGES_URL": url, "HITL_HOST": "127.0.0.1"}
        return new | {name: value for name, value in own.items() if name in before}
    new["HITL_PUBLIC_URL"] = url
    in_docker = parts.hostname == _DOCKER_HOST  # a name that browsers of this machine do not know on Linux
    if in_docker or "HITL_PAGES_URL" in before:
        new["HITL_PAGES_URL"] = f"http://localhost:{parts.port or 80}" if in_docker else url
    if parts.scheme == "http":  # with https, a proxy of this machine stands in front
        new["HITL_HOST"] = "0.0.0.0"  # noqa: S104  # nosec B104  # a secret and a password are set with it
    made = {
        "HITL_WEBHOOK_SECRET": secrets.token_urlsafe(32),
        "HITL_BASIC_AUTH_USER": "hitl",
        "HITL_BASIC_AUTH_PASSWORD": secrets.token_urlsafe(18),
    }
    return new | {name: value for name, value in made.items() if not known.get(name)}


def _refuse_dead_token(settings: Settings, file: Path) -> None:
    """Raise SettingsError where Label Studio refuses the token: the one that the file has may work."""
    try:
        with make_client(settings) as client:
            client.me()
    except LabelStudioError as error:
        if error.status in (401, 403):
            raise SettingsError(f"{error} {file.absolute()} stays as it was.", hint=error.hint) from None


def _write(file: Path, new: Mapping[str, str]) -> None:
    """Set these variables in a .env file that only its owner may read; its other lines stay."""
    from dotenv import set_key

    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
        file.chmod(0o600)
        for name, value in new.items():
            set_key(file, name, value, quote_mode="auto")
    except OSError as error:
        hint = "Run hitl init in a folder in which you may write."
        raise SettingsError(f"{file.absolute()} cannot be written: {error.strerror}.", hint=hint) from None


def _examine(settings: Settings) -> bool:
    """Print what `hitl doctor` finds, and end where Label Studio cannot be used; return whether the service runs."""
    from feedback.app.doctor import examine
    from feedback.ingest.store_check import check_store_of_service

    with opened_store(settings) as store:
        is_running = all(found.severity != "error" for found in check_store_of_service(settings, store))
        found = examine(settings, store, before_connect=[])  # the service may be started next
    print_examination(found, "the installation")
    if found.has_error:
        echo("Mend this, and run `hitl doctor`; `hitl init` changes the settings.")
        raise SystemExit(1)
    return is_running


def _ask_project(settings: Settings, likely: str) -> str:
    with make_client(settings) as client:
        projects = list(client.projects())
    if not projects:
        echo("Label Studio has no project yet.")
        return ""
    for row in projects[:_MOST_LISTED]:
        echo(f"  {row['id']:>5}  {row['title']}")
    if (more := len(projects) - _MOST_LISTED) > 0:
        echo(f"  and {more} more")
    return str(
        typer.prompt("Connect which project? Its number, or Enter for none", default=likely, show_default=bool(likely))
    )
