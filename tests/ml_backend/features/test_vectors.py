import subprocess
import sys

import numpy as np
import pytest

from ml_backend.errors import BackendError
from ml_backend.features import package_files, vectors
from ml_backend.features.vectors import word_vectors


def test_vectors_have_length_one_and_an_empty_text_has_none():
    found = word_vectors()(["a parcel that came late", "", "parcel"])

    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 0, 1], atol=1e-5)


def test_texts_of_one_meaning_lie_nearer_than_texts_of_another():
    refund, money, weather = word_vectors()(
        ["I want my money back", "please refund my payment", "it rains in the mountains"]
    )

    assert refund @ money > refund @ weather + 0.1


def test_word_by_word_gives_the_tokens_of_the_whole_text():
    text = "Don't PANIC: the 3rd parcel (naïve café, 日本) costs £4.20!"
    whole = word_vectors()._tokenizer.encode(text, add_special_tokens=False).ids

    assert word_vectors()._tokens(text) == whole


def test_many_texts_get_the_vectors_that_each_gets_alone():
    texts = ["one", "two words", "three words here", ""]

    together = word_vectors()(texts)

    alone = np.vstack([word_vectors()([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_package_of_the_weights_is_never_imported():
    code = "import sys; from ml_backend.features.vectors import word_vectors; word_vectors()(['x'])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print('wordllama' in sys.modules)"], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "False"
    assert done.stderr == ""


def test_without_the_weights_the_error_names_what_to_install(monkeypatch):
    monkeypatch.setattr(package_files, "find_spec", lambda name: None)

    with pytest.raises(BackendError, match="word vectors are not installed") as caught:
        vectors.word_vectors.__wrapped__()
    assert "wordllama" in caught.value.hint
