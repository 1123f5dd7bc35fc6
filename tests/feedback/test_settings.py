from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from feedback.app.bootstrap import load_settings
from feedback.errors import SettingsError
from feedback.settings import read_env_file, read_settings


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


def test_settings_stand_in_a_file_of_the_folder_and_the_environment_wins(tmp_path: Path):
    text = "\ufeff# ours\nHITL_PORT=9191\nexport LABEL_STUDIO_URL='http://localhost:8080'\nOTHER_PASSWORD=of-somebody\n"
    (tmp_path / ".env").write_text(f"{text}LABEL_STUDIO_API_KEY=t0ken  # of ann\n", encoding="utf-8")

    found = read_settings({"HITL_TICK_S": "3"}, tmp_path)

    assert (found.port, found.label_studio_url, found.label_studio_api_key, found.tick_s) == (
        9191,
        "http://localhost:8080",
        "t0ken",
        3.0,
    )
    assert read_settings({"HITL_PORT": "80"}, tmp_path).port == 80
    assert read_settings({"HITL_PORT": ""}, tmp_path).port == 9191
    assert read_settings({}).port == 9090


def test_a_value_in_a_file_may_name_another_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OWN_FOLDER", str(tmp_path))
    (tmp_path / "label_studio_api_key").write_text("t0ken")
    text = "HITL_DATA_DIR=${OWN_FOLDER}/data\nHITL_SECRETS_DIR=${OWN_FOLDER}\nSSL_CERT_FILE=${OWN_FOLDER}/ca.pem\n"
    (tmp_path / ".env").write_text(f"{text}hitl_port=9191\n")

    found = read_settings({}, tmp_path)

    assert (found.data_dir, found.label_studio_api_key, found.port) == (tmp_path / "data", "t0ken", 9191)
    assert read_env_file(tmp_path / ".env")["SSL_CERT_FILE"] == (f"{tmp_path}/ca.pem", 3)


def test_secrets_are_read_from_files_as_docker_mounts_them(tmp_path: Path):
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "label_studio_api_key").write_text("t0ken\n")
    (folder / "HITL_WEBHOOK_SECRET").write_text("s3cr3t")
    (folder / "another_service").write_text("x")

    found = read_settings({"HITL_SECRETS_DIR": str(folder), "LABEL_STUDIO_URL": "http://localhost:8080"})

    assert (found.label_studio_api_key, found.secrets) == ("t0ken", ("s3cr3t",))
    assert "s3cr3t" not in repr(found)
    assert (
        read_settings({"HITL_SECRETS_DIR": str(folder), "LABEL_STUDIO_API_KEY": "mine"}).label_studio_api_key == "mine"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n# comment\nHITL_PORT=ninety\n", r"HITL_PORT \({file}, line 3\) is 'ninety'; wanted a whole number"),
        ("HITL_TICK_S=0", r"HITL_TICK_S \({file}, line 1\) is '0'; wanted 0.05 to 3600"),
        ("HITL_PROT=1", r"HITL_PROT \({file}, line 1\) is not a setting; did you mean HITL_PORT"),
        ("HITL_PORT=1\nLABEL_STUDIO_URL=http://a..b", r"LABEL_STUDIO_URL \({file}, line 2\) is 'http://a..b'; wanted"),
        ("HITL_HOST=0.0.0.0", r"HITL_HOST \({file}, line 1\) is 0.0.0.0, which others can reach"),
        ("HITL_MEDIA_HOSTS=http://x/", r"HITL_MEDIA_HOSTS \({file}, line 1\) contains 'http://x/'"),
        ("HITL_PORT=1\nwhat is this", r"{file}, line 2: wanted NAME=value"),
        ("HITL_PORT='1", r"{file}, line 1: wanted NAME=value"),
        (b"\xff\xfeH\x00", r"{file} cannot be read: it is not text in UTF-8"),
    ],
)
def test_an_error_in_a_file_names_the_variable_the_file_and_the_line(tmp_path: Path, text: str | bytes, message: str):
    (tmp_path / ".env").write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(SettingsError, match=message.replace("{file}", re.escape(str(tmp_path / ".env")))):
        read_settings({}, tmp_path)


def test_an_error_in_a_secret_file_names_it(tmp_path: Path):
    (tmp_path / "hitl_prot").write_text("1")
    with pytest.raises(SettingsError, match=rf"HITL_PROT \({tmp_path}/hitl_prot\) is not a setting"):
        read_settings({"HITL_SECRETS_DIR": str(tmp_path)})

    (tmp_path / "hitl_prot").rename(tmp_path / "hitl_port")
    (tmp_path / "hitl_port").write_text("1x")
    with pytest.raises(SettingsError, match=rf"HITL_PORT \({tmp_path}/hitl_port\) is '1x'; wanted a whole number"):
        read_settings({"HITL_SECRETS_DIR": str(tmp_path)})

    with pytest.raises(SettingsError, match="HITL_SECRETS_DIR is '/nowhere'; wanted a folder"):
        read_settings({"HITL_SECRETS_DIR": "/nowhere"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \r\n", "is empty"),
        (b"\xff\xfet\x00", "cannot be read: it is not text in UTF-8"),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_a_secret_file_without_a_secret_is_named_and_not_taken_for_an_unset_one(
    tmp_path: Path, content: bytes | None, message: str
):
    file = tmp_path / "hitl_webhook_secret"
    _ = file.mkdir() if content is None else file.write_bytes(content)

    with pytest.raises(SettingsError, match=rf"the secret file {file} {message}") as caught:
        read_settings({"HITL_SECRETS_DIR": str(tmp_path)})

    assert "or remove it" in caught.value.hint
    assert read_settings({"HITL_SECRETS_DIR": str(tmp_path), "HITL_WEBHOOK_SECRET": "mine"}).secrets == ("mine",)


def test_what_editors_put_around_a_secret_is_no_part_of_it(tmp_path: Path):
    (tmp_path / "label_studio_api_key").write_bytes(b"\xef\xbb\xbft0ken\r\n")

    assert read_settings({"HITL_SECRETS_DIR": str(tmp_path)}).label_studio_api_key == "t0ken"


def test_certificates_and_proxies_in_the_file_count_for_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", "http://of.the.environment:1")
    monkeypatch.setenv("SSL_CERT_FILE", "x")  # so that it is removed again
    monkeypatch.delenv("SSL_CERT_FILE")
    (tmp_path / ".env").write_text("SSL_CERT_FILE=/etc/own.pem\nHTTPS_PROXY=http://of.the.file:1\n")

    load_settings({})

    assert os.environ["SSL_CERT_FILE"] == "/etc/own.pem"
    assert os.environ["HTTPS_PROXY"] == "http://of.the.environment:1"
