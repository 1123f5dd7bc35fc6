"""Settings: read from the environment, a .env file and secret files, checked once, kept in one frozen record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from io import StringIO
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from platformdirs import user_data_path
from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

import ml_backend.errors
from feedback.errors import SettingsError
from ml_backend.host_names import is_loopback, read_host_names, read_media_hosts

ENV_FILE = ".env"  # in the working directory; the environment wins
# read by libraries; taken from the .env file, too
CONNECTION_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_TEST_ONLY = frozenset({"HITL_PROOF", "HITL_DATA_SETS"})  # read by the project's own tests
_WANTED = {"int_parsing": "a whole number", "int_from_float": "a whole number", "float_parsing": "a number"}

_Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
_Count = Annotated[int, Field(ge=1, le=256)]
_Seconds = Annotated[float, Field(ge=1.0, le=31_536_000.0)]


class Settings(BaseSettings):
    """All settings. Each field is the variable HITL_<NAME>; label_studio_* are LABEL_STUDIO_*.

    `Settings(...)` itself reads nothing: `read_settings` does.

    Examples
    --------
    >>> read_settings({"HITL_PORT": "9191"}).url
    'http://127.0.0.1:9191'
    """

    model_config = SettingsConfigDict(
        env_prefix="HITL_", env_ignore_empty=True, extra="forbid", frozen=True, str_strip_whitespace=True
    )

    data_dir: _Folder = user_data_path("label-studio-hitl")  # wherever a command runs, it finds the same store
    secrets_dir: _Folder = Path("/run/secrets")  # a file for each secret, as Docker mounts them
    database_url: str = Field("", repr=False)  # "" : SQLite in data_dir
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 9090
    public_url: str = ""  # our address as Label Studio reaches it; "" : http://host:port
    pages_url: str = ""  # where browsers reach our pages, for links; "" : public_url
    label_studio_url: str = Field("", validation_alias="label_studio_url")
    # personal access token, or legacy token
    label_studio_api_key: str = Field("", validation_alias="label_studio_api_key", repr=False)
    # where browsers reach Label Studio, for links; "" : label_studio_url
    label_studio_public_url: str = Field("", validation_alias="label_studio_public_url")
    # several, comma-separated, for rotation; "" : one is created in the store
    webhook_secret: str = Field("", repr=False)
    basic_auth_user: str = ""
    basic_auth_password: str = Field("", repr=False)
    trusted_proxies: str = ""  # networks of proxies whose X-Forwarded-For is trusted, comma-separated
    allowed_hosts: str = (
        ""  # further names under which we are reached, comma-separated; public_url's and pages_url's always are
    )
    max_body_mib: Annotated[int, Field(ge=1, le=4096)] = 256
    max_tasks: Annotated[int, Field(ge=1, le=10_000_000)] = 200_000
    durability: Literal["full", "normal"] = "full"  # "normal": safe against a killed process, not against a power cut
    web_workers: _Count = 2
    web_threads: _Count = 4
    tick_s: Annotated[float, Field(ge=0.05, le=3600.0)] = 2.0  # how often the worker polls the job rows
    # how often Label Studio is polled for changes that webhooks missed
    poll_s: Annotated[float, Field(ge=0.2, le=86_400.0)] = 15.0
    # how often everything is compared with Label Studio, which finds deletions without a webhook
    sweep_s: _Seconds = 3600.0
    lock_ttl_s: _Seconds = 86_400.0  # Label Studio's TASK_LOCK_TTL: for so long an opened task stays locked
    media_hosts: str = ""  # hosts in addition to Label Studio from which images are loaded, comma-separated
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_others: Any, **_named: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but the arguments."""
        del settings_cls
        return (init_settings,)

    @property
    def url(self) -> str:
        """Return our address as Label Studio reaches it, without a trailing slash."""
        return (self.public_url or _http_url(self.host, self.port)).rstrip("/")

    @property
    def own_url(self) -> str:
        """Return our address on this machine."""
        listens_everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nosec B104
        return _http_url(listens_everywhere.get(self.host, self.host), self.port)

    @property
    def pages_link_url(self) -> str:
        """Return where browsers reach our pages, without a trailing slash."""
        return (self.pages_url or self.url).rstrip("/")

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
        return is_loopback(self.host)

    @property
    def open_to_look(self) -> bool:
        """Return whether pages need no sign-in: only this machine reaches us, and not through a proxy."""
        return self.loopback and not any(
            (self.basic_auth_password, self.public_url, self.pages_url, self.allowed_hosts)
        )

    @property
    def label_studio_link_url(self) -> str:
        """Return where browsers reach Label Studio, without a trailing slash; "" where no address is set."""
        return (self.label_studio_public_url or self.label_studio_url).rstrip("/")

    @property
    def has_label_studio(self) -> bool:
        """Return whether we can call Label Studio; otherwise we learn from webhooks only."""
        return bool(self.label_studio_url and self.label_studio_api_key)


def _http_url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def read_settings(environ: Mapping[str, str], folder: Path | None = None) -> Settings:
    """Return the checked settings: of an environment, else of `.env` in `folder`, else of secret files.

    Secret files stand in HITL_SECRETS_DIR, each with the name of its variable, such as label_studio_api_key.

    Raises
    ------
    SettingsError
        With the variable, the file where it stands, what was wanted and what to do.

    Examples
    --------
    >>> read_settings({"HITL_PROT": "9191"})
    Traceback (most recent call last):
    feedback.errors.SettingsError: HITL_PROT is not a setting; did you mean HITL_PORT?
    """
    file = (folder / ENV_FILE).absolute() if folder is not None else None
    lines = {name.upper(): row for name, row in read_env_file(file).items()} if file and file.is_file() else {}
    given = {name: value for name, (value, _) in lines.items()} | {
        name: value for name, value in environ.items() if value
    }
    secret_dir = _secret_dir(given.get("HITL_SECRETS_DIR", ""))
    secrets = _list_secrets(secret_dir) if secret_dir else {}
    places = {name: f" ({path})" for name, path in secrets.items()}
    places |= {name: f" ({file}, line {line})" for name, (_, line) in lines.items()}
    _check_names(places | dict.fromkeys(environ, ""))
    places |= dict.fromkeys((name for name, value in environ.items() if value), "")
    found: dict[str, Any] = {
        field: given[_variable(field)] for field in Settings.model_fields if given.get(_variable(field))
    }
    found |= {
        field: _read_secret(path)
        for field in Settings.model_fields
        if field not in found and (path := secrets.get(_variable(field)))
    }

    def named(field: str) -> str:
        return _variable(field) + places.get(_variable(field), "")

    try:
        settings = Settings(**found)
    except ValidationError as error:
        raise _describe(error, named) from None
    _check(settings, named)
    return settings


def read_env_file(file: Path) -> dict[str, tuple[str, int]]:
    """Return each variable of a .env file with its value and line; SettingsError where it cannot be read.

    A value may name another variable, of the file or the environment: ${HOME}.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise SettingsError(f"{file} cannot be read: {reason}.") from None
    lines = {}
    for row in parse_stream(StringIO(text)):
        own = row.original.string
        line = row.original.line + own[: len(own) - len(own.lstrip())].count("\n")
        if row.error or (row.key is not None and row.value is None):
            raise SettingsError(f"{file}, line {line}: wanted NAME=value.")
        if row.key is not None:
            lines[row.key] = line
    values = dotenv_values(stream=StringIO(text))
    return {name: (values[name] or "", line) for name, line in lines.items()}


def _secret_dir(given: str) -> Path | None:
    folder = Path(given or Settings.model_fields["secrets_dir"].default).expanduser()
    if folder.is_dir():
        return folder
    if given:
        raise SettingsError(f"HITL_SECRETS_DIR is {given!r}; wanted a folder with a file for each secret.")
    return None


def _list_secrets(folder: Path) -> dict[str, Path]:
    try:
        return {path.name.upper(): path for path in sorted(folder.iterdir())}
    except OSError as error:
        raise SettingsError(f"the secret files in {folder} cannot be read: {error.strerror}.") from None


def _read_secret(file: Path) -> str:
    """Return the text of a secret file; SettingsError where it has none, which is no unset variable."""
    hint = "Write the secret into it, and let the user that runs hitl read it; or remove it."
    try:
        text = file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise SettingsError(f"the secret file {file} cannot be read: {reason}.", hint=hint) from None
    if not text:
        raise SettingsError(f"the secret file {file} is empty.", hint=hint)
    return text


def _variable(field: str) -> str:
    return field.upper() if field.startswith("label_studio_") else f"HITL_{field.upper()}"


def _check_names(places: Mapping[str, str]) -> None:
    """Raise SettingsError for a name that only looks like one of ours; `places` say where each stands."""
    known = {_variable(field) for field in Settings.model_fields}
    for name, place in places.items():
        if name.startswith("HITL_") and name not in known | _TEST_ONLY:
            near = get_close_matches(name, known, n=1)
            suggestion = f"; did you mean {near[0]}?" if near else ""
            hint = f"Settings: {', '.join(sorted(known))}."
            raise SettingsError(f"{name}{place} is not a setting{suggestion}", hint=hint)


def _describe(error: ValidationError, named: Callable[[str], str]) -> SettingsError:
    """Return the first error as one of ours."""
    first = error.errors()[0]
    field = str(first["loc"][0])
    bounds = [
        getattr(bound, kind)
        for bound in Settings.model_fields[field].metadata
        for kind in ("ge", "le")
        if hasattr(bound, kind)
    ]
    if first["type"] == "literal_error":
        wanted = first["ctx"]["expected"].replace("'", "")
    else:
        wanted = _WANTED.get(first["type"]) or " to ".join(map(str, bounds))
    return SettingsError(f"{named(field)} is {first['input']!r}; wanted {wanted}.")


def _check(settings: Settings, named: Callable[[str], str]) -> None:
    """Check what concerns more than the type of one setting."""
    _check_addresses(settings, named)
    if bool(settings.basic_auth_user) != bool(settings.basic_auth_password):
        raise SettingsError("HITL_BASIC_AUTH_USER and HITL_BASIC_AUTH_PASSWORD belong together; only one is set.")
    _check_proxies(settings.trusted_proxies, named("trusted_proxies"))
    for name, read in (("allowed_hosts", read_host_names), ("media_hosts", read_media_hosts)):
        try:
            read(getattr(settings, name).split(","))
        except ml_backend.errors.SettingsError as error:
            raise SettingsError(str(error).replace(_variable(name), named(name)), hint=error.hint) from error
    if not settings.loopback and not (settings.secrets and settings.basic_auth_password):
        raise SettingsError(
            f"{named('host')} is {settings.host}, which others can reach, and a secret or a password is missing.",
            hint="Set HITL_WEBHOOK_SECRET, HITL_BASIC_AUTH_USER and HITL_BASIC_AUTH_PASSWORD, or bind to 127.0.0.1.",
        )


def _check_addresses(settings: Settings, named: Callable[[str], str]) -> None:
    for name in ("label_studio_url", "label_studio_public_url", "public_url", "pages_url"):
        value = getattr(settings, name)
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname and parts.hostname.encode("idna"))
            usable = usable and (parts.port or 1) > 0
        except ValueError:  # http://[::1, http://host:99999, http://a..b
            usable = False
        if "@" in value.partition("?")[0]:  # it would appear in links, logs and errors
            raise SettingsError(f"{named(name)} contains a user or password; wanted the address only.")
        if value and not usable:
            raise SettingsError(f"{named(name)} is {value!r}; wanted http://host:port or https://host.")


def _check_proxies(text: str, variable: str) -> None:
    for part in filter(None, (network.strip() for network in text.split(","))):
        try:
            ip_network(part, strict=False)
        except ValueError:
            wanted = "wanted addresses or networks such as 10.0.0.7, 172.16.0.0/12"
            raise SettingsError(f"{variable} has {part!r}; {wanted}.") from None
