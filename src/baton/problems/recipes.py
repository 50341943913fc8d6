"""Hyperparameters that several problems name, so that their figures outlast Baton's defaults."""

XGBOOST = {
    "n_estimators": 300,
    "learning_rate": 0.1,
    "max_depth": 6,
    "min_child_weight": 1.0,
    "reg_lambda": 1.0,
    "subsample": 1.0,
    "colsample_bylevel": 1.0,
}
"""XGBoost's own, with a number of trees that takes seconds, and a learning rate to go with it."""
