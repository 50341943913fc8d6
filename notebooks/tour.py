# %% [markdown]
# # A tour of Baton in ten minutes
#
# A chain makes a table, learns from it, and scores what it learnt. Each stage hands on to the next
# by an event. This tour runs one chain and opens what it leaves behind: plain files, which you can
# read with pandas and without any server.

# %% [markdown]
# ## 1. Run a chain
#
# With no `chain` given below, the tour runs one: clusters on nested spheres, to be told apart by
# radius and angles. Asked for by `baton run … -p notebook=tour`, it is given the chain it follows.

# %% tags=["parameters"]
chain = ""  # id of a chain that ended, or its first digits; empty: run one now

# %%
from baton import chains
from baton.evaluation import curves
from baton.showing import plots

done = chains.find(chain) if chain else chains.run("spheres", rows=2000)
done

# %% [markdown]
# The card says what was predicted, by which model, and how well, on rows that the model never saw.
# Run this cell twice: the second time every stage says `cached`, because nothing has changed.

# %% [markdown]
# ## 2. Look at the tables
#
# Each is a Parquet file, checked when it is read: an altered one is refused. First the rows as they
# came.

# %%
done.raw.head()

# %% [markdown]
# Then what the model saw: `rows("train")` to learn from and `rows("test")` held out. No row is in
# both.

# %%
train, test = done.rows("train"), done.rows("test")
print(f"{len(train)} rows to train on, {len(test)} held out")
test.head()

# %% [markdown]
# And what it answered for the rows held out.

# %%
done.predictions.head()

# %% [markdown]
# ## 3. How good is it?
#
# Look at the baseline first: it ignores every column. A model that is not clearly better has learnt
# nothing. The interval says how far the number would move on other rows of the same kind.

# %%
done.metrics

# %%
plots.metric_intervals(done.scores, done.intervals, done.baseline)

# %% [markdown]
# Where does it go wrong? For classes, look off the diagonal: those are confused with each other.
# For numbers, look for points far from the line.

# %%
actual, predicted = done.predictions["actual"], done.predictions["predicted"]
if done.kind == "classification":
    counts = curves.confusion(actual, predicted, done.model.classes)
    picture = plots.confusion_matrix(counts)
else:
    picture = plots.predicted_vs_actual(actual, predicted, done.target)
picture

# %% [markdown]
# ## 4. What drives it?
#
# Shuffle one column and score again. What the score loses is what the column was worth.

# %%
plots.permutation_importance(done.importance)

# %% [markdown]
# Shapley values split each single prediction among the columns. One point is one row: how far to
# the right says how much the column raised the output, the colour says how great its value was.

# %%
plots.shap_beeswarm(done.shap, done.explained)

# %% [markdown]
# ## 5. One row
#
# Here is the row that its columns push hardest, from the mean of all rows at the bottom to its own
# output at the top.

# %%
place = int(abs(done.shap.values).sum(axis=(1, 2)).argmax())
plots.shap_waterfall(done.shap, done.explained, place, row_id=done.explained.index[place])

# %% [markdown]
# ## 6. Take the model along
#
# It takes tables in your columns and answers in your labels.

# %%
done.model

# %%
done.model.predict(test.drop(columns=done.target).head())

# %% [markdown]
# The report has all of this on one page that opens without a network.

# %%
print(done.report)

# %% [markdown]
# Next: `your_table` learns from a table of your own, `explain` goes deeper into section 4.
