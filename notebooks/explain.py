# %% [markdown]
# # Explain a model
#
# Why does a model answer as it does? Three questions, from the whole to the single row: which
# columns matter, how, and what made this one answer. At the end, the trap in all three: columns
# that say the same.

# %% tags=["parameters"]
chain = ""  # id of a chain whose model to explain; empty: one is fitted here, on diabetes data
n_rows = 300  # held-out rows to explain, at most

# %%
import numpy as np
import pandas as pd

from baton import chains, models
from baton.evaluation import importance, metrics, shapley
from baton.models.answers import output_of
from baton.showing import plots
from baton.terms import Kind
from baton.words import progress

if chain:
    done = chains.find(chain)
    model, target, headline = done.model, done.target, done.headline
    train, test = done.rows("train"), done.rows("test")
else:
    from sklearn.datasets import load_diabetes

    target, headline = "progression", "rmse"
    patients = load_diabetes(as_frame=True, scaled=False).frame.rename(columns={"target": target})
    test = patients.sample(frac=0.25, random_state=0)
    train = patients.drop(index=test.index)
    settings = {"n_estimators": 60, "max_depth": 3}
    model = models.fit(train, models.Recipe(target, Kind.REGRESSION, params=settings))

test = test.sample(min(n_rows, len(test)), random_state=0)
columns, actual = test.drop(columns=target), test[target]
model

# %% [markdown]
# First see that it is worth explaining. An explanation of a bad model explains noise.

# %%
metrics.evaluate(model.kind, actual, output_of(model, columns), model.classes)

# %% [markdown]
# ## 1. Which columns matter?
#
# *Permutation importance* asks the score: shuffle one column, see what is lost. A bar that reaches
# zero is a column the model could do without.

# %%
with progress.bar("shuffling") as report:
    lost = importance.permutation_importance(
        model, columns, actual, headline, n_repeats=5, progress=report
    )
plots.permutation_importance(lost)

# %% [markdown]
# *Shapley values* ask the model itself: how far does each column move the answers, right or wrong?
# They need no truth. A column that is high here and low above moves answers without mending them.

# %%
with progress.bar("Shapley values") as report:
    found = shapley.shap_values(
        model, columns, background=train.drop(columns=target), progress=report
    )
found

# %%
plots.shap_bar(found)

# %% [markdown]
# Is it true that they add up? The base value and the values of a row must give the model's own
# output, for every row. This is worth checking once.

# %%
total = found.values.sum(axis=1) + found.base_values
own = np.reshape(shapley.margin(model, columns), total.shape) if found.scale == "margin" else None
if found.scale == "value":
    own = model.predict(columns).reshape(total.shape)
if own is not None:
    print(f"greatest difference: {abs(total - own).max():.2g}, on the {found.scale} scale")

# %% [markdown]
# ## 2. How do they matter?
#
# One point is one row. Red points at the right: great values raise the answer. Colours mixed on
# both sides: what the column does depends on another one.

# %%
plots.shap_beeswarm(found, columns)

# %% [markdown]
# The strongest column by itself, against its own values. A line that bends is something that no
# linear model could say; points spread above one another are the doing of other columns.

# %%
plots.shap_dependence(found, columns)

# %% [markdown]
# ## 3. Why this answer?
#
# The row with the greatest output. Read from the bottom: the mean of all answers, then each column
# adds or takes away.

# %%
outputs = total.max(axis=1)
place = int(outputs.argmax())
plots.shap_waterfall(found, columns, place, row_id=columns.index[place])

# %% [markdown]
# ## 4. Columns that say the same
#
# Now the trap. Give the model a copy of its strongest column, with a little noise, and fit again.
# Nothing new is known, yet the column's importance mostly falls: the two share it, and neither
# seems indispensable, because the other one stands in.

# %%
strongest = lost.frame()["feature"][0]
noise = np.random.default_rng(0)


def with_twin(table):
    twin = table[strongest]
    if strongest in table.select_dtypes("number"):
        twin = twin + noise.normal(scale=0.05 * twin.std(), size=len(table))
    return table.assign(**{f"twin of {strongest}": twin})


twins = models.fit(
    with_twin(train), models.Recipe(target, model.kind, family=model.family, params=model.params)
)
both = with_twin(test).drop(columns=target)
shared = importance.permutation_importance(twins, both, actual, headline, n_repeats=5)
compared = {"alone": lost, "beside its twin": shared}
bars = {name: one.frame().set_index("feature")["mean"] for name, one in compared.items()}
pd.DataFrame(bars).sort_values("alone", ascending=False)

# %% [markdown]
# So before you call a column unimportant, look at what it goes together with. Columns above .8 or
# below -.8 should be judged as one.

# %%
columns.corr(method="spearman", numeric_only=True).round(2)

# %% [markdown]
# None of this says what would happen if you changed a column in the world. It says what the model
# does with it.
