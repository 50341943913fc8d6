# %% tags=["parameters"]
chain = ""
home = ""
# %%
print(chain, home)
import os; print(os.getcwd(), os.environ.get("IPYTHONDIR"))
