"""Files that hold a table and are not read, by their first bytes: what each is, and the way out.

Formats that run code, need a package of their own, or are no table are refused in one line.
"""

from __future__ import annotations

from baton.errors import InputError

_PANDAS = 'python -c "import pandas; pandas.read_{}({!r}).to_parquet({!r})"'
_SAVE = "open it where it was made and save the table as CSV, .xlsx or Parquet"

_BY_PANDAS = (
    (b"$FL2", "an SPSS file", "spss"),
    (b"$FL3", "an SPSS file", "spss"),
    (b"<stata_dta>", "a Stata file", "stata"),
    *((bytes([version, order, 1, 0]), "a Stata file", "stata")
      for version in (0x71, 0x72, 0x73) for order in (1, 2)),
    (bytes(12) + b"\xc2\xea\x81\x60", "a SAS file", "sas"),
    (b"HEADER RECORD*******LIBRARY", "a SAS transport file", "sas"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "hdf"),
    (b"ORC", "an ORC file", "orc"),
    (b"FEA1", "a Feather file of the first version", "feather"),
)  # fmt: skip
"""First bytes, what they are of, and the reader of pandas that converts it."""

_OTHERS = (
    (b"\x80\x02", "a pickle", "load it where you trust it and write it by DataFrame.to_parquet"),
    (b"\x80\x03", "a pickle", "load it where you trust it and write it by DataFrame.to_parquet"),
    (b"\x80\x04", "a pickle", "load it where you trust it and write it by DataFrame.to_parquet"),
    (b"\x80\x05", "a pickle", "load it where you trust it and write it by DataFrame.to_parquet"),
    (b"\x93NUMPY", "a NumPy array", "give its columns names: DataFrame(array).to_parquet"),
    (b"RDX", "an R file", "write it in R by arrow::write_parquet or write.csv"),
    (b"RDA", "an R file", "write it in R by arrow::write_parquet or write.csv"),
    (b"X\n\0\0\0", "an R file", "write it in R by arrow::write_parquet or write.csv"),
    (b"\xd0\xcf\x11\xe0", "an old .xls workbook or an encrypted one", "save it as .xlsx without a"
     " password"),
    (b"SQLite format 3\0", "a SQLite database", "give it by -p url=FILE -p sql='SELECT …'"),
    (b"Obj\x01", "an Avro file", "write it as Parquet"),
    (b"PARE", "an encrypted Parquet file", "write it without encryption"),
    (b"%PDF", "a PDF", _SAVE),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it and give the file"),
    (b"Rar!", "a RAR archive", "unpack it and give the file"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it (zstd -d) and give the file"),
    (b"\x1f\x9d", "compressed by compress", "unpack it (gzip -d) and give the file"),
    (b"PK\x05\x06", "an empty zip archive", "give one with a file in it"),
)  # fmt: skip
"""First bytes, what they are of, and what to do."""


def refuse(place: str, head: bytes) -> None:
    """Refuse a file that is known not to be read.

    Parameters
    ----------
    place : str
        The file, as an error names it.
    head : bytes
        Its first bytes, decompressed.

    Raises
    ------
    InputError
        If it is such a file.
    """
    for magic, what, reader in _BY_PANDAS:
        if head.startswith(magic):
            converted = _PANDAS.format(reader, place, f"{place.rsplit('.', 1)[0]}.parquet")
            raise InputError(f"{place} is {what}, which is not read; convert it: {converted}")
    for magic, what, way_out in _OTHERS:
        if head.startswith(magic):
            raise InputError(f"{place} is {what}, which is not read; {way_out}")
    if head[257:262] == b"ustar":
        raise InputError(f"{place} is a tar archive, which is not read; unpack it, give the folder")
    if head[8:12] == b"DUCK":
        raise InputError(f"{place} is a DuckDB database; write the table by COPY … TO 'x.parquet'")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:100].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise InputError(f"{place} is a web page, not the table; download the file itself")
    if start.startswith((b"<?xml", b"<svg")):
        raise InputError(f"{place} is XML, which is not read; save the table as CSV")
