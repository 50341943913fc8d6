"""What a chain may be asked for whatever its problem is."""

import pytest

from baton import options, problems
from baton.errors import InputError
from baton.terms import Options
from tasks.data import DatasetPlan, with_model


def test_a_comparison_names_each_family_once():
    """From words or from JSON, as the report's command has it."""
    for given in ("lasso, xgboost,lasso", '["lasso", "xgboost", "lasso"]'):
        assert Options.model_validate({"compare": given}).compare == ("lasso", "xgboost")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"compare": "lasso,xgboost", "model_params": '{"alpha": 1}'}, "which family"),
        ({"compare": "lasso,xgboost", "model": "adaboost"}, "not among those to compare"),
        ({"compare": "lasso,xgboost", "quality": "fast"}, "quality chooses the model"),
        ({"model": "lasso", "quality": "good"}, "quality chooses the model"),
        ({"quality": "perfect"}, "quality"),
        ({"model": "perceptron"}, "unknown model 'perceptron'"),
        ({"model": "xgbost"}, "did you mean 'xgboost'"),
        ({"compar": "lasso,xgboost"}, "did you mean 'compare'"),
        ({"model_params": {"max_dept": 3}}, "no hyperparameter of any .* 'max_depth'. no model"),
        ({"model": "lasso", "model_params": {"alpah": 3}}, "did you mean 'alpha'. it knows: alpha"),
        ({"model_params": "3"}, "dictionary"),
    ],
)
def test_what_a_comparison_would_pass_over_is_refused(values, said):
    """Nothing that was asked for is left out in silence."""
    with pytest.raises(InputError, match=said):
        options.parse(None, values)


def test_a_problem_keeps_the_settings_of_its_own_model():
    """Alone or in a comparison; another model does not take them over."""
    own = {"n_estimators": 5}
    assert with_model(Options(), "lightgbm", own).model_params == own
    asked = Options(compare=("lightgbm", "xgboost"))
    assert with_model(asked, "lightgbm", own).model_params == own
    assert with_model(Options(model="xgboost"), "lightgbm", own).model_params == {}


def test_a_quality_takes_the_place_of_the_problems_own_model():
    """Fast is one booster, good is two, best begins with these; none takes over other settings."""
    own = {"n_estimators": 5}
    for quality, family in (("fast", "xgboost"), ("good", "boosters"), ("best", "boosters")):
        found = with_model(Options(quality=quality), "lightgbm", own)
        assert (found.model, found.model_params) == (family, {})


def test_a_table_is_learnt_by_two_boosters():
    """Where the problem has no model of its own the default quality decides."""
    from baton.problems import Goal
    from baton.terms import Kind
    from tasks.data import stated

    assert stated(Goal(Kind.REGRESSION, "y", "rmse"))["model"] == "boosters"


def test_sources_of_any_name_have_places_of_their_own():
    """Names of other scripts, of other case, of any length."""
    problem = problems.get("spheres")
    plan = DatasetPlan(problem, problems.parse(problem, {}), Options(), "c" * 12, "")
    names = ["订单", "客户", "Order Items", "order_items", "_keys", "Keys", "x" * 99, "x" * 98]
    assert len({plan.key(f"source_{name}") for name in names}) == len(names)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"n_trials": "5"}, "n_trials is for a search: add -p tune=true"),
        ({"space": '{"max_depth": [2, 8]}'}, "add -p tune=true"),
        ({"engine": "workers"}, "add -p tune=true"),
        ({"engine": "spark"}, "engine"),
        (
            {"tune": "true", "compare": "xgboost,lightgbm", "space": '{"max_depth": [2, 8]}'},
            "space is of one model",
        ),
        ({"tune": "true", "quality": "best"}, "quality=best brings settings of its own"),
        ({"quality": "best", "model_params": '{"max_depth": 3}'}, "leave out model_params"),
        ({"minutes": "2"}, "minutes is for quality=best or tune=true"),
        ({"quality": "good", "minutes": "2"}, "minutes is for quality=best or tune=true"),
        ({"quality": "best", "minutes": "0"}, "minutes"),
        ({"tune": "true", "study": "../mine"}, "study"),
        ({"tune": "true", "n_trials": "0"}, "n_trials"),
        ({"tune": "true", "trials_at_once": "0"}, "trials_at_once"),
        ({"tune": "true", "space": "[1]"}, "space"),
        ({"tune": "maybe"}, "tune"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused_at_the_door(values, said):
    """One line, before anything runs."""
    with pytest.raises(InputError) as error:
        options.parse(problems.get("spheres"), values)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_search_has_more_trials_where_time_ends_it():
    """Twenty by default; what was asked for stays."""
    assert Options(tune=True).most_trials == 20
    assert Options(tune=True, minutes=2).most_trials == 200
    assert Options(tune=True, minutes=2, n_trials=7).most_trials == 7


def test_fresh_is_for_a_chain_that_reads_its_source():
    """A training on an earlier chain's tables reads none: it says so instead of passing it over."""
    assert options.parse(problems.get("spheres"), {"fresh": "true"}) == {"fresh": True}
    with pytest.raises(InputError, match="give it to `baton run`"):
        options.parse(None, {"fresh": "true"})
