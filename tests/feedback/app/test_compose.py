"""docker-compose.yml as a newcomer starts it: read here, since no test starts Docker."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from feedback.settings import Settings, read_settings
from ml_backend.labelstudio.local_server import BULK_FLAG
from ml_backend.labelstudio.projects import host_without_dot

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    filled = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    filled = re.sub(r"\$\{(\w+):\?[^}]*\}", r"given-\1", filled)
    found: dict[str, Any] = yaml.safe_load(filled)["services"]
    return found


@pytest.fixture(scope="module")
def settings(services: dict[str, Any]) -> Settings:
    image = dict(re.findall(r"\b(HITL_\w+)=(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8")))
    return read_settings({**image, **services["hitl"]["environment"]})


def test_every_variable_is_a_setting_and_the_service_may_listen_to_others(settings: Settings):
    assert not settings.loopback
    assert settings.secrets
    assert settings.basic_auth_password


def test_label_studio_and_we_agree_on_how_long_a_task_is_locked(services: dict[str, Any], settings: Settings):
    assert float(services["label-studio"]["environment"]["TASK_LOCK_TTL"]) == settings.lock_ttl_s


def test_our_address_is_an_alias_that_label_studio_takes_webhooks_for(services: dict[str, Any], settings: Settings):
    aliases = services["hitl"]["networks"]["default"]["aliases"]

    assert host_without_dot(settings.url) == ""
    assert urlsplit(settings.url).hostname in aliases
    assert settings.pages_link_url == "http://localhost:9090"  # an alias is known inside Docker only
    assert urlsplit(settings.label_studio_url).hostname in services


def test_the_example_of_env_names_each_variable_that_compose_wants_and_is_read_by_us_when_filled():
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    example = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    filled = {name: value or "0123456789abcdef" for name, value in example.items()}

    assert set(re.findall(r"\$\{(\w+):\?", text)) <= set(example)
    assert {name for name in example if f"${{{name}:" not in text} == set()
    assert {name for name, value in example.items() if value} == {"HITL_BASIC_AUTH_USER"}  # no secret is everybody's
    assert read_settings({name: value for name, value in filled.items() if name != "LABEL_STUDIO_PASSWORD"}).secrets


def test_label_studio_begins_with_the_token_that_we_use(services: dict[str, Any]):
    theirs, ours = services["label-studio"]["environment"], services["hitl"]["environment"]

    assert theirs["LABEL_STUDIO_USER_TOKEN"] == ours["LABEL_STUDIO_API_KEY"]
    assert theirs["LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN"] == "true"


def test_links_lead_to_where_a_browser_finds_label_studio(settings: Settings):
    assert urlsplit(settings.label_studio_public_url).hostname == "localhost"


def test_label_studio_may_reach_us_and_writes_quickly(services: dict[str, Any]):
    switches = services["label-studio"]["environment"]

    assert (switches["ML_BLOCK_LOCAL_IP"], switches["SSRF_PROTECTION_ENABLED"]) == ("false", "false")
    assert switches[BULK_FLAG] == "true"
    assert switches["LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK"] == "true"
