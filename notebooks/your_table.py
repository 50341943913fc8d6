# %% [markdown]
# # Bring your own table
#
# A table and the column to predict are enough. This notebook goes through what
# `baton run table` does, step by step and by plain functions: no server, nothing is registered.
# Set `path` and `target` to your own; empty, it makes a file of 178 Italian wines.

# %% tags=["parameters"]
path = ""  # a table file; empty: wines, written to a temporary folder
target = "cultivar"  # the column to predict
drop = ""  # columns to leave out, a,b
seed = 0

# %%
import tempfile
from pathlib import Path

import pandas as pd

from baton import models, problems
from baton.evaluation import intervals, metrics, shapley, validation
from baton.models.answers import output_of
from baton.showing import plots
from baton.words import progress

folder = Path(tempfile.mkdtemp(prefix="baton-"))
if not path:
    from sklearn.datasets import load_wine

    path = folder / "wine.csv"
    wines = load_wine(as_frame=True).frame.rename(columns={"target": "cultivar"})
    wines.to_csv(path, index=False)

# %% [markdown]
# ## 1. What is in the file?
#
# Baton reads the file and says what it takes each column for. Read these notes before anything
# else. If one is wrong, say so: `kind="regression"`, or `drop` a column that knows the answer.

# %%
table = problems.get("table")
params = problems.parse(table, {"path": str(path), "target": target, "drop": drop, "seed": seed})
raw = table.load(params)
goal = table.goal(raw, params)

print(f"{goal.kind} of {goal.target!r}, judged by {goal.headline}")
for note in goal.notes:
    print("-", note)

# %% [markdown]
# ## 2. Hold rows out, then learn
#
# The split comes first. Nothing is fitted on the rows held out, not even how a category is coded.

# %%
features = table.features(raw, params)
side = table.split(features, raw, params)
columns = features.drop(columns=problems.ROW)
train, test = columns[side == "train"], columns[side == "test"]

model = models.fit(train, models.Recipe(goal.target, goal.kind, seed=seed))
model

# %% [markdown]
# ## 3. Score it on the rows held out

# %%
answers = output_of(model, test.drop(columns=goal.target))
actual = test[goal.target]
scores = metrics.evaluate(goal.kind, actual, answers, model.classes)
scores

# %% [markdown]
# A number alone says little. Look how far the bars are from the baseline, which always answers with
# what is usual, and how long they are: few rows make long bars.

# %%
spread = intervals.bootstrap(goal.kind, actual, answers, model.classes, seed=seed)
baseline = metrics.baseline(goal.kind, train[goal.target], actual, model.classes)
plots.metric_intervals(scores, spread, baseline)

# %% [markdown]
# Is another family better? Compare by cross-validation on the training rows only: a model chosen
# on the held-out rows would make them a part of the training.

# %%
linear = "logistic_regression" if goal.kind == "classification" else "linear_regression"
means = {}
with progress.bar("cross-validation") as report:
    for done, name in enumerate(("xgboost", linear), start=1):

        def fit(rows, name=name):
            return models.fit(rows, models.Recipe(goal.target, goal.kind, family=name, seed=seed))

        folds = validation.cross_validate(
            train, goal.target, goal.kind, folds=5, seed=seed, fit=fit
        )
        means[name] = {"mean": folds.mean[goal.headline], "std": folds.std[goal.headline]}
        report(done, 2)
pd.DataFrame(means).T

# %% [markdown]
# ## 4. Which columns matter?

# %%
rows = test.drop(columns=goal.target)
with progress.bar("Shapley values") as report:
    values = shapley.shap_values(
        model, rows, background=train.drop(columns=goal.target), progress=report
    )
plots.shap_bar(values)

# %% [markdown]
# If one column does nearly all the work, ask whether it would be known at the time of prediction.
# Often it is the answer under another name.

# %% [markdown]
# ## 5. Predict new rows
#
# New rows are read as the training rows were, by the same notes, also if there is only one of them.

# %%
schema = table.schema(raw, params)
new = raw.drop(columns=goal.target).sample(3, random_state=seed)
model.predict(table.new_features(new.reset_index(drop=True), params, schema))

# %% [markdown]
# ## 6. The same as a chain
#
# The command does all of this, keeps every table, registers the model and writes a report:

# %%
options = f" -p drop={drop}" if drop else ""
print(f"baton run table -p path={Path(path).name} -p target={target}{options} -p seed={seed}")

# %% [markdown]
# Or from here: `chains.run("table", path=str(path), target=target)`, of `baton.chains`.
