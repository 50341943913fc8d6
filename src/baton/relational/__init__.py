"""Features of rows whose history lies in related tables: deep feature synthesis.

``schema`` declares tables and the keys between them, ``entityset`` holds their rows, ``planner``
names the features and ``compute`` evaluates them as of a cut-off time per row. Where the tables
come from is told in ``database``; what is predicted belongs in a problem.

Source: Kanter and Veeramachaneni (2015), Deep feature synthesis, IEEE DSAA.
"""
