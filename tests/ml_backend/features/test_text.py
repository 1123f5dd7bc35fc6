import math
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from ml_backend.features.cache import FeatureCache
from ml_backend.features.text import TextBlock, read_text, text_block
from ml_backend.models.text_classifier import Vocabulary
from tests.support.hypothesis_profiles import examples


def code(*words):
    codes = [crc32(word.encode()) for word in words]
    return codes[0] if len(codes) == 1 else codes[0] << 32 | codes[1]


def terms(text):
    block = text_block([text]).terms
    return dict(zip(block.codes.tolist(), block.weights.tolist(), strict=True))


def test_terms_are_words_and_neighbours_with_sublinear_counts():
    assert terms("Spam spam eggs") == {
        code("spam"): pytest.approx(1 + math.log(2)),
        code("eggs"): 1,
        code("spam", "spam"): 1,
        code("spam", "eggs"): 1,
    }


def test_signs_are_words_and_characters_without_spaces_between_them_stand_alone():
    assert code("£") in terms("win £100!")
    assert code("猫") in terms("我的猫很可爱")
    assert code("猫", "很") in terms("我的猫很可爱")


def test_a_pair_never_spans_two_texts():
    block = text_block(["one two", "three"])

    assert code("two", "three") not in block.terms.codes.tolist()
    assert np.diff(block.terms.starts).tolist() == [3, 1]


def test_numbers_equal_those_of_scikit_learn():
    texts = ["the cat sat on the mat", "the dog sat", "a cat and a dog and the mat mat mat", "nothing of this"]
    theirs = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+").fit(texts)
    block = text_block(texts)
    words = Vocabulary.fit(block.terms, n_classes=2)
    codes, ours = words.codes, words.tfidf(block.terms).toarray()

    place = {term: np.searchsorted(codes, np.uint64(code(*term.split()))) for term in theirs.vocabulary_}
    columns = [place[term] for term in theirs.get_feature_names_out()]
    assert len(codes) == len(place)
    np.testing.assert_allclose(ours[:, columns], theirs.transform(texts).toarray(), atol=1e-6)


def test_runs_of_letters_equal_those_of_scikit_learn():
    texts = ["The cat cats", "a dog at the café", "CATS and no dogs"]
    theirs = TfidfVectorizer(analyzer="char_wb", ngram_range=(4, 4), sublinear_tf=True).fit(
        [f"{text}" for text in texts]
    )
    block = text_block(texts)
    grams = Vocabulary.fit(block.grams, n_classes=2)

    long_enough = [term for term in theirs.get_feature_names_out() if len(term) == 4]
    columns = [np.searchsorted(grams.codes, np.uint32(crc32(term.encode()))) for term in long_enough]
    assert len(grams.codes) == len(set(columns))
    assert {" cat", "cats", "ats "} <= set(long_enough)
    np.testing.assert_allclose(
        grams.tfidf(block.grams).toarray()[0, columns] > 0,
        [term in " the cat cats " for term in long_enough],
    )


def test_the_cache_changes_no_number():
    texts = ["first text", "", "second text here", "first text", "。"]
    cache = FeatureCache(max_bytes=1 << 20)
    plain = text_block(texts)

    for _ in range(2):
        cached = text_block(texts, cache)

        assert_same(cached, plain)
    assert cache.misses == 4
    assert cache.hits == 6


def assert_same(first, second, atol=0.0):
    for one, other in ((first.terms, second.terms), (first.grams, second.grams)):
        np.testing.assert_array_equal(one.codes, other.codes)
        np.testing.assert_array_equal(one.counts, other.counts)
        np.testing.assert_array_equal(one.starts, other.starts)
    np.testing.assert_allclose(first.vectors, second.vectors, atol=atol)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_a_text_has_the_same_features_alone_as_in_a_batch(texts):
    block = text_block(texts)

    for text, row in zip(texts, block.rows(), strict=True):
        alone, within = text_block([text]), TextBlock.from_rows([row], block.vectors.shape[1])
        assert_same(within, alone, atol=1e-3)  # vectors are rounded to 16 bits


@pytest.mark.parametrize("value", [None, "", "  \n", [], {}, {"a": 1}, True, b"bytes"])
def test_what_is_no_text_is_not_read(value):
    assert read_text({"text": value}, "text") is None
    assert read_text({}, "text") is None
    assert read_text(None, "text") is None


def test_numbers_and_broken_unicode_are_read():
    assert read_text({"text": 42}, "text") == "42"
    assert read_text({"text": "half \ud83d pair"}, "text") == "half ? pair"


def test_a_huge_text_is_cut():
    assert len(read_text({"text": "word " * 100_000}, "text")) <= 20_000


def test_html_is_read_as_its_words():
    assert read_text({"text": "<p>Hello <b>you</b></p>"}, "text", html=True) == "Hello you"
    assert read_text({"text": "<br/>"}, "text", html=True) is None
