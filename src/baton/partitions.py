"""Parts of a table in a Parquet file, as whoever works on one reads it: its groups of rows.

What is made of a part belongs to the rooms that make it; who works on it, this process or the
workers of a cluster, in ``tasks/platform/cluster.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Partition:
    """Rows of a file that every worker can read."""

    path: Path
    group: int
    """Number of the file's group of rows."""
    begin: int
    """Place of its first row in the table."""
    n_rows: int

    @property
    def end(self) -> int:
        """Place after its last row."""
        return self.begin + self.n_rows

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Its rows; only some columns if they are named."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            return file.read_row_group(self.group, columns=columns)


def partitions_of(path: Path) -> list[Partition]:
    """Parts of a Parquet file, in the order of its rows.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow as pa, pyarrow.parquet as pq
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "table.parquet")
    ...     pq.write_table(pa.table({"a": range(5)}), path, row_group_size=2)
    ...     [(one.begin, one.read()["a"].to_pylist()) for one in partitions_of(path)]
    [(0, [0, 1]), (2, [2, 3]), (4, [4])]
    """
    import pyarrow.parquet as pq

    content, found, begin = pq.read_metadata(path), [], 0
    for group in range(content.num_row_groups):
        n_rows = content.row_group(group).num_rows
        found.append(Partition(path, group, begin, n_rows))
        begin += n_rows
    return found
