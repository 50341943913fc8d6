"""Table files: what is in one, how it becomes a table, and what each column is good for.

One module per step, in this order; each step knows only those above it.

==================  ============================================================================
``wording``         how names and counts are put into sentences, and what an unknown column gets
``files``           the bytes of a file, decompressed
``encodings``       which encoding bytes are in
``csv_head``        how the first lines of a CSV file are to be read
``arrow``           Arrow columns of a few plain types
``typed``           columns of text as the types that all of their values have
``source``          `describe`: what the head of a file says
``reading``         `read`: files as one raw table
``roles``           what a column can be for a model: the words of a decision
``levels``          text columns as their distinct values
``parsing``         texts as numbers, dates and seconds
``text_columns``    what a text column is good for
``columns``         what any one column is good for
``features``        `build`: a decision applied to a raw table
``target``          what the column to be predicted is
``inference``       `infer`: the decision on all columns
``unread``          what of new rows cannot be read as the columns were
``bonds``           which rows hang together, by a column of times or groups
==================  ============================================================================

A CSV file is read as text and every column is typed from all of its values, never from a
sample: a column is numbers only if each of its values is one. What is nearly numbers or nearly
dates stays text in the raw table and `infer` settles it, from training rows only.

Parameters, goals and splits belong in ``baton.problems.table``.
"""
