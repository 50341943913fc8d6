"""How good a model is and why: metrics, validation, importance, Shapley values."""
