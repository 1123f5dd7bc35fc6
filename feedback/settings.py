"""Settings: read from environment variables, checked once, kept in one frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from platformdirs import user_data_path

import ml_backend.errors
from feedback.errors import SettingsError
from ml_backend.host_names import read_host_names, read_media_hosts

# wherever a command runs, it finds the same store
_DATA_DIR = user_data_path("label-studio-hitl")
_TEST_ONLY = frozenset({"HITL_PROOF", "HITL_DATA_SETS"})  # read by the project's own tests


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Each field is the variable HITL_<NAME>; label_studio_* are LABEL_STUDIO_*.

    Examples
    --------
    >>> read_settings({"HITL_PORT": "9191"}).url
    'http://127.0.0.1:9191'
    """

    data_dir: Path = _DATA_DIR
    database_url: str = ""  # "" : SQLite in data_dir
    host: str = "127.0.0.1"
    port: int = 9090
    public_url: str = ""  # our address as Label Studio reaches it; "" : http://host:port
    label_studio_url: str = ""
    label_studio_api_key: str = ""  # personal access token, or legacy token
    label_studio_public_url: str = ""  # where browsers reach Label Studio, for links; "" : label_studio_url
    webhook_secret: str = ""  # several, comma-separated, for rotation; "" : one is created in the store
    basic_auth_user: str = ""
    basic_auth_password: str = ""
    trusted_proxies: str = ""  # networks of proxies whose X-Forwarded-For is trusted, comma-separated
    allowed_hosts: str = ""  # further names under which we are reached, comma-separated; public_url's is always one
    max_body_mib: int = 256
    max_tasks: int = 200_000
    durability: Literal["full", "normal"] = "full"  # "normal": safe against a killed process, not against a power cut
    web_workers: int = 2
    web_threads: int = 4
    tick_s: float = 2.0  # how often the worker polls the job rows
    poll_s: float = 15.0  # how often Label Studio is polled for changes that webhooks missed
    sweep_s: float = (
        3600.0  # how often everything is compared with Label Studio, which finds deletions without a webhook
    )
    lock_ttl_s: float = 86_400.0  # Label Studio's TASK_LOCK_TTL: for so long an opened task stays locked
    media_hosts: str = ""  # hosts in addition to Label Studio from which images are loaded, comma-separated
    log_level: str = "info"

    @property
    def url(self) -> str:
        """Return our address as Label Studio reaches it, without a trailing slash."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")

    @property
    def store_url(self) -> str:
        """Return the SQLAlchemy URL of the store."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'hitl.sqlite3'}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the webhook secrets that are set; each is valid."""
        return tuple(part.strip() for part in self.webhook_secret.split(",") if part.strip())

    @property
    def loopback(self) -> bool:
        """Return whether we listen on this machine only."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def open_to_look(self) -> bool:
        """Return whether pages need no sign-in: only this machine reaches us, and not through a proxy."""
        return self.loopback and not (self.basic_auth_password or self.public_url or self.allowed_hosts)

    @property
    def has_label_studio(self) -> bool:
        """Return whether we can call Label Studio; otherwise we learn from webhooks only."""
        return bool(self.label_studio_url and self.label_studio_api_key)

    def __repr__(self) -> str:
        """Return the settings without secrets."""
        return (
            f"Settings(data_dir={str(self.data_dir)!r}, url={self.url!r}, label_studio_url={self.label_studio_url!r})"
        )


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the checked settings of an environment.

    Raises
    ------
    SettingsError
        With the variable, what was wanted and what to do.

    Examples
    --------
    >>> read_settings({"HITL_PROT": "9191"})
    Traceback (most recent call last):
    feedback.errors.SettingsError: HITL_PROT is not a setting; did you mean HITL_PORT?
    """
    known = {_variable(field.name): field for field in fields(Settings)}
    for name in environ:
        if name.startswith("HITL_") and name not in known and name not in _TEST_ONLY:
            near = get_close_matches(name, known, n=1)
            suggestion = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"{name} is not a setting{suggestion}", hint=f"Settings: {', '.join(sorted(known))}.")
    given = {
        field.name: _read(name, environ[name], field.default) for name, field in known.items() if environ.get(name)
    }
    settings = Settings(**given)
    _check(settings)
    return settings


def _variable(name: str) -> str:
    return name.upper() if name.startswith("label_studio_") else f"HITL_{name.upper()}"


def _read(variable: str, text: str, default: Any) -> Any:
    if isinstance(default, Path):
        return Path(text.strip()).expanduser().absolute()
    kind = type(default)
    try:
        return kind(text.strip())
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise SettingsError(f"{variable} is {text!r}; wanted {wanted}.") from None


def _check(settings: Settings) -> None:
    ranges = {
        "port": (0, 65535),
        "max_body_mib": (1, 4096),
        "max_tasks": (1, 10_000_000),
        "web_workers": (1, 256),
        "web_threads": (1, 256),
        "tick_s": (0.05, 3600.0),
        "poll_s": (0.2, 86_400.0),
        "sweep_s": (1.0, 31_536_000.0),
        "lock_ttl_s": (1.0, 31_536_000.0),
    }
    for name, (low, high) in ranges.items():
        if not low <= getattr(settings, name) <= high:
            raise SettingsError(f"{_variable(name)} is {getattr(settings, name)}; wanted {low} to {high}.")
    if settings.durability not in ("full", "normal"):
        raise SettingsError(f"HITL_DURABILITY is {settings.durability!r}; wanted full or normal.")
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise SettingsError(f"HITL_LOG_LEVEL is {settings.log_level!r}; wanted debug, info, warning or error.")
    _check_addresses(settings)
    if bool(settings.basic_auth_user) != bool(settings.basic_auth_password):
        raise SettingsError("HITL_BASIC_AUTH_USER and HITL_BASIC_AUTH_PASSWORD belong together; only one is set.")
    _check_proxies(settings.trusted_proxies)
    try:
        read_host_names(settings.allowed_hosts.split(","))
        read_media_hosts(settings.media_hosts.split(","))
    except ml_backend.errors.SettingsError as error:
        raise SettingsError(str(error), hint=error.hint) from error
    if not settings.loopback and not (settings.secrets and settings.basic_auth_password):
        raise SettingsError(
            f"HITL_HOST is {settings.host}, which others can reach, and a secret or a password is missing.",
            hint="Set HITL_WEBHOOK_SECRET, HITL_BASIC_AUTH_USER and HITL_BASIC_AUTH_PASSWORD, or bind to 127.0.0.1.",
        )


def _check_addresses(settings: Settings) -> None:
    for name in ("label_studio_url", "label_studio_public_url", "public_url"):
        value = getattr(settings, name)
        try:
            parts = urlsplit(value)
        except ValueError:  # http://[::1
            parts = urlsplit("")
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise SettingsError(f"{_variable(name)} is {value!r}; wanted http://host:port or https://host.")
        if "@" in parts.netloc:  # it would appear in links, logs and errors
            raise SettingsError(f"{_variable(name)} contains a user or password; wanted the address only.")


def _check_proxies(text: str) -> None:
    for part in filter(None, (network.strip() for network in text.split(","))):
        try:
            ip_network(part, strict=False)
        except ValueError:
            wanted = "wanted addresses or networks such as 10.0.0.7, 172.16.0.0/12"
            raise SettingsError(f"HITL_TRUSTED_PROXIES has {part!r}; {wanted}.") from None
