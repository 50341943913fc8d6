"""What a table may be given as: formats, packings, folders, addresses, pipes and queries."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import tarfile
import zipfile
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from baton.errors import InputError
from baton.problems import parse
from baton.problems.table import problem
from baton.sources import piped, places
from baton.tables.reading import new_rows, read
from baton.tables.source import describe

FRAME = pd.DataFrame(
    {
        "n": [1, 2, 3, None],
        "text": ["a", "ü,b", "c", "d"],
        "day": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]),
        "flag": [True, False, True, False],
        "t": ["x", "y", "x", "y"],
    }
)


def workbook(path, **sheets):
    """A workbook as Excel's own parts have it."""
    names = [escape(name) for name in sheets]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        office = "http://schemas.openxmlformats.org"
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{office}/package/2006/content-types">'
            '<Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        kind = f"{office}/officeDocument/2006/relationships"
        root = f'<Relationship Id="r" Type="{kind}/officeDocument" Target="xl/workbook.xml"/>'
        links = "".join(
            f'<Relationship Id="r{n}" Type="{kind}/worksheet" Target="worksheets/s{n}.xml"/>'
            for n in range(len(names))
        )
        head = f'<Relationships xmlns="{office}/package/2006/relationships">'
        archive.writestr("_rels/.rels", f"{head}{root}</Relationships>")
        archive.writestr("xl/_rels/workbook.xml.rels", f"{head}{links}</Relationships>")
        main = f"{office}/spreadsheetml/2006/main"
        listed = "".join(
            f'<sheet name="{name}" sheetId="{n + 1}" r:id="r{n}"/>' for n, name in enumerate(names)
        )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{kind}"><sheets>{listed}</sheets></workbook>',
        )
        for n, rows in enumerate(sheets.values()):
            cells = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/s{n}.xml",
                f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
            )
    return path


def _cell(value):
    match value:
        case None:
            return "<c/>"
        case bool():
            return f'<c t="b"><v>{int(value)}</v></c>'
        case date():
            return f'<c t="d"><v>{value.isoformat()}</v></c>'
        case int() | float():
            return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'


def write(folder, kind):
    """The frame as a file of a kind."""
    path = folder / f"table.{kind}"
    match kind:
        case "csv":
            FRAME.to_csv(path, index=False)
        case "tsv":
            FRAME.to_csv(path, index=False, sep="\t")
        case "jsonl":
            FRAME.to_json(path, orient="records", lines=True, date_format="iso")
        case "parquet":
            FRAME.to_parquet(path)
        case "feather":
            feather.write_feather(FRAME, str(path))
        case "arrows":
            table = pa.Table.from_pandas(FRAME)
            with pa.ipc.new_stream(path, table.schema) as stream:
                stream.write_table(table)
        case "xlsx":
            rows = FRAME.astype(object).where(FRAME.notna(), None).to_numpy().tolist()
            rows = [[c.date() if isinstance(c, pd.Timestamp) else c for c in row] for row in rows]
            workbook(path, Sheet=[[None] * 5, list(FRAME), *rows])
    return path


KINDS = ["csv", "tsv", "jsonl", "parquet", "feather", "arrows", "xlsx"]
PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def pack(path, how):
    packed = path.with_name(f"{path.name}.{how}")
    if how == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, path.name)
    else:
        packed.write_bytes(PACKERS[how](path.read_bytes()))
    return packed


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_one_table_packed_or_not(kind, tmp_path):
    """Whatever holds it; the content says what it is, not the name."""
    path = write(tmp_path, kind)
    csv = read([describe(write(tmp_path, "csv"))])
    other = tmp_path / "any.txt"
    other.write_bytes(path.read_bytes())
    for place in (path, other, pack(path, "gz"), pack(path, "zip")):
        raw = read([describe(place)])
        pd.testing.assert_frame_equal(raw, FRAME, check_dtype=False)
        assert raw.dtypes.tolist() == csv.dtypes.tolist()
        assert sum(map(len, new_rows([describe(place)]))) == len(FRAME)


@pytest.mark.parametrize("kind", KINDS)
def test_one_column_is_read_alone(kind, tmp_path):
    """Of a type as in the whole table."""
    source = describe(write(tmp_path, kind))
    pd.testing.assert_frame_equal(read([source], only=["t"]), read([source])[["t"]])


CONTINENTS = [("NA", 1), ("EU", 2), ("AS", 3)] * 5


def _continents(folder, kind):
    header, path = ["y", "a"], folder / f"table.{kind}"
    match kind:
        case "csv":
            pd.DataFrame(CONTINENTS, columns=header).to_csv(path, index=False)
        case "jsonl":
            lines = (json.dumps(dict(zip(header, row, strict=True))) for row in CONTINENTS)
            path.write_text("\n".join(lines))
        case "xlsx":
            workbook(path, Sheet=[header, *CONTINENTS])
    return describe(path)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx"])
def test_a_word_for_missing_may_be_a_class_in_any_text(kind, tmp_path):
    """As `NA` among continents; where another column has the word, it says missing."""
    source = _continents(tmp_path, kind)
    raw = read([source], target="y")
    assert raw["y"].tolist() == [name for name, _ in CONTINENTS]
    assert "'NA' is a class of target 'y'" in raw.attrs["notes"][0]
    assert read([source])["y"].isna().sum() == 5


def test_a_class_that_says_missing_is_shown_by_all_files_of_a_folder(tmp_path):
    """Together: the first one alone may hold none of its rows, or nothing else."""
    parts = {"a": "y,a\nEU,1\nAS,2\n" * 1, "b": "a,y\n1,NA\n2,NA\n3,EU\n"}
    for name, text in parts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    raw = problem.load(parse(problem, {"path": str(tmp_path), "target": "y"}))
    assert raw["y"].tolist() == ["EU", "AS", "NA", "NA", "EU"]
    (tmp_path / "c.csv").write_text("y,a\nAS,NA\n")
    raw = problem.load(parse(problem, {"path": str(tmp_path), "target": "y"}))
    assert raw["y"].isna().sum() == 2


def test_what_is_predicted_is_seen_in_the_target_alone(tmp_path, monkeypatch):
    """Of any files, before a run; of a query it is not asked for."""
    given = parse(problem, {"path": str(write(tmp_path, "jsonl")), "target": "t"})
    assert problem.kind(given) == "classification"
    given = parse(problem, {"sql": "SELECT 1", "url": str(tmp_path / "a.sqlite"), "target": "t"})
    assert problem.kind(given) is None
    assert problem.kind(given.model_copy(update={"kind": "regression"})) == "regression"


def test_a_table_is_called_by_where_it_is_from(tmp_path):
    """A file, a folder, a glob, an address, a database."""
    (tmp_path / "wine.csv.gz").touch()
    asked = {"path": tmp_path / "wine.csv.gz"}, {"path": tmp_path}, {"path": f"{tmp_path}/*.csv"}
    web = {"path": "https://a.org/data/wine.csv"}
    query = {"sql": "SELECT 1", "url": str(tmp_path / "shop.sqlite")}
    server = {"sql": "SELECT 1", "url": "postgresql://me@host/shop?sslmode=require"}
    found = [
        problem.source_name(parse(problem, {"target": "t"} | one))
        for one in (*asked, web, query, server)
    ]
    folder = tmp_path.name
    wanted = ["wine.csv.gz", folder, f"{folder}/*.csv", "wine.csv", "shop.sqlite", "shop"]
    assert found == wanted


def test_a_folder_is_no_database_to_query(tmp_path):
    """It is given by path."""
    with pytest.raises(InputError, match="give a file, or a folder of files, by path"):
        parse(problem, {"sql": "SELECT 1", "url": str(tmp_path), "target": "t"})


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_file_is_refused_in_one_line(kind, tmp_path):
    """Or is a shorter table, where lines are whole up to the cut; so is a packed one."""
    path = write(tmp_path, kind)
    whole = path.read_bytes()
    files = [whole[: len(whole) // 2], pack(path, "gz").read_bytes()[:-12], whole[:3]]
    files += [pack(path, "zip").read_bytes()[:-30]]
    for content in files:
        path.write_bytes(content)
        try:
            assert len(read([describe(path)])) < len(FRAME)
        except InputError as error:
            assert str(error).strip()


def _refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        describe(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"$FL2@(#) SPSS", r"SPSS file.*read_spss\('.*t.dat'\).to_parquet\('.*t.parquet'\)"),
        (b"<stata_dta><header>", "Stata file.*read_stata"),
        (b"\x72\x01\x01\x00", "Stata file.*read_stata"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .xlsx without a password"),
        (pickle.dumps([1]), "a pickle, which is not read; load it where you trust it"),
        (b"SQLite format 3\0", "-p url=FILE -p sql="),
        (b"\x93NUMPY\x01", "NumPy"),
        (b"<!DOCTYPE html><html>", "a web page, not the table"),
        (b"<?xml version='1.0'?>", "is XML"),
        (b"ORC", "read_orc"),
        (b"PARE", "encrypted Parquet"),
        (b'[{"a": 1}]', "jq -c '.\\[\\]'"),
        (b'{"a": 1}\n{"a": \n', "line 2 is no JSON object"),
        (b'{"a": 1}\n[1]\n', "line 2 is no JSON object but list"),
        (b'{"a": 1}\n{"a": "\xff"}\n', "line 2 is no JSON object and no UTF-8"),
    ],
)
def test_what_is_not_read_says_what_to_do(content, message, tmp_path):
    """By the first bytes, whatever the name."""
    _refused(tmp_path / "t.dat", content, message)


def test_what_tar_packs_is_to_be_unpacked(tmp_path):
    """One line, packed again or not."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.add(write(tmp_path, "csv"), "table.csv")
    _refused(tmp_path / "t.tar", held.getvalue(), "is a tar archive.*unpack it")
    _refused(tmp_path / "t.tgz", gzip.compress(held.getvalue()), "is a tar archive")


def _zip(path, *names, mode=zipfile.ZIP_DEFLATED, content=b"a,t\n1,2\n"):
    with zipfile.ZipFile(path, "w", mode) as archive:
        for name in names:
            archive.writestr(name, content)
    return path.read_bytes()


def test_archives_that_are_no_one_table_are_refused(tmp_path):
    """Several files, none, one that leaves its folder, and one under a password."""
    path = tmp_path / "t.zip"
    _refused(path, _zip(path, "a.csv", "b.csv"), "holds 2 files .'a.csv', 'b.csv'.; unpack it")
    _refused(path, _zip(path), "an empty zip archive")
    _refused(path, _zip(path, "../../a.csv"), "which leads out of its folder")
    _refused(path, _zip(path, "mimetype", "content.xml"), "OpenDocument")
    locked = bytearray(_zip(path, "a.csv"))
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(magic) + place] |= 1
    _refused(path, bytes(locked), "is encrypted; unpack it with its password")


@pytest.mark.parametrize("how", ["gz", "zip"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx"])
def test_a_bomb_is_not_unpacked(kind, how, tmp_path, monkeypatch):
    """What grows to more than its limit is refused, before the memory is full."""
    monkeypatch.setattr("baton.tables.files._SMALL", 1 << 16)
    monkeypatch.setattr("baton.tables.files._MOST_GROWTH", 3)
    path = tmp_path / f"t.{kind}"
    if kind == "xlsx":
        workbook(path, Sheet=[["a", "t"], *[["0", "0"]] * 20_000])
    else:
        line = b"0,0\n" if kind == "csv" else b'{"a": 0, "t": 0}\n'
        path.write_bytes((b"a,t\n" if kind == "csv" else b"") + line * 100_000)
        path = pack(path, how)
    with pytest.raises(InputError, match="grows to more than"):
        read([describe(path)])
    with pytest.raises(InputError, match="grows to more than"):
        list(new_rows([describe(path)]))


def test_json_lines_are_typed_by_all_of_their_values(tmp_path):
    """A key that a line lacks is missing; what is nested is no column; a late key is refused."""
    path = tmp_path / "t.jsonl"
    lines = [{"a": 1, "l": [1], "t": True}, {"a": None}, {"t": False, "a": 1.5, "l": None}]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    raw = read([describe(path)])
    assert raw["a"].tolist()[::2] == [1, 1.5]
    assert raw["t"].tolist()[::2] == [True, False]
    assert raw.attrs["notes"] == ["dropped 'l': a list is neither a number, a date nor text"]
    many = [json.dumps({"a": "x" * 90})] * 12_000
    path.write_text("\n".join([*many, json.dumps({"a": "y", "late": 1})]))
    with pytest.raises(InputError, match="line 12001 has the key 'late', which the first lines"):
        read([describe(path)])


def test_a_sheet_is_chosen_where_several_hold_something(tmp_path):
    """An empty one does not count; a misspelt one is answered with the nearest."""
    one, two = [["a", "t"], [1, "x"]], [["b"], [2]]
    path = workbook(tmp_path / "t.xlsx", First=one, Second=two, Third=[])
    with pytest.raises(InputError, match=r"2 sheets .* by -p sheet=…: First and Second"):
        describe(path)
    with pytest.raises(InputError, match="no sheet 'Scnd'; did you mean 'Second'"):
        describe(path, "Scnd")
    assert read([describe(path, "Second")])["b"].tolist() == [2]
    assert describe(workbook(tmp_path / "u.xlsx", First=one, Third=[])).columns == ("a", "t")
    with pytest.raises(InputError, match="is CSV and has no sheet 'First'"):
        describe(write(tmp_path, "csv"), "First")


# places


def params(path=None, **values):
    given = {"path": str(path)} if path else {}
    return parse(problem, given | {"target": "t"} | values)


def test_a_folder_and_a_glob_are_one_table(tmp_path):
    """In the order of the names, typed together; hidden files are none of it."""
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "b.csv").write_text("a,t\n1.5,x\n")
    (folder / "a.csv").write_text("t,a\ny,1\n")
    (folder / "_SUCCESS").write_text("")
    (folder / ".hidden").write_text("zzz")
    for place in (folder, folder / "*.csv"):
        given = params(place)
        assert problem.load(given).to_dict("list") == {"t": ["y", "x"], "a": [1.0, 1.5]}
        assert problem.model_name(given) == "parts-t"
    before = problem.fingerprint(given)
    (folder / "b.csv").write_text("a,t\n2.5,x\n")
    assert problem.fingerprint(given) != before
    (folder / "c.csv").write_text("a,u\n2.5,x\n")
    with pytest.raises(
        InputError, match=r"c\.csv is not like a\.csv: it lacks 't' and has 'u' more"
    ):
        problem.fingerprint(given)
    with pytest.raises(InputError, match="no file is named like"):
        problem.fingerprint(params(folder / "*.parquet"))


def test_files_that_disagree_in_a_type_are_named(tmp_path):
    """Which column, and in which file."""
    for name, kind in (("a", int), ("b", int), ("c", "v{}".format)):
        table = pa.table({"v": pa.array(list(map(kind, [1, 2]))), "t": ["x", "y"]})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    given = params(tmp_path / "*.parquet")
    for way in (problem.load, problem.unseen):
        with pytest.raises(
            InputError, match=r"column 'v' is int64 in a\.parquet and .* c\.parquet"
        ):
            way(given)


@pytest.fixture
def site():
    """A web server of one file, whose content a test may change."""
    content = {"body": b"a,t\n1,x\n2,y\n"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.do_HEAD()
            self.wfile.write(content["body"])

        def do_HEAD(self):
            self.send_response(200)
            self.send_header("ETag", f'"{hash(content["body"])}"')
            self.send_header("Content-Length", str(len(content["body"])))
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/wine.csv", content
    server.shutdown()


def test_an_address_is_read_once_until_it_is_to_be_fresh(site):
    """What is kept answers, `fresh` asks again; new rows are always those that stand there now."""
    url, content = site
    given = params(url)
    assert problem.model_name(given) == "wine-t"
    first = problem.fingerprint(given)
    content["body"] += b"3,x\n"
    assert problem.fingerprint(given) == first
    problem.forget(given)
    assert problem.fingerprint(given) != first
    assert len(problem.load(given)) == 3
    content["body"] += b"4,x\n"
    problem.unseen_fingerprint(given)
    assert len(problem.unseen(given)) == 4


@pytest.mark.parametrize(
    "path", ["ftp://host/t.csv", "http://me:secret@host/t.csv", "s3://me:secret@bucket/t.csv", "-"]
)
def test_other_addresses_are_refused(path):
    """And a password is not shown."""
    with pytest.raises(InputError, match="parameter 'path'") as error:
        params(path)
    assert "secret" not in str(error.value)


def test_what_a_pipe_sends_is_kept_by_its_digest(tmp_path):
    """The same is kept once; nothing and a terminal are refused."""
    first = piped.keep(io.BytesIO(b"a,t\n1,x\n2,y\n"), tmp_path)
    again = piped.keep(io.BytesIO(b"a,t\n1,x\n2,y\n"), tmp_path)
    other = piped.keep(io.BytesIO(b"a,t\n1,x\n2,z\n"), tmp_path)
    assert first == again != other
    assert problem.model_name(params(first)) == "stdin-t"
    assert len(problem.load(params(first))) == 2
    with pytest.raises(InputError, match="the standard input is empty"):
        piped.keep(io.BytesIO(), tmp_path)
    assert sorted(p.name for p in (tmp_path / "piped").iterdir() if p.name.startswith(".")) == []


# a query


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        frame = FRAME.assign(price=["1.5", "2.5", "3.5", "4.5"], blob=[b"\0x"] * 4)
        frame.to_sql("sold", connection, index=False)
    return path


def test_a_query_is_a_table(shop):
    """Of the file's content a digest; columns that no model takes are left out, and that said."""
    given = params(url=str(shop), sql="select n, text, t, blob from sold where text like '%'")
    before = problem.fingerprint(given)
    raw = problem.load(given)
    assert problem.sources(given) == ("query",)
    pd.testing.assert_frame_equal(raw, problem.join(given, {"query": problem.read(given, "query")}))
    assert raw["text"].tolist() == FRAME["text"].tolist()
    assert problem.model_name(given) == "shop-t"
    problem.contract(given).validate(raw)
    with sqlite3.connect(shop) as connection:
        connection.execute("delete from sold where n = 1")
    assert problem.fingerprint(given) != before
    assert len(problem.unseen(given)) == 3


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("drop table sold", "begin it with SELECT or WITH"),
        ("select * from sould", "no such table: sould"),
        ("select n, n from sold", "gives 'n' more than once"),
        ("select n from sold", "target 't' is not a column of the query"),
    ],
)
def test_a_query_that_is_no_table_is_refused(shop, sql, message):
    """In one line, before a run starts."""
    with pytest.raises(InputError, match=message):
        problem.fingerprint(params(url=str(shop), sql=sql))
    given = params(url=str(shop), sql="select * from sold where n > 99")
    with pytest.raises(InputError, match="gives no rows"):
        problem.load(given)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "needs parameter 'path': add -p path=…"),
        ({"sql": "select 1"}, "sql and url belong together"),
        ({"path": "t.csv", "url": "x.sqlite"}, "give either path, or sql and url"),
        ({"sql": "select 1", "url": "postgresql://me:secret@host/db"}, "it holds a password"),
    ],
)
def test_a_table_has_one_source(values, message):
    """A password is refused and not shown: it would be stored with the run."""
    with pytest.raises(InputError, match=message) as caught:
        params(**values)
    assert "secret@" not in str(caught.value)


def test_new_rows_may_be_elsewhere_than_the_training_rows():
    """Another place takes that of the table; a query keeps its database."""
    learnt = {"path": None, "sql": "select 1", "url": "sqlite:///x", "secret": "s", "target": "t"}
    given = problem.for_new_rows(learnt, {"path": "new.csv"})
    assert given == {"path": "new.csv", "target": "t"}
    assert problem.for_new_rows(learnt, {"sql": "select 2"})["url"] == "sqlite:///x"
    assert problem.for_new_rows({"path": "a", "target": "t"}, {})["path"] == "a"


# new rows are read cell by cell


def test_one_bad_cell_loses_no_other(tmp_path):
    """Numbers with a decimal comma, and dates, of a file in which one cell is neither."""
    path = tmp_path / "t.csv"
    days = [f"2024-01-{d:02}" for d in range(1, 31)]
    path.write_text(
        "v;day;t\n" + "\n".join(f"{n},{n};{day};{'xy'[n % 2]}" for n, day in enumerate(days))
    )
    given = params(path)
    raw = problem.load(given)
    schema = problem.schema(raw, given)
    full = problem.new_features(raw, given, schema)
    path.write_text(path.read_text().replace("7,7;", "7.7.7;").replace("2024-01-09", "soon"))
    new = problem.new_features(problem.unseen(given), given, schema)
    assert np.isnan(new["v"][7])
    assert pd.isna(new["day"][8])
    pd.testing.assert_series_equal(new["v"].drop(7), full["v"].drop(7))
    pd.testing.assert_series_equal(new["day"].drop(8), full["day"].drop(8))


def test_new_rows_are_of_the_bytes_after_the_head_too(tmp_path):
    """An encoding that shows after the first megabyte is that of all."""
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,t\n" + b"plain,x\n" * 200_000 + "Müller,y\n".encode("cp1252"))
    tables = list(new_rows([describe(path)]))
    assert len({table.schema for table in tables}) == 1
    assert tables[-1]["a"][-1].as_py() == "Müller"
    assert sum(map(len, tables)) == 200_001


def test_names_of_places():
    """A glob is called as the folder that it looks in."""
    assert places.name_of("/data/2024/*/part-*.csv") == "2024"
