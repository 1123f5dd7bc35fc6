import threading

import numpy as np

from ml_backend.features.cache import FeatureCache


def squares(asked):
    """Compute rows, writing down what was asked."""

    def compute(texts):
        asked.extend(texts)
        return [None if text == "broken" else (np.array([float(len(text)) ** 2]),) for text in texts]

    return compute


def numbers(rows):
    return [None if row is None else row[0].item() for row in rows]


def test_each_content_is_computed_once_and_twins_in_a_batch_too():
    asked = []
    cache = FeatureCache(max_bytes=1 << 20)

    first = cache.rows("square/1", ["a", "bb", "a"], squares(asked))
    second = cache.rows("square/1", ["bb", "ccc", "a"], squares(asked))

    assert numbers(first) == [1, 4, 1]
    assert numbers(second) == [4, 9, 1]
    assert sorted(asked) == ["a", "bb", "ccc"]


def test_kinds_do_not_share_rows():
    cache = FeatureCache(max_bytes=1 << 20)
    cache.rows("square/1", ["aa"], squares([]))

    other = cache.rows("square/2", ["aa"], lambda texts: [(np.array([7.0]),) for _ in texts])

    assert numbers(other) == [7]


def test_the_least_used_goes_first_and_the_bound_holds():
    asked = []
    cache = FeatureCache(max_bytes=3 * 308)  # three rows of 8 bytes and 300 of bookkeeping
    cache.rows("square/1", ["a", "bb", "ccc"], squares([]))
    cache.rows("square/1", ["a"], squares([]))

    cache.rows("square/1", ["dddd"], squares([]))

    assert cache.bytes <= cache.max_bytes
    assert len(cache) == 3
    cache.rows("square/1", ["a", "bb"], squares(asked))
    assert asked == ["bb"]


def test_what_cannot_be_read_is_passed_on_and_computed_again():
    asked = []
    cache = FeatureCache(max_bytes=1 << 20)

    assert numbers(cache.rows("square/1", ["a", "broken"], squares(asked))) == [1, None]
    assert numbers(cache.rows("square/1", ["broken", "a"], squares(asked))) == [None, 1]
    assert asked == ["a", "broken", "broken"]


def test_a_row_does_not_keep_its_whole_batch_alive():
    cache = FeatureCache(max_bytes=1 << 20)
    batch = np.zeros((1000, 8))

    cache.rows("zeros/1", ["a"], lambda texts: [(batch[0],)])
    (row,) = cache.rows("zeros/1", ["a"], lambda texts: [])

    assert row[0].base is None


def test_threads_get_the_same_rows_as_one_thread():
    cache = FeatureCache(max_bytes=40 * 308)  # so small that rows come and go all the time
    texts = ["x" * length for length in range(100)]
    wrong = []

    def work(seed):
        for turn in range(30):
            some = [texts[(seed * 7 + turn * 3 + place) % 100] for place in range(50)]
            if numbers(cache.rows("square/1", some, squares([]))) != [len(text) ** 2 for text in some]:
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
    assert cache.bytes == len(cache) * 308 <= cache.max_bytes
