import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_backend.calibration import (
    MIN_ROWS_ISOTONIC,
    Calibrator,
    expected_calibration_error,
    fit_calibrator,
    fit_temperature,
    isotonic_regression,
    temperature_scaling,
)
from tests.support.hypothesis_profiles import examples

CURVE = Calibrator("isotonic", given=(0.3, 0.6, 0.95), meant=(0.2, 0.5, 0.8))
CALIBRATORS = [Calibrator(), Calibrator("temperature", 0.4), Calibrator("temperature", 3.0), CURVE]


def ece(proba, y):
    return expected_calibration_error(proba.max(axis=1, initial=0.0), proba.argmax(axis=1) == y, n_bins=15)


def answers(n, *, seed=0, k=4, sharper=1.0):
    """Rows whose truth is drawn from them, then given by a model that is too sure of itself by `sharper`."""
    draw = np.random.default_rng(seed)
    truth = draw.dirichlet(np.full(k, 0.5), size=n)
    y = np.array([draw.choice(k, p=row) for row in truth])
    given_ = truth**sharper
    return given_ / given_.sum(axis=1, keepdims=True), y


@st.composite
def tables(draw):
    k = draw(st.integers(2, 6))
    rows = draw(st.lists(st.lists(st.floats(0, 1), min_size=k, max_size=k), min_size=1, max_size=5))
    table = np.array(rows) + 1e-9
    return table / table.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("calibrator", CALIBRATORS, ids=lambda calibrator: f"{calibrator.kind}-{calibrator.degree}")
@settings(max_examples=examples(150), deadline=None)
@given(proba=tables())
def test_no_calibrator_changes_the_order_of_the_classes_or_leaves_the_simplex(calibrator, proba):
    scaled = calibrator.apply(proba)

    assert scaled.shape == proba.shape
    np.testing.assert_allclose(scaled.sum(axis=1), 1.0, atol=1e-9)
    assert scaled.min() >= 0
    for before, after in zip(proba, scaled, strict=True):
        assert after.argmax() == before.argmax()
        less = before[:, None] < before  # a tie of the best two is broken for the first, as argmax breaks it
        assert (after[:, None] <= after + 1e-9)[less].all()


@pytest.mark.parametrize("calibrator", CALIBRATORS, ids=lambda calibrator: f"{calibrator.kind}-{calibrator.degree}")
def test_a_task_that_could_not_be_read_stays_without_an_answer(calibrator):
    scaled = calibrator.apply(np.array([[0.7, 0.2, 0.1], [np.nan] * 3]))

    assert np.isnan(scaled[1]).all()
    assert not np.isnan(scaled[0]).any()
    assert calibrator.apply(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("calibrator", CALIBRATORS, ids=lambda calibrator: f"{calibrator.kind}-{calibrator.degree}")
def test_a_calibrator_comes_back_from_its_state(calibrator):
    assert Calibrator.load(calibrator.state()) == calibrator


def test_a_state_that_would_change_the_order_is_refused():
    falling = CURVE.state() | {"meant": [0.5, 0.2, 0.8]}
    for state in (
        falling,
        {**CURVE.state(), "kind": "other"},
        {**CURVE.state(), "degree": 0},
        {**CURVE.state(), "given": []},
    ):
        with pytest.raises(ValueError, match="not the state of a calibrator"):
            Calibrator.load(state)


def test_the_isotonic_calibrator_gives_the_best_class_the_value_of_its_curve():
    scaled = CURVE.apply(np.array([[0.6, 0.3, 0.1], [0.95, 0.05, 0.0], [0.7, 0.2, 0.1]]))

    np.testing.assert_allclose(scaled[:, 0], [0.5, 0.8, 0.5 + 0.3 * 0.1 / 0.35])


def test_below_chance_the_best_class_stays_best():
    low = Calibrator("isotonic", given=(0.5,), meant=(0.01,))

    scaled = low.apply(np.array([[0.5, 0.3, 0.2]]))

    assert scaled[0, 0] == pytest.approx(1 / 3, abs=1e-5)
    assert scaled[0, 0] > scaled[0, 1] > scaled[0, 2]


def test_the_temperature_finds_how_much_too_sure_the_model_is():
    proba, y = answers(4000, sharper=2.5)

    assert temperature_scaling(proba, y).degree == pytest.approx(2.5, rel=0.1)
    assert fit_temperature(proba, y).degree == pytest.approx(2.5, rel=0.1)


def test_calibration_brings_confidence_to_the_share_of_right_answers():
    fitted, y_fitted = answers(1500, sharper=3.0, seed=1)
    fresh, y_fresh = answers(4000, sharper=3.0, seed=2)

    for calibrator in (
        fit_temperature(fitted, y_fitted),
        fit_calibrator(fitted, y_fitted),
        isotonic_regression(fitted, y_fitted),
    ):
        assert ece(calibrator.apply(fresh), y_fresh) < 0.25 * ece(fresh, y_fresh)


def test_a_calibrator_that_does_not_help_on_unseen_rows_is_not_used():
    kept = [fit_temperature(*answers(60, seed=seed)).kind for seed in range(20)]

    assert kept.count("identity") >= 8  # the model was right already: a fit of 60 rows mostly follows noise
    proba, y = answers(400, sharper=3.0)
    assert fit_temperature(proba, y).kind == "temperature"


def test_few_rows_leave_the_model_as_it_is():
    proba, y = answers(19, sharper=5.0)

    assert fit_temperature(proba, y) == fit_calibrator(proba, y) == Calibrator()
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, int)) == Calibrator()


def test_a_few_right_answers_do_not_make_a_model_certain():
    proba = np.tile([[0.8, 0.2]], (20, 1))

    scaled = fit_temperature(proba, np.zeros(20, int)).apply(proba)

    assert 0.9 < scaled[0, 0] < 0.96  # 21 / 22 is what twenty of twenty can show


def bent(n, seed):
    """A model that says 0.5 and is right half the time, says 0.99 and is right 70 times of 100: no temperature fits."""
    draw = np.random.default_rng(seed)
    sure = draw.random(n) < 0.5
    top = np.where(sure, 0.99 + 0.009 * draw.random(n), 0.5 + 0.1 * draw.random(n))
    right = draw.random(n) < np.where(sure, 0.7, 0.55)
    return np.column_stack([top, 1 - top]), np.where(right, 0, 1)


def test_a_curve_is_used_from_five_hundred_rows_on():
    proba, y = bent(3 * MIN_ROWS_ISOTONIC, seed=0)
    fresh, y_fresh = bent(4000, seed=1)

    calibrator = fit_calibrator(proba, y)

    assert calibrator.kind == "isotonic"
    assert ece(calibrator.apply(fresh), y_fresh) < 0.03 < ece(fit_temperature(proba, y).apply(fresh), y_fresh)
    assert fit_calibrator(proba[: MIN_ROWS_ISOTONIC - 1], y[: MIN_ROWS_ISOTONIC - 1]).kind != "isotonic"


def test_no_confidence_becomes_certain_however_clean_the_rows():
    proba = np.tile([[0.9, 0.1]], (600, 1))

    assert isotonic_regression(proba, np.zeros(600, int)).apply(proba).max() < 1.0


def test_a_truth_without_a_class_lowers_the_curve():
    proba = np.tile([[0.9, 0.1]], (600, 1))
    y = np.where(np.arange(600) % 2 == 0, 0, -1)

    assert isotonic_regression(proba, y).apply(proba)[0, 0] == pytest.approx(0.5, abs=0.01)
    assert fit_temperature(proba, np.full(600, -1)) == Calibrator()


def test_the_same_rows_give_the_same_calibrator():
    proba, y = answers(700, sharper=2.0)

    assert fit_calibrator(proba, y, seed=4) == fit_calibrator(proba, y, seed=4)


def test_ece_is_the_weighted_gap():
    proba = np.array([[0.95, 0.05], [0.95, 0.05], [0.55, 0.45], [0.55, 0.45]])

    assert ece(proba, np.array([0, 1, 0, 0])) == pytest.approx(0.5 * 0.45 + 0.5 * 0.45)
    assert np.isnan(ece(np.zeros((0, 2)), np.zeros(0, int)))
    assert ece(np.array([[1.0, 0.0]]), np.array([0])) == 0.0
