from __future__ import annotations

from pathlib import Path

import pytest

from feedback.errors import SettingsError
from feedback.settings import read_settings


def test_nothing_set_gives_a_service_on_loopback():
    settings = read_settings({})

    assert settings.url == "http://127.0.0.1:9090"
    assert settings.loopback
    assert not settings.has_label_studio
    assert settings.store_url.startswith("sqlite:///")


def test_the_store_is_the_same_one_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stores = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        stores.add(read_settings({}).store_url)

    assert len(stores) == 1
    assert str(tmp_path) not in stores.pop()


def test_a_folder_under_home_or_the_working_directory_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    assert read_settings({"HITL_DATA_DIR": "~/data"}).data_dir == tmp_path / "data"
    assert read_settings({"HITL_DATA_DIR": "data"}).data_dir == tmp_path / "data"


def test_a_mistyped_variable_is_refused_with_the_nearest_name():
    with pytest.raises(SettingsError, match="did you mean HITL_PORT"):
        read_settings({"HITL_PROT": "1"})


def test_other_peoples_variables_are_none_of_our_business():
    assert read_settings({"PATH": "/bin", "LABEL_STUDIO_HOST": "x", "HITL_PROOF": "ci"}).port == 9090


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("HITL_PORT", "ninety", "wanted a whole number"),
        ("HITL_PORT", "70000", "0 to 65535"),
        ("HITL_TICK_S", "0", "wanted 0.05"),
        ("HITL_DURABILITY", "maybe", "full or normal"),
        ("LABEL_STUDIO_URL", "localhost:8080", "http://host:port"),
        ("HITL_BASIC_AUTH_USER", "me", "belong together"),
        ("HITL_LOG_LEVEL", "chatty", "debug, info"),
        ("HITL_TRUSTED_PROXIES", "10.0.0.0/8, proxy.example", "10.0.0.7"),
        ("HITL_TRUSTED_PROXIES", "*", "10.0.0.7"),
        *(
            ("HITL_MEDIA_HOSTS", host, "HITL_MEDIA_HOSTS contains .* which is not a host")
            for host in ("http://x/", "x/", "cdn.example.org, a b", "private:", "x:99999", "*", "me@x", "[::1")
        ),
        ("HITL_ALLOWED_HOSTS", "https://hitl.example.org", "HITL_ALLOWED_HOSTS contains"),
        ("HITL_ALLOWED_HOSTS", "*", "HITL_ALLOWED_HOSTS contains"),
    ],
)
def test_a_value_out_of_range_names_the_variable_and_what_was_wanted(variable: str, value: str, message: str):
    with pytest.raises(SettingsError, match=message) as caught:
        read_settings({variable: value})

    assert variable in str(caught.value)


def test_beyond_loopback_a_secret_and_a_password_are_required():
    login = {"HITL_BASIC_AUTH_USER": "me", "HITL_BASIC_AUTH_PASSWORD": "pw"}
    with pytest.raises(SettingsError, match="others can reach"):
        read_settings({"HITL_HOST": "0.0.0.0"} | login)  # noqa: S104

    assert read_settings({"HITL_HOST": "0.0.0.0", "HITL_WEBHOOK_SECRET": "s"} | login).port == 9090  # noqa: S104


@pytest.mark.parametrize("variable", ["LABEL_STUDIO_URL", "LABEL_STUDIO_PUBLIC_URL", "HITL_PUBLIC_URL"])
def test_an_address_holds_no_password_which_links_and_logs_would_show(variable: str):
    with pytest.raises(SettingsError, match=f"{variable} contains a user or password") as refused:
        read_settings({variable: "https://ann:s3cr3t@studio.example"})

    assert "s3cr3t" not in str(refused.value)


def test_secrets_rotate_and_never_show():
    settings = read_settings({"HITL_WEBHOOK_SECRET": "new-one, old-one", "LABEL_STUDIO_API_KEY": "token-7"})

    assert settings.secrets == ("new-one", "old-one")
    assert "old-one" not in repr(settings)
    assert "token-7" not in f"{settings}"
