"""Copies of objects, by a folder that stands for a store; a real one is in integration."""

import os

import pyarrow as pa
import pytest
from pyarrow.fs import FileInfo, FileType

from baton import addresses
from baton.errors import InputError, StorageError
from baton.problems.table import problem
from baton.settings import Settings
from baton.sources import buckets, places
from baton.stores import objects, versions
from baton.stores.objects import NoAccessError, NoStoreError
from baton.stores.pyarrow_internals import Refusal, refusal, said
from baton.stores.versions import YOUNG_SECONDS, Known, Version
from tests.buckets import in_place_of_a_store

TEXT = b"x,y\n1,a\n2,b\n3,a\n4,b\n"
OLD = 1_600_000_000


@pytest.fixture
def cellar(tmp_path, monkeypatch):
    """A folder that stands for the bucket of its name."""
    in_place_of_a_store(monkeypatch, tmp_path / "store")
    (tmp_path / "store" / "cellar").mkdir(parents=True)
    return tmp_path / "store" / "cellar"


def put(path, content, changed=OLD):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (changed, changed))


def copied(text, tmp_path):
    return buckets.files(addresses.parse(text), tmp_path / "downloads")


@pytest.fixture
def received(monkeypatch):
    """Addresses that were read, in their order."""
    found, opened = [], objects.opened
    monkeypatch.setattr(
        objects, "opened", lambda place: (found.append(str(place)), opened(place))[1]
    )
    return found


def test_an_object_is_read_once_until_it_is_overwritten(cellar, tmp_path, received):
    """Its copy is called as it is; the version before stays, and the one before that does not."""
    put(cellar / "in" / "red.csv", TEXT)
    (first,) = copied("s3://cellar/in/red.csv", tmp_path)
    assert copied("s3://cellar/in/red.csv", tmp_path) == [first]
    assert received == ["s3://cellar/in/red.csv"]
    assert (first.name, first.read_bytes()) == ("red.csv", TEXT)
    put(cellar / "in" / "red.csv", TEXT + b"5,a\n")
    (second,) = copied("s3://cellar/in/red.csv", tmp_path)
    assert second.read_bytes() == TEXT + b"5,a\n" and first.read_bytes() == TEXT
    put(cellar / "in" / "red.csv", TEXT, OLD + 1)
    (third,) = copied("s3://cellar/in/red.csv", tmp_path)
    assert third.read_bytes() == TEXT and second.exists() and not first.exists()
    assert len(received) == 3


def test_a_damaged_copy_is_put_aside_and_read_again(cellar, tmp_path, received):
    """So is one that is gone, and one whose ledger says nothing."""
    put(cellar / "red.csv", TEXT)
    (copy,) = copied("s3://cellar/red.csv", tmp_path)
    copy.write_bytes(b"x,y\n9,z\n")
    assert copied("s3://cellar/red.csv", tmp_path) == [copy] and copy.read_bytes() == TEXT
    assert copy.with_name("red.csv.aside").read_bytes() == b"x,y\n9,z\n"
    copy.unlink()
    assert copied("s3://cellar/red.csv", tmp_path) == [copy] and copy.read_bytes() == TEXT
    for said_of in (b"", b"{}", b"[1]"):
        (copy.parent.parent / ".kept.json").write_bytes(said_of)
        assert copied("s3://cellar/red.csv", tmp_path) == [copy]
    assert len(received) == 6


def test_a_folder_and_a_pattern_are_files_of_one_table(cellar, tmp_path, received):
    """In the order of their names, without those below and those that a writer left beside."""
    for name in ("b-2.csv", "b-1.csv", "c.csv", "_SUCCESS", ".hidden", "below/d.csv"):
        put(cellar / "in" / name, TEXT)
    names = [one.name for one in copied("s3://cellar/in/", tmp_path)]
    assert names == ["b-1.csv", "b-2.csv", "c.csv"]
    assert [one.name for one in copied("s3://cellar/in", tmp_path)] == names
    assert [one.name for one in copied("s3://cellar/in/b-*.csv", tmp_path)] == names[:2]
    assert len(received) == 3
    put(cellar / "in" / "c[1].csv", TEXT)
    assert [one.name for one in copied("s3://cellar/in/c[1].csv", tmp_path)] == ["c[1].csv"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3://cellar/none.csv", "there is no object s3://cellar/none.csv: check the key"),
        ("s3://cellar/none/", "no object stands in s3://cellar/none/ itself"),
        ("s3://cellar", "no object stands in s3://cellar/ itself"),
        ("s3://cellar/*.txt", r"no object is named like s3://cellar/\*.txt"),
        ("s3://attic/red.csv", "there is no bucket s3://attic: check its name"),
        ("s3://attic/", "there is no bucket s3://attic: check its name"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(cellar, tmp_path, text, said):
    """The bucket is told from the key."""
    put(cellar / "below" / "red.csv", TEXT)
    with pytest.raises(InputError, match=said):
        copied(text, tmp_path)


def test_too_many_objects_are_refused_before_one_is_read(cellar, tmp_path, monkeypatch, received):
    """As too many files of a folder are."""
    monkeypatch.setattr(buckets, "MOST_FILES", 2)
    for name in "abc":
        put(cellar / name, TEXT)
    with pytest.raises(InputError, match="more than 2 objects"):
        copied("s3://cellar/", tmp_path)
    assert received == []


@pytest.mark.parametrize("key", ["a:b.csv", "con", ".lock", "x" * 250 + "/a.csv", "a. /b.csv"])
def test_a_key_that_is_no_name_of_a_file_has_a_copy(cellar, tmp_path, key):
    """Below the folder of copies, whatever it is called."""
    put(cellar / key, TEXT)
    (copy,) = copied(f"s3://cellar/{key}", tmp_path)
    assert copy.read_bytes() == TEXT and copy.is_relative_to(tmp_path / "downloads")


def test_an_object_and_one_below_it_have_both_their_copies(tmp_path, monkeypatch):
    """To a store `a` and `a/b` are two names; no copy stands where the other's folder is."""
    for name in ("one", "two"):
        in_place_of_a_store(monkeypatch, tmp_path / name)
        put(tmp_path / name / "cellar" / ("a" if name == "one" else "a/b"), name.encode())
        (copy,) = copied("s3://cellar/a" + ("" if name == "one" else "/b"), tmp_path)
        assert copy.read_bytes() == name.encode()
    assert len([one for one in (tmp_path / "downloads").rglob("*") if one.name in "ab"]) == 4


def test_a_link_in_the_folder_of_copies_leads_nowhere(cellar, tmp_path):
    """Neither out of it, nor through a copy that is begun."""
    put(cellar / "in" / "red.csv", TEXT)
    (tmp_path / "elsewhere").mkdir()
    within = tmp_path / "downloads" / "s3" / "cellar"
    within.mkdir(parents=True)
    (within / "in").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="leads out of"):
        copied("s3://cellar/in/red.csv", tmp_path)
    (within / "in").unlink()
    (within / "in" / "red.csv").mkdir(parents=True)
    (within / "in" / "red.csv" / ".partial").symlink_to(tmp_path / "elsewhere" / "taken")
    assert copied("s3://cellar/in/red.csv", tmp_path)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_an_object_that_is_overwritten_while_it_is_read_is_no_copy(cellar, tmp_path, monkeypatch):
    """A repeat reads what stands there then."""
    put(cellar / "red.csv", TEXT)
    opened = objects.opened

    def opened_late(place):
        put(cellar / "red.csv", TEXT + b"5,a\n", OLD + 1)
        return opened(place)

    monkeypatch.setattr(objects, "opened", opened_late)
    with pytest.raises(ConnectionError, match="was written while it was read"):
        copied("s3://cellar/red.csv", tmp_path)
    (copy,) = copied("s3://cellar/red.csv", tmp_path)
    assert copy.read_bytes() == TEXT + b"5,a\n"


def test_a_full_disk_is_said_before_anything_is_read(cellar, tmp_path, monkeypatch, received):
    """With the place and what is free."""
    put(cellar / "red.csv", TEXT)
    monkeypatch.setattr("baton.disk.RESERVE", 2**60)
    with pytest.raises(StorageError, match="is full"):
        copied("s3://cellar/red.csv", tmp_path)
    assert received == []


NOW = Version(9, 1000, "b")


@pytest.mark.parametrize(
    ("compared_at", "found", "asked", "is_known"),
    [
        (1000 + YOUNG_SECONDS, Version(9, 1000), None, True),
        (1000 + YOUNG_SECONDS, Version(8, 1000), None, False),
        (1000 + YOUNG_SECONDS, Version(9, 1001), None, False),
        (1000 + YOUNG_SECONDS, Version(9, 1000, "a"), None, True),
        (1000 + YOUNG_SECONDS, Version(9, 1000, "b"), None, False),
        (1001, Version(9, 1000), Version(9, 1000, "a"), True),
        (1001, Version(9, 1000), Version(9, 1000, "b"), False),
        (1001, Version(9, 1000), Version(8, 1000, "a"), False),
        (1001, Version(9, 1000), None, False),
    ],
)
def test_what_is_young_is_compared_by_its_etag_once_more(compared_at, found, asked, is_known):
    """A list tells neither the etag nor a part of a second."""
    known = Known(Version(9, 1000, "a"), compared_at)
    now = known.compared(found, lambda: asked, 2000)
    assert (now is not None) == is_known
    if now and asked:
        assert now.compared(found, lambda: pytest.fail("it is settled"), 2001) is now


def test_a_note_holds_what_is_known_and_nothing_else_is_taken_for_one():
    """Whatever a file says."""
    known = Known(Version(9, 1000, "a"), 1001)
    assert versions.read(versions.written(known)) == known
    for content in (b"", b"12 34", b"{}", versions.written(known).replace(b"9", b"-9")):
        assert versions.read(content) is None


AWS = (
    "When getting information for key 'k' in bucket 'b': AWS Error {} during HeadObject operation: "
)


@pytest.mark.parametrize(
    ("text", "kind", "why"),
    [
        (
            AWS.format("ACCESS_DENIED") + "No response body.",
            NoAccessError,
            "denied (ACCESS_DENIED)",
        ),
        (
            AWS.format("SIGNATURE_DOES_NOT_MATCH") + "The request",
            NoAccessError,
            "AWS_ACCESS_KEY_ID",
        ),
        ("Bucket 'cellar' not found", NoStoreError, "no bucket s3://cellar"),
        (AWS.format("NO_SUCH_BUCKET") + "It does not exist", NoStoreError, "no bucket s3://cellar"),
        (AWS.format("UNKNOWN (HTTP status 301)") + "No", NoStoreError, "another region"),
        (
            AWS.format("NETWORK_CONNECTION") + "after 3 ms: gone",
            ConnectionError,
            "cannot be reached",
        ),
        (AWS.format("SLOW_DOWN") + "Please", ConnectionError, "SLOW_DOWN"),
    ],
)
def test_an_error_of_a_store_is_one_line_with_the_fix(monkeypatch, text, kind, why):
    """What another try may mend is a ConnectionError; the rest is the user's to mend."""

    class Broken:
        def get_file_info(self, _):
            raise OSError(text)

    monkeypatch.setattr(objects, "_made", lambda *_: Broken())
    with pytest.raises(kind) as error:
        objects.look(addresses.parse("s3://cellar/red.csv"))
    assert why in str(error.value) and "Request ID" not in str(error.value)
    assert "3 ms" not in str(error.value) and "When getting" not in str(error.value)


def test_an_error_of_azure_that_is_none_of_the_system_is_one_line_too(monkeypatch):
    """It is told where credentials are looked for."""

    class Broken:
        def get_file_info(self, _):
            raise pa.ArrowException("Unknown error: AuthenticationException: Failed to\nget token")

    monkeypatch.setattr(objects, "_made", lambda *_: Broken())
    with pytest.raises(NoAccessError, match="AZURE_CLIENT_ID"):
        objects.look(addresses.parse("abfs://wines@acct.dfs.core.windows.net/red.csv"))


def test_what_pyarrow_says_is_said_without_what_differs_each_time():
    """A gone network in one clause."""
    error = OSError(
        AWS.format("NETWORK_CONNECTION") + "curlCode: 7, Could not connect to server; Details:"
        " Failed to connect to 127.0.0.1 port 9 after 0 ms: Could not connect to server"
    )
    assert said(error) == "Failed to connect to 127.0.0.1 port 9: Could not connect to server"


def test_what_is_missing_in_words_alone_is_missing(monkeypatch):
    """As Google's store says of a folder."""

    class Empty:
        def get_file_info(self, asked):
            if isinstance(asked, str):
                return FileInfo(asked, FileType.Directory)
            raise OSError("No such file or directory 'cellar/in'")

    monkeypatch.setattr(objects, "_made", lambda *_: Empty())
    assert objects.listed(addresses.parse("gs://cellar/in/")) == {}


def test_words_that_are_not_known_are_tried_again(no_internals):
    """BATON_INTERNALS=0 knows no words: an error is said as pyarrow says it."""
    error = OSError(AWS.format("ACCESS_DENIED") + "No response body.")
    assert refusal(error) is None
    assert said(error) == "ACCESS_DENIED"
    assert Refusal.DENIED.value.search(str(error))


@pytest.mark.parametrize(
    "endpoint", ["localhost:9000", "http://me:hidden@host", "ftp://host", "http://host/path", "x"]
)
def test_an_endpoint_that_is_none_is_refused(monkeypatch, endpoint):
    """And a password in it is not shown."""
    objects._made.cache_clear()
    told = Settings(BATON_S3_ENDPOINT=endpoint)
    monkeypatch.setattr(objects, "settings", lambda: told)
    with pytest.raises(NoStoreError, match="BATON_S3_ENDPOINT") as error:
        objects.look(addresses.parse("s3://cellar/red.csv"))
    assert "hidden" not in str(error.value)


def test_a_bucket_of_aws_is_asked_in_its_own_region(monkeypatch):
    """AWS says which that is; a network that was away once is asked again."""
    asked = []

    def resolve(bucket):
        asked.append(bucket)
        if len(asked) == 1:
            raise OSError("When resolving region for bucket 'cellar': AWS Error NETWORK_CONNECTION")
        return "eu-central-1"

    monkeypatch.setattr("pyarrow.fs.resolve_s3_region", resolve)
    objects._made.cache_clear()
    place = addresses.parse("s3://cellar/red.csv")
    with pytest.raises(ConnectionError, match="BATON_S3_ENDPOINT"):
        objects.look(place)
    assert [objects._store(place).region for _ in range(2)] == ["eu-central-1"] * 2
    assert asked == ["cellar", "cellar"]
    objects._made.cache_clear()


@pytest.mark.parametrize("name", ["BATON_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
def test_the_endpoint_is_that_of_the_environment(monkeypatch, name):
    """Baton's own variable before AWS' own, which pyarrow does not read by itself."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://last")
    monkeypatch.setenv(name, "http://127.0.0.1:9000")
    assert Settings().s3_endpoint == "http://127.0.0.1:9000"


@pytest.fixture
def home(tmp_path, monkeypatch):
    from baton.settings import settings

    monkeypatch.setenv("BATON_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    monkeypatch.undo()
    settings.cache_clear()


def test_a_table_in_a_bucket_is_a_table(cellar, home):
    """Its fingerprint is that of the content, and follows it; new rows are read likewise."""
    put(cellar / "wine.csv", TEXT)
    put(cellar / "new" / "wine.csv", b"x\n5\n6\n")
    given = problem.params(path="s3://cellar/wine.csv", target="y")
    first = problem.fingerprint(given)
    assert problem.model_name(given) == "wine-y" and problem.source_name(given) == "wine.csv"
    assert problem.load(given)["x"].tolist() == [1, 2, 3, 4]
    assert problem.new_columns({"path": given.path}) == ()
    put(cellar / "wine.csv", TEXT, OLD + 9)
    assert problem.fingerprint(given) == first
    put(cellar / "wine.csv", TEXT + b"5,a\n", OLD + 10)
    assert problem.fingerprint(given) != first and len(problem.load(given)) == 5
    new = problem.params(path="s3://cellar/new/", target="y")
    assert problem.unseen_fingerprint(new) and problem.unseen(new)["x"].tolist() == ["5", "6"]
    assert places.files(new.path)[0].is_relative_to(home / "downloads")
