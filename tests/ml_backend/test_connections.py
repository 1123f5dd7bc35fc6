"""Why a server is not reached: a sentence with its remedy, alike for Label Studio, sign-in, media and call-backs."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from feedback.app.bootstrap import post_json
from ml_backend.connections import describe_answer, environment_proxy
from ml_backend.errors import LabelStudioError
from ml_backend.features.image_decoding import MediaError
from ml_backend.features.media_fetcher import MediaFetcher
from ml_backend.labelstudio.accounts import check_password
from ml_backend.labelstudio.transport import Transport
from tests.support.served import free_address
from tests.support.unreached import hanging_up, make_certificate, serving, silent

Ask = Callable[[str], str]  # an address to what is said about it
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def label_studio(url: str) -> str:
    with pytest.raises(LabelStudioError) as caught, Transport(url, "some-token", tries=1, timeout_s=0.5) as transport:
        transport.send("GET", "api/version")
    return f"{caught.value} {caught.value.hint}"


def sign_in(url: str) -> str:
    with pytest.raises(LabelStudioError) as caught:
        check_password(url, "ann@example.com", "pw")
    return f"{caught.value} {caught.value.hint}"


def media(url: str) -> str:
    with pytest.raises(MediaError) as caught:
        MediaFetcher(url)(f"{url}/data/upload/1/a.png")
    return f"{caught.value} {caught.value.hint}"


def call_back(url: str) -> str:
    return post_json(f"{url}/hook/path-that-is-a-secret", b"{}", {})


ASKED = {"Label Studio": label_studio, "sign-in": sign_in, "media": media, "call-backs": call_back}
each = pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)


@each
@pytest.mark.parametrize(
    ("name", "days", "said"),
    [
        ("127.0.0.1", (-1, 1), "is self-signed, and this machine does not trust it"),
        ("studio.example", (-1, 1), "is for another name"),
        ("127.0.0.1", (-9, -1), "has expired"),
        ("127.0.0.1", (1, 2), "is not valid yet"),
    ],
)
def test_a_certificate_that_is_not_accepted_is_named_with_its_remedy(
    ask: Ask,
    name: str,
    days: tuple[int, int],
    said: str,
    tmp_path: Path,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = make_certificate(tmp_path, name=name, days=days)
    url = f"https://127.0.0.1:{stack.enter_context(serving(pair))}"
    if "self-signed" not in said:
        monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))

    found = ask(url)

    assert f"the certificate of {url} {said}" in found
    assert ("SSL_CERT_FILE" in found) == ("self-signed" in said)
    assert "connection refused" not in found


def test_a_certificate_in_ssl_cert_file_is_trusted(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path)
    url = f"https://127.0.0.1:{stack.enter_context(serving((certificate, key)))}"
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    assert MediaFetcher(url)(f"{url}/data/upload/1/a.png") == b"picture"
    assert post_json(url, b"{}", {}) == ""
    assert "page instead of JSON" in label_studio(url)

    (tmp_path / "other").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(make_certificate(tmp_path / "other")[0]))

    assert f"SSL_CERT_FILE is {tmp_path / 'other' / 'certificate.pem'}, which does not contain it" in label_studio(url)


@each
def test_a_certificate_file_that_cannot_be_read_is_named(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    missing = ask("https://127.0.0.1:9")
    (tmp_path / "text.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "text.pem"))

    assert f"SSL_CERT_FILE is '{tmp_path / 'missing.pem'}': No such file" in missing
    assert "it holds no certificate in PEM form" in ask("https://127.0.0.1:9")


@each
def test_the_wrong_scheme_is_named_with_the_right_one(ask: Ask, tmp_path: Path, stack: ExitStack) -> None:
    plain = stack.enter_context(serving())
    secure = stack.enter_context(serving(make_certificate(tmp_path)))

    assert f"speaks plain http there, not https. Write http://127.0.0.1:{plain} in" in ask(f"https://127.0.0.1:{plain}")
    assert "https://" in ask(f"http://127.0.0.1:{secure}")


@pytest.mark.parametrize("ask", [label_studio, sign_in, call_back])
def test_a_redirect_names_its_target_and_no_secret(ask: Ask, stack: ExitStack) -> None:
    url = f"http://127.0.0.1:{stack.enter_context(serving())}"

    found = ask(f"{url}/moved")

    assert "redirects to https://studio.example" in found
    assert "Write https://studio.example" in found or ask is call_back
    assert "s3cr3t" not in found
    assert "path-that-is" not in found
    assert "speaks https there" in ask(f"{url}/nginx")


def test_media_that_moved_to_https_name_the_target_and_the_setting(stack: ExitStack) -> None:
    url = f"http://127.0.0.1:{stack.enter_context(serving())}/moved"

    assert "'https://studio.example/data/upload/1/a.png' is on a host that is not allowed" in media(url)


@each
def test_no_host_nothing_that_listens_and_no_answer_are_three_sentences(ask: Ask, stack: ExitStack) -> None:
    port = free_address()[1]
    dropped = stack.enter_context(hanging_up())

    assert "there is no host named label-studio.invalid. Correct the name in" in ask("http://label-studio.invalid:8080")
    refused = ask(f"http://localhost:{port}")
    assert f"nothing listens at http://localhost:{port} (connection refused)" in refused
    assert "inside a container, localhost is the container itself" in refused
    assert "the connection was dropped" in ask(f"http://127.0.0.1:{dropped}")


@pytest.mark.parametrize("host", ["a..b", "xn--.invalid", "x:99999", "[::1"])
def test_an_address_that_is_none_is_a_sentence_also_as_a_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"http://{host} is not an address" in label_studio(f"http://{host}")
    monkeypatch.setenv("http_proxy", f"http://{host}")
    assert f"http_proxy is http://{host}, which is no proxy" in label_studio("http://studio.example")


@pytest.mark.parametrize("url", ["http://", "ftp://studio.example", "http://studio.example/?tab=1", "studio.example"])
def test_no_label_studio_is_at_an_address_with_a_query_or_without_a_scheme(url: str) -> None:
    assert "is not the address of a Label Studio" in label_studio(url)


def test_an_address_may_have_capitals_and_spaces_around_it() -> None:
    assert Transport(" HTTP://studio.example/sub/ ", "some-token").url == "http://studio.example/sub/"


def test_a_server_that_redirects_to_itself_is_not_to_be_written_there() -> None:
    url = "http://studio.example/api/version"
    failure = describe_answer(308, "", url, url, setting="LABEL_STUDIO_URL", base="http://studio.example/")

    assert failure is not None
    assert failure.what == "http://studio.example/ redirects to itself"
    assert "Write" not in failure.fix


def test_a_server_that_hangs_is_not_one_that_is_away(stack: ExitStack) -> None:
    port = stack.enter_context(silent())

    assert "does not answer within the time limit" in label_studio(f"http://127.0.0.1:{port}")
    assert "speaks plain http there, not https" in label_studio(f"https://127.0.0.1:{port}")  # it waits for a request


@each
def test_loopback_is_never_proxied_and_an_unusable_proxy_is_a_sentence(
    ask: Ask, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = stack.enter_context(hanging_up())
    monkeypatch.setenv("ALL_PROXY", "socks5://ann:s3cr3t@127.0.0.1:9")

    assert "the connection was dropped" in ask(f"http://127.0.0.1:{port}")
    assert "(ALL_PROXY) needs the package socksio" in ask("http://studio.example")
    monkeypatch.setenv("ALL_PROXY", "socks4://ann:s3cr3t@127.0.0.1:9")
    assert "ALL_PROXY is socks4://127.0.0.1:9, which is no proxy that can be used" in ask("http://studio.example")
    monkeypatch.setenv("ALL_PROXY", "http://ann:s3cr3t@127.0.0.1:9")
    refused = ask("http://studio.example")
    assert "nothing listens at the proxy http://127.0.0.1:9 (ALL_PROXY)" in refused
    assert "NO_PROXY" in refused
    assert "s3cr3t" not in refused


@pytest.mark.parametrize("ask", [label_studio, media, call_back])
def test_a_proxy_that_wants_a_log_in_or_refuses_is_named(
    ask: Ask, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants, refuses = (stack.enter_context(serving(proxy_status=status)) for status in (407, 403))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{wants}")

    wanted = ask("https://studio.example")
    assert f"the proxy http://127.0.0.1:{wants} (HTTPS_PROXY) wants a log-in" in wanted
    assert "Write its user and password in HTTPS_PROXY" in wanted
    monkeypatch.setenv("HTTPS_PROXY", f"http://ann:s3cr3t@127.0.0.1:{wants}")
    assert "It does not accept the user and password in HTTPS_PROXY" in ask("https://studio.example")
    monkeypatch.setenv("HTTP_PROXY", f"https://127.0.0.1:{wants}")
    assert f"the server at https://127.0.0.1:{wants} speaks plain http there" in ask("http://studio.example")
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{refuses}")
    assert f"the proxy http://127.0.0.1:{refuses} (HTTPS_PROXY) did not connect to studio.example: 403" in ask(
        "https://studio.example"
    )


def test_a_page_of_a_proxy_is_not_called_one_of_label_studio(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{stack.enter_context(serving(proxy_status=503))}")

    assert "The page may be one of the proxy http://127.0.0.1:" in label_studio("http://studio.example")


def test_what_no_proxy_names_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "studio.example,10.0.0.7:8080, 172.16.0.0/12")

    assert environment_proxy("http://studio.example:8080/api") is None
    assert environment_proxy("http://10.0.0.7:8080/") is None
    assert environment_proxy("http://172.17.0.3:8080/") is None
    assert environment_proxy("http://172.32.0.3:8080/") is not None
    assert [environment_proxy(f"http://{host}/") for host in ("localhost", "127.0.0.9:80", "[::1]:8080")] == [None] * 3
    assert str(environment_proxy("http://other.example/")) == "the proxy http://proxy.example:3128 (HTTP_PROXY)"


def test_an_earlier_failure_that_is_being_handled_is_not_taken_for_the_cause(stack: ExitStack) -> None:
    dropped = stack.enter_context(hanging_up())

    try:
        raise socket.gaierror(socket.EAI_NONAME, "an earlier one")
    except OSError:
        found = label_studio(f"http://127.0.0.1:{dropped}")

    assert "the connection was dropped" in found
