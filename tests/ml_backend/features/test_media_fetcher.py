"""Media are fetched from allowed hosts only, and our token goes to media files of Label Studio only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from ml_backend.errors import LabelStudioError, SettingsError
from ml_backend.features.image_decoding import MediaError
from ml_backend.features.media_fetcher import MediaFetcher
from tests.support.media_hosts import TOKEN, Site, fetcher_for


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/20/a.png",
        "{home}/data/upload/20/a%20b.png",
        "/data/local-files/?d=folder/a.png",
        "/tasks/5/resolve/?fileuri=czM6Ly9hL2I=",
        "/tasks/5/presign/?fileuri=czM6Ly9hL2I=",
        "/projects/5/resolve/?fileuri=czM6Ly9hL2I=",
    ],
)
def test_media_files_of_label_studio_come_with_our_token(home: Site, address: str):
    home.answer = (200, {}, b"picture")

    assert fetcher_for(home)(address.format(home=home.url)) == b"picture"
    assert home.asked[0][1] == TOKEN


@pytest.mark.parametrize(
    "address",
    [
        "/a.png",
        "/api/users",
        "/api/current-user/token",
        "/static/a.png",
        "/user/account",
        "/data/upload/../../api/users",
        "/data/upload/%2e%2e/%2e%2e/api/users",
        "/data/upload/..%2f..%2fapi/users",
        "/data/upload/%252e%252e/%252e%252e/api/users",
        "/data/upload/.%2e/x",
        "/data/upload//api/users",
        "/data//upload/a.png",
        "/data/upload/%5c..%5c..%5capi",
        "{home}/data/upload/..;/..;a=b/api/users",
        "/data/upload/%2e%2e%3b/api/users",
        "/data/upload",
        "/data/uploads/a.png",
        "/data/export/a.zip",
        "/tasks/5/resolve/../../../api/users",
        "/tasks/5/",
        "/tasks/x/resolve/",
        "/api/tasks/5/resolve/",
        "/api/data/upload/a.png",
        "{home}/api/projects/1/",
    ],
)
def test_no_other_path_of_label_studio_gets_our_token(home: Site, address: str):
    home.answer = (200, {}, b"secrets")

    with contextlib.suppress(MediaError):
        fetcher_for(home)(address.format(home=home.url))
    assert {token for _, token in home.asked} <= {None}


@pytest.mark.parametrize("where", ["/data/upload/b.png", "{other}/data/upload/b.png", "/api/users"])
def test_the_token_is_not_sent_after_a_redirect(home: Site, sites: Callable[[], Site], where: str):
    other = sites()
    target = where.format(other=other.url)
    home.routes["/data/upload/a.png"] = (302, {"Location": target}, b"")
    home.routes["/data/upload/b.png"] = home.routes["/api/users"] = (200, {}, b"picture")
    other.routes["/data/upload/b.png"] = (200, {}, b"picture")
    fetch = fetcher_for(home, hosts=[f"private:127.0.0.1:{other.port}"])

    assert fetch("/data/upload/a.png") == b"picture"
    assert [token for _, token in home.asked + other.asked] == [TOKEN, None]


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "ftp://example.org/a",
        "gopher://127.0.0.1/",
        "//evil.example/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://localhost:22/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://user:pw@127.0.0.1/",
        "http://evil.example/a.png",
        "http://evil.example#@cdn.example.org/",
        "http://cdn.example.org@evil.example/",
        "http://cdn.example.org\\@evil.example/",
        "http://cdn.example.org.evil.example/",
        "http://evilcdn.example.org/",
        "http://cdn.example.org:22/",
        "http://cdn.example.org /",
        "http://exa\nmple.org/",
        "http://[bad/",
        "http://127.0.0.1:99999/",
        "s3://bucket/a",
        "a.png",
        "",
    ],
)
def test_no_other_way_leads_out(home: Site, address: str):
    def resolve(host: str, port: int) -> list[str]:
        raise AssertionError(f"{host} was looked up")

    with pytest.raises(MediaError):
        fetcher_for(home, hosts=["cdn.example.org"], resolve=resolve)(address)
    assert home.asked == []


def test_a_named_host_is_asked_without_our_token(home: Site, sites: Callable[[], Site]):
    other = sites()
    fetch = fetcher_for(home, hosts=[f"private:files.example:{other.port}"], resolve=lambda host, port: ["127.0.0.1"])

    assert fetch(f"http://files.example:{other.port}/a.png") == b"picture"
    assert other.asked == [("/a.png", None)]


@pytest.mark.parametrize("where", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "0.0.0.0", "100.64.0.1"])  # noqa: S104
def test_a_named_host_that_turns_out_to_be_inside_is_not_asked(home: Site, where: str):
    fetch = fetcher_for(home, hosts=["cdn.example.org"], resolve=lambda host, port: ["93.184.216.34", where])

    with pytest.raises(MediaError, match="not a public address"):
        fetch("https://cdn.example.org/a.png")


def test_a_name_is_resolved_once_and_the_checked_address_is_the_one_that_is_asked(
    home: Site, sites: Callable[[], Site]
):
    inside = sites()
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    fetch = fetcher_for(home, hosts=[f"private:x.example:{inside.port}"], resolve=lambda host, port: next(answers))

    assert fetch(f"http://x.example:{inside.port}/a.png") == b"picture"
    assert next(answers) == ["169.254.169.254"]  # never asked for


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/", "file:///etc/passwd", "{other}/a.png", "//evil.example/"]
)
def test_a_redirect_stands_under_the_same_rules(home: Site, sites: Callable[[], Site], target: str):
    other = sites()
    home.routes["/r"] = (302, {"Location": target.format(other=other.url)}, b"")

    with pytest.raises(MediaError):
        fetcher_for(home)("/r")
    assert other.asked == []


def test_a_redirect_within_the_rules_is_followed_and_a_circle_is_left(home: Site):
    home.routes["/r"] = (302, {"Location": "a.png"}, b"")
    home.routes["/circle"] = (302, {"Location": "/circle"}, b"")

    assert fetcher_for(home)("/r") == b"picture"
    with pytest.raises(MediaError, match="redirected more than"):
        fetcher_for(home)("/circle")


def test_a_file_without_end_is_cut_at_the_limit(home: Site):
    home.routes["/big"] = (200, {}, b"x" * 100_000)

    with pytest.raises(MediaError, match="more than 1000 bytes"):
        fetcher_for(home, max_bytes=1000)("/big")


def test_a_missing_file_is_an_error_without_the_query(home: Site):
    with pytest.raises(MediaError, match="status 404") as caught:
        fetcher_for(home)("/none?signature=secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["http://x", "x/y", "*", "u@x", "private:"])
def test_a_setting_that_is_no_host_is_refused(host: str):
    with pytest.raises(SettingsError, match="not a host"):
        MediaFetcher(hosts=[host])


@pytest.mark.parametrize("path", ["/elsewhere/a.png", "/labels/../a.png", "/labels/%2e%2e/a.png"])
def test_another_service_on_the_host_of_label_studio_gets_no_token(home: Site, path: str):
    home.routes["/labels/a.png"] = (200, {}, b"picture")
    fetch = MediaFetcher(f"{home.url}/labels", authorization=lambda: TOKEN)

    with pytest.raises(MediaError, match="not allowed"):
        fetch(path)
    assert fetch("/labels/a.png") == b"picture"


def test_a_token_that_cannot_be_had_is_a_reason_like_any_other(home: Site):
    def none() -> str:
        raise LabelStudioError("no answer from Label Studio")

    with pytest.raises(MediaError, match="no answer from Label Studio"):
        MediaFetcher(home.url, authorization=none)("/data/upload/a.png")
