"""A model's answers to the held-out rows of a part, made where the part is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from baton.models.answers import ACTUAL, answer, output_of
from baton.terms import ROW, SPLIT, Split, visible

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from baton.models.fitted import FittedModel
    from baton.partitions import Partition


def answered(model: FittedModel, target: str, rows: pd.DataFrame, output: Any) -> pa.Table:
    """Row id, actual, predicted and class probabilities of rows whose output is known."""
    import pyarrow as pa

    columns = {ROW: pa.array(rows[ROW]), ACTUAL: pa.array(rows[target])}
    return pa.table(columns | answer(model, output))


@dataclass(frozen=True)
class Answering:
    """What answers the held-out rows of a part of a feature table."""

    model: FittedModel
    target: str

    def __call__(self, part: Partition) -> pa.Table | None:
        """Answers, as :func:`answered` gives them; None where no row is held out."""
        import pyarrow.compute as pc

        table = part.read().filter(pc.field(SPLIT) == Split.TEST.value)
        rows = table.select(visible(table.column_names)).to_pandas()
        if rows.empty:
            return None
        output = output_of(self.model, rows.drop(columns=[ROW, self.target]))
        return answered(self.model, self.target, rows, output)
