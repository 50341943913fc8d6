"""Addresses of what stands in an object store: a bucket, and a key in it. Nothing is asked here."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, replace

from baton.errors import InputError

_BUCKET = r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}"
_CONTAINER = r"[a-z0-9$][a-z0-9-]{2,62}@[a-z0-9][a-z0-9.-]{2,251}"
_BUCKETS = {
    "s3": _BUCKET,
    "gs": _BUCKET,
    "abfs": _CONTAINER,
    "abfss": _CONTAINER,
}
"""What can be a bucket, by the scheme of its store; of Azure a container and its account."""

_FORM = re.compile(r"([a-z0-9]+)://([^/]*)(?:/(.*))?", re.IGNORECASE | re.DOTALL)
_NO_KEY = re.compile(r"[\x00-\x1f\x7f?#\\]")
_LONGEST_KEY = 1024

SCHEMES = "s3://, gs:// and abfs://"
"""The stores, for people."""


@dataclass(frozen=True)
class Address:
    """Address of an object, or of several.

    Examples
    --------
    >>> one = Address("s3", "wines", "2021/red.csv")
    >>> str(one), one.folder, one.name
    ('s3://wines/2021/red.csv', '2021/', 'red.csv')
    """

    scheme: str
    bucket: str
    key: str = ""
    """Of an object; of all that stand together it ends with a slash, or is empty."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"

    @property
    def root(self) -> str:
        """The bucket, for people."""
        return f"{self.scheme}://{self.bucket}"

    @property
    def folder(self) -> str:
        """What comes before the name: empty, or with a slash at its end."""
        return self.key[: len(self.key) - len(self.name)]

    @property
    def name(self) -> str:
        """Last part of the key; empty where it is that of a folder."""
        return self.key.rpartition("/")[2]

    @property
    def is_pattern(self) -> bool:
        """Whether the name is a pattern, such as ``*.csv``."""
        return glob.has_magic(self.name)

    def as_folder(self) -> Address:
        """Address of what stands below it."""
        return replace(self, key=f"{self.key}/") if self.name else self

    def of(self, name: str) -> Address:
        """Address of a name in its folder; :func:`parse` says whether it can be written."""
        return replace(self, key=self.folder + name)


def is_address(text: str) -> bool:
    """Tell whether a text names a store that is read.

    Examples
    --------
    >>> [is_address(text) for text in ("s3://wines/red.csv", "s3:red", "/data/s3://x", "ftp://x")]
    [True, False, False, False]
    """
    found = _FORM.fullmatch(text)
    return found is not None and found[1].lower() in _BUCKETS


def parse(text: str) -> Address:
    """Read an address.

    Raises
    ------
    InputError
        If it is none, or holds what would be kept with the run: a user, a password, a query. It is
        not repeated then.
    """
    found = _FORM.fullmatch(text)
    scheme = found[1].lower() if found else ""
    if not found or scheme not in _BUCKETS:
        raise InputError(f"an address of an object store is wanted: {SCHEMES} are read")
    bucket, key = found[2], found[3] or ""
    if not re.fullmatch(_BUCKETS[scheme], bucket) or not _is_key(key):
        form = "container@account.dfs.core.windows.net" if scheme.startswith("abfs") else "bucket"
        raise InputError(
            f"an address such as {scheme}://{form}/folder/name is wanted, without a user, a"
            " password and a query: credentials are those of the environment"
        )
    address = Address(scheme, bucket, key)
    if glob.has_magic(address.folder):
        raise InputError(f"{address} has a pattern before its last part: name one folder")
    return address


def _is_key(key: str) -> bool:
    parts = key.split("/")
    is_whole = all(parts[:-1]) and not {".", ".."} & set(parts)
    return (
        is_whole and not _NO_KEY.search(key) and len(key.encode(errors="replace")) <= _LONGEST_KEY
    )
