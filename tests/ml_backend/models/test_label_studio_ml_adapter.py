import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from ml_backend.calibration import Calibrator
from ml_backend.models import label_studio_ml_adapter, recipe_for
from ml_backend.registry import Bundle, FolderRegistry, pack
from tests.support.small_tasks import TEXT, texts

XML = """<View><Text name="text" value="$text"/><Choices name="topic" toName="text">
<Choice value="refund"/><Choice value="delivery"/><Choice value="login"/></Choices></View>"""


def champion(folder, project, version, *, control=TEXT, labels=None):
    """Train on the small texts and make it the champion of a project."""
    data, labelled = texts(60)
    labelled = [(labels or {}).get(label, label) for label in labelled]
    model = recipe_for(TEXT).fit(data, labelled, field="text")
    bundle = Bundle(model, Calibrator(), control, "", "text-choices/2", version, 60, 0.0, {})
    registry = FolderRegistry(Path(folder) / "models")
    registry.add(project, version, pack(bundle), {})
    registry.promote(project, version)


def chosen(answer):
    return answer["result"][0]["value"]["choices"][0]


def task(data, project="7", number=1):
    return {"id": number, "data": data, "project": project}


@pytest.fixture
def backend(tmp_path, monkeypatch):
    monkeypatch.setenv("HITL_DATA_DIR", str(tmp_path))
    return lambda config=XML: label_studio_ml_adapter.HitlBackend(
        label_config=config, hostname="", access_token="", model_version=None
    )


def test_the_champion_answers_each_task_in_order(backend, tmp_path):
    champion(tmp_path, "7", "m60-a")
    data, labels = texts(6, seed=4)

    answers = backend().predict([task(item) for item in data], login=None, password=None, context=None)

    assert [chosen(answer) for answer in answers] == labels
    for answer in answers:
        assert answer["model_version"] == "INITIAL"
        assert 1 / 3 < answer["score"] <= 1
        assert {"from_name": "topic", "to_name": "text", "type": "choices"}.items() <= answer["result"][0].items()


def test_before_any_model_and_for_broken_tasks_the_answer_is_empty(backend, tmp_path):
    cold = {"result": [], "score": 0.0, "model_version": "INITIAL"}
    assert backend().predict([task({"text": "a"}), {"id": 1}]) == [cold, cold]

    champion(tmp_path, "7", "m60-a")
    answers = backend().predict([task({}), task(None), {"id": 3, "project": "7"}, task(texts(1)[0][0])])

    assert [bool(answer["result"]) for answer in answers] == [False, False, False, True]


def test_projects_side_by_side_answer_in_their_own_labels(backend, tmp_path):
    champion(tmp_path, "7", "m60-a")
    ducks = {"refund": "Duck", "delivery": "Elk", "login": "Fox"}
    champion(tmp_path, "8", "m60-b", control=replace(TEXT, labels=tuple(ducks.values())), labels=ducks)
    item = texts(1)[0][0]

    mixed = label_studio_ml_adapter.HitlBackend().predict(
        [task(item, "8"), task(item, 7), task(item, "9"), task(item, "8")]
    )

    assert [chosen(answer) for answer in mixed if answer["result"]] == ["Elk", "delivery", "Elk"]
    assert mixed[2]["result"] == []


def test_labels_of_another_question_are_never_given(backend, tmp_path):
    champion(tmp_path, "7", "m60-a")
    other = XML.replace('name="topic"', 'name="mood"')
    fewer = XML.replace('<Choice value="delivery"/>', "")
    item = texts(1)[0][0]  # about a delivery

    assert backend(other).predict([task(item)])[0]["result"] == []
    assert chosen(backend(fewer).predict([task(item)])[0]) in ("refund", "login")


def test_a_promotion_is_served_at_once_and_a_broken_artefact_is_not(backend, tmp_path):
    champion(tmp_path, "7", "m60-a")
    serving = backend()
    item = task(texts(1)[0][0])
    assert chosen(serving.predict([item])[0]) == "delivery"

    champion(tmp_path, "7", "m60-b", labels={"delivery": "login", "login": "delivery"})
    assert chosen(serving.predict([item])[0]) == "login"

    (tmp_path / "models" / "7" / "m60-b.skops").write_bytes(b"cut")
    assert backend().predict([item])[0]["result"] == []


@pytest.mark.slow
def test_label_studio_ml_start_serves_our_champion(tmp_path):
    """The real command of the real package, from init to an answer over HTTP."""
    champion(tmp_path, "7", "m60-a")
    home = Path(sys.executable).parent
    environment = os.environ | {"HITL_DATA_DIR": str(tmp_path), "PATH": f"{home}{os.pathsep}{os.environ['PATH']}"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = str(home / "label-studio-ml")
    subprocess.run(
        [command, "init", "ours", "--script", f"{label_studio_ml_adapter.__file__}:HitlBackend"],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
    )
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [command, "start", "ours", "-p", str(port), "--host", "127.0.0.1"],
            cwd=tmp_path,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", tmp_path / "log")
        data, labels = texts(5, seed=8)
        names = []
        for version in ("m60-a", "m60-a", "m60-b", "m60-b"):
            if version not in FolderRegistry(tmp_path / "models").versions("7"):
                champion(tmp_path, "7", version)
            setup = {"project": "7.1700000000", "schema": XML, "hostname": "", "access_token": ""}
            names.append(str(_post(port, "setup", setup)["model_version"]))
            body = {"tasks": [task(item) for item in data], "project": "7.1", "label_config": XML, "params": {}}

            answers = _post(port, "predict", body)["results"]

            assert [chosen(answer) for answer in answers] == labels
            assert {answer["model_version"] for answer in answers} == {names[-1]}  # or Label Studio asks for ever
        assert names[0] == "INITIAL"
        assert names[1] == names[2] != names[3]  # a promotion has a name of its own from the next /setup on
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def _wait(url, log, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            urlopen(url, timeout=2).close()  # noqa: S310 - our own server
        except (URLError, OSError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"no answer from {url}: {log.read_text()[-2000:]}")


def _post(port, path, body):
    request = Request(
        f"http://127.0.0.1:{port}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=20) as answer:  # noqa: S310 - our own server
        return json.load(answer)
