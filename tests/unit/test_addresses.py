"""Addresses of object stores: read, refused, and never repeated where they hold a secret."""

import pytest

from baton import addresses
from baton.addresses import Address
from baton.errors import InputError
from baton.sources import places


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("s3://cellar", Address("s3", "cellar")),
        ("s3://cellar/", Address("s3", "cellar")),
        ("s3://cellar/2021/red.csv", Address("s3", "cellar", "2021/red.csv")),
        ("S3://Cellar_1/a b+ü%20.csv", Address("s3", "Cellar_1", "a b+ü%20.csv")),
        ("gs://cellar/in/", Address("gs", "cellar", "in/")),
        ("s3://cellar/in/2021-*.csv", Address("s3", "cellar", "in/2021-*.csv")),
        (
            "abfs://wines@acct.dfs.core.windows.net/red.csv",
            Address("abfs", "wines@acct.dfs.core.windows.net", "red.csv"),
        ),
    ],
)
def test_an_address_is_read_and_written_back(text, found):
    """The key stands as it is: nothing is unquoted."""
    assert addresses.is_address(text)
    assert addresses.parse(text) == found
    assert addresses.parse(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "s3://",
        "s3:///key",
        "s3://x",
        "s3://key:hidden@cellar/red.csv",
        "s3://hidden@cellar/red.csv",
        "s3://cellar:9000/red.csv",
        "s3://cellar/red.csv?secret_key=hidden",
        "s3://cellar/red.csv#hidden",
        "s3://cellar//red.csv",
        "s3://cellar/../red.csv",
        "s3://cellar/./red.csv",
        "s3://cellar/a\nb",
        "s3://cellar/a\\b",
        "s3://cellar/" + "k" * 1025,
        "s3://cellar/*/red.csv",
        "gs://anonymous:hidden@cellar/red.csv",
        "abfs://:hidden@acct.dfs.core.windows.net/wines/red.csv",
        "abfs://wines:hidden@acct.dfs.core.windows.net/red.csv",
        "abfs://wines/red.csv",
    ],
)
def test_what_is_no_address_or_holds_a_secret_is_refused(text):
    """In one line, which does not repeat it."""
    with pytest.raises(InputError) as error:
        places.checked(text)
    assert "hidden" not in str(error.value) and len(str(error.value)) < 300


def test_other_schemes_are_refused_with_those_that_are_read():
    """So is a path that has one slash too few."""
    for text in ("ftp://host/t.csv", "s3a://cellar/t.csv", "s3:/cellar/t.csv"):
        with pytest.raises(ValueError, match="s3://, gs:// and abfs://"):
            places.checked(text)


def test_a_name_belongs_to_its_folder():
    """A folder ends with a slash, whether that was written or not."""
    for text in ("s3://cellar/in", "s3://cellar/in/"):
        folder = addresses.parse(text).as_folder()
        assert str(folder.of("red.csv")) == "s3://cellar/in/red.csv"
    assert str(addresses.parse("s3://cellar").as_folder().of("x")) == "s3://cellar/x"
    assert addresses.parse("s3://cellar/in/*.csv").folder == "in/"
