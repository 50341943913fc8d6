"""Bad input by the thousand: what reads a file, a parameter or a setting has one kind of error.

Each claim is tried on some examples, and on thousands by ``make long``.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import unicodedata
import warnings
import zipfile
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from baton import models, options, problems
from baton.chain import events, manifest, records, stored
from baton.cli import interrupts, main
from baton.cli.app import pairs
from baton.errors import InputError
from baton.lineage import digest_of_file, lineage_of, with_lineage
from baton.settings import Settings
from baton.terms import Kind
from baton.tuning import storage
from serving import embedded, holder
from tasks.data import check_contract
from tasks.platform import results
from tasks.platform.api import Access, Client
from tests.conftest import ROOT

TABLE = problems.get("table")


def thousands(few, many=3000):
    """Some examples in `make test`, thousands in `make long`."""
    marks = [pytest.mark.long, pytest.mark.timeout(1800)]
    return pytest.mark.parametrize("n", [few, pytest.param(many, marks=marks)])


def tried(n, check, *strategies):
    """Try a check on n examples, none of which takes long."""
    chosen = settings(
        max_examples=n,
        deadline=timedelta(seconds=60),
        derandomize=n < 1000,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen(given(*strategies)(check))()


SPICES = [
    *(
        b"\0",
        b'"',
        b"'",
        b"\n",
        b"\r",
        b",",
        b";",
        b"\t",
        b"-",
        b": ",
        b"\xff\xfe",
        b"\xe2\x80\xa8",
    ),
    *(b"1e999", b"NaN", b"null", b"true", b"9" * 30, b"[" * 2000, b"{}", b"\x1b[2J", b"\x1f\x8b"),
    *(
        b"&a [*a]",
        b"!!python/object/apply:os.abort []",
        b"!!timestamp x",
        b"<<: *a",
        b"PAR1",
        b"_row",
    ),
]
"""What means something to one reader or the other."""


@st.composite
def mutated(draw, content):
    """A valid file, changed in some places."""
    found = bytearray(content)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4, 12]))):
        place = draw(st.integers(0, len(found)))
        match draw(st.sampled_from(["put", "set", "cut", "copy", "spice"])):
            case "put":
                found[place:place] = draw(st.binary(min_size=1, max_size=8))
            case "set":
                found[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del found[place : place + draw(st.integers(1, 60))]
            case "copy":
                other = draw(st.integers(0, len(found)))
                found[place:place] = found[other : other + draw(st.integers(1, 60))]
            case _:
                found[place:place] = draw(st.sampled_from(SPICES))
    return bytes(found)


def _refused(error):
    """A refusal is one line that a person can read."""
    assert str(error).strip()
    assert not [c for c in str(error) if unicodedata.category(c) in {"Cc", "Zl", "Zp"}], str(error)


def _through(path, target="t"):
    """Take a file through everything that a stage does with it, up to the tables it keeps."""
    try:
        params = problems.parse(TABLE, {"path": str(path), "target": target})
        TABLE.fingerprint(params)
        raw = TABLE.load(params)
        TABLE.goal(raw, params)
        check_contract(SimpleNamespace(problem=TABLE, params=params), raw)
        features = TABLE.features(raw, params)
        split = TABLE.split(features, raw, params)
        json.dumps(schema := TABLE.schema(raw, params))
        TABLE.new_features(raw, params, schema)
        for table in (raw, features.assign(split=split)):
            pa.Table.from_pandas(table, preserve_index=False)
    except InputError as error:
        _refused(error)


def _frame():
    random, n = np.random.default_rng(0), 60
    columns = {
        "a": random.normal(size=n),
        "b": random.integers(0, 9, n),
        "c": random.choice(["x", "y", "ü"], n),
        "when": pd.date_range("2020-01-01", periods=n),
        "day": [f"{i % 28 + 1}/{i % 12 + 1}/2020" for i in range(n)],
        "money": [f"$1,{i:03}.50" for i in range(n)],
        "time": [f"{i % 24}:{i:02}" for i in range(n)],
        "flag": random.random(n) < 0.5,
        "t": random.choice(["yes", "no"], n),
    }
    return pd.DataFrame(columns)


def _files():
    frame, parquet, archive = _frame(), io.BytesIO(), io.BytesIO()
    csv = frame.to_csv(index=False).encode()
    frame.to_parquet(parquet)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.csv", csv)
    return {
        "csv": csv,
        "semicolons": frame.to_csv(index=False, sep=";", decimal=",").encode("cp1252"),
        "utf-16": frame.to_csv(index=False).encode("utf-16"),
        "parquet": parquet.getvalue(),
        "gzip": gzip.compress(csv),
        "bzip2": bz2.compress(csv),
        "xz": lzma.compress(csv),
        "zip": archive.getvalue(),
    }


FILES = _files()


@thousands(10, 1000)
@pytest.mark.parametrize("kind", FILES)
def test_a_changed_table_file_is_read_or_refused(kind, n, tmp_path):
    """Bytes changed, left out, put in: a table, or one line that says why not."""
    path = tmp_path / "table"

    def check(content):
        path.write_bytes(content)
        _through(path)

    tried(n, check, mutated(FILES[kind]))


CELL = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", "NA", "1", "-1.5", "1,5", "2020-02-30", "12:61", "yes", "1e308", "0x1f"]),
)


@thousands(60)
def test_a_table_of_any_text_is_read_or_refused(n, tmp_path):
    """Whatever stands in the cells, and in the header."""
    path = tmp_path / "table.csv"

    def check(rows, header, delimiter):
        lines = [[*header, "t"], *([*row, f"{place % 2}"] for place, row in enumerate(rows))]
        path.write_text("\n".join(delimiter.join(line) for line in lines), "utf-8", "replace")
        _through(path)

    row = st.lists(CELL, min_size=2, max_size=2)
    tried(n, check, st.lists(row, max_size=30), row, st.sampled_from(",;\t|"))


ARROW = [
    *(pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.bool_(), pa.string(), pa.binary()),
    *(pa.date32(), pa.timestamp("ns"), pa.timestamp("s", "Europe/Berlin"), pa.time32("ms")),
    *(pa.duration("us"), pa.decimal128(38, 10), pa.list_(pa.int8()), pa.null(), pa.large_string()),
    *(pa.struct([("x", pa.int8())]), pa.dictionary(pa.int8(), pa.string()), pa.string_view()),
]
EXTREMES = {
    pa.timestamp("ns"): [-(2**63) + 1, 2**63 - 1, 0],
    pa.timestamp("s", "Europe/Berlin"): [-(2**50), 2**50, 0],
    pa.uint64(): [2**64 - 1, 0],
    pa.float64(): [float("inf"), float("nan"), 1e308, -0.0],
    pa.string(): ["", "\0", "a\nb", "1" * 400, "é"],
}


@thousands(60)
def test_a_table_of_any_types_is_read_or_refused(n, tmp_path):
    """Lists, times of any zone, decimals, numbers at the end of their range; as the target too."""
    path = tmp_path / "table.parquet"

    def check(types, target, size, seed):
        random = np.random.default_rng(seed)
        columns = {}
        for place, kind in enumerate(types):
            some = EXTREMES.get(kind, [None])
            values = [some[one] for one in random.integers(0, len(some), size)]
            columns[f"c{place}"] = pa.array(values, kind)
        columns["t"] = pa.array([str(one) for one in random.integers(0, 2, size)])
        pq.write_table(pa.table(columns), path)
        _through(path, "c0" if target else "t")

    kinds = st.lists(st.sampled_from(ARROW), min_size=1, max_size=5)
    tried(n, check, kinds, st.booleans(), st.integers(0, 40), st.integers(0, 99))


HOSTILE_METADATA = st.dictionaries(
    st.sampled_from([b"pandas", b"baton", b"ARROW:schema", b"geo", b"\xff"]),
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([b"[]", b"null", b"{}", b"[" * 9999, b'{"index_columns": ["x"]}']),
        mutated(pa.Table.from_pandas(_frame()).schema.metadata[b"pandas"]),
    ),
)


@thousands(40, 1000)
def test_a_file_with_any_metadata_is_read_or_refused(n, tmp_path):
    """Of pandas, of Baton itself, of others: it decides nothing in a user's file."""
    path = tmp_path / "table.parquet"
    table = pa.Table.from_pandas(_frame())

    def check(metadata):
        pq.write_table(table.replace_schema_metadata(metadata), path)
        _through(path)

    tried(n, check, HOSTILE_METADATA)


def test_a_file_that_grows_without_end_is_refused(tmp_path, monkeypatch):
    """Packed zeros, and a Parquet file of one value again and again, fill no memory."""
    from baton.tables import files

    monkeypatch.setattr(files, "_SMALL", 1 << 20)
    path = tmp_path / "table"
    rows = b"a,t\n" + b"1,2\n2,3\n" * 1_000_000
    for pack in (bz2.compress, lzma.compress):
        path.write_bytes(pack(rows))
        with pytest.raises(InputError, match=r"grows to more than 200 times .* unpack it"):
            TABLE.load(problems.parse(TABLE, {"path": path, "target": "t"}))
    pq.write_table(pa.table({"t": np.zeros(8_000_000, "int8")}), path)
    with pytest.raises(InputError, match="grows to more than 200 times"):
        TABLE.load(problems.parse(TABLE, {"path": path, "target": "t"}))


MANIFEST = b"""name: x
deployments:
- name: a
  entrypoint: flows/train.py:train
  parameters: &a {problem: iris}
  schedules: [{cron: "0 0 * * *", parameters: *a}]
  triggers:
  - {type: event, match: {prefect.resource.id: b}, expect: [baton.dataset.ready],
     posture: Reactive, threshold: 1, within: 0, parameters: {data: '{{ event.payload }}'}}
"""


@thousands(150)
def test_a_changed_prefect_yaml_is_read_or_refused(n, tmp_path):
    """Whatever it says: a manifest, or one line."""
    path = tmp_path / "prefect.yaml"

    def check(content):
        path.write_bytes(content)
        try:
            manifest.read(path).stages()
        except InputError as error:
            _refused(error)

    tried(n, check, st.one_of(mutated(MANIFEST), st.binary(max_size=60)))


def _merging(levels):
    """A file that doubles what is merged with each level."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, levels)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    "content",
    [
        (ROOT / "prefect.yaml").read_bytes()[:-40] + b"\xff",
        b"[" * 5_000,
        b"name: " + b"9" * 5000,
        b"a: !!int ''",
        b"a: !!bool x",
        b"a: !!timestamp x",
        b"a: 2020-99-99",
        b"? [a]\n: b",
        b"a: &a [*a]\nb: !!python/name:os.system",
        _merging(60),
    ],
)
def test_yaml_that_is_a_trap_is_refused(content, tmp_path):
    """Values that are not what their tags say, and what would not come to an end."""
    path = tmp_path / "prefect.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        manifest.read(path)
    _refused(refused.value)


@thousands(100)
@pytest.mark.parametrize("read", ["holder", "up"])
def test_a_changed_file_of_a_standing_baton_is_no_baton(read, n, tmp_path, monkeypatch):
    """Such a file is read or it counts as none; the secret goes to this machine alone."""
    home = Settings(home=tmp_path)
    (tmp_path / "auth").write_text("baton:hush")
    asked = []
    monkeypatch.setattr(embedded, "_is_held", lambda _: True)
    monkeypatch.setattr(embedded, "is_up", lambda one: not asked.append(one.prefect))
    told = {"pid": 1, "prefect": "http://127.0.0.1:1/api", "mlflow": "", "has_own_mlflow": True}
    told |= {"command": "up", "since": "2026-01-01T00:00:00+01:00"}
    name = {"holder": "holder.json", "up": "up.json"}[read]

    def check(content):
        (tmp_path / name).write_bytes(content)
        holder.waiting_for(home)
        if found := embedded.found(home):
            assert found.prefect_page() and isinstance(found.mlflow_page, str)
        embedded.awaited(home, print, serving=False) if holder.held_by(home) else None

    monkeypatch.setattr(embedded, "_WAIT_FOR_HOME_SECONDS", -1.0)
    tried(n, check, mutated(json.dumps(told).encode()))
    assert {one.partition(":1")[0] for one in asked} <= {"http://127.0.0.1", "http"}


@pytest.mark.parametrize(
    "address",
    ["http://evil.example/api", "http://127.0.0.1:1@evil.example/api", "http://127.0.0.1.evil:1/"],
)
def test_the_secret_is_not_sent_where_a_planted_file_says(address, tmp_path, monkeypatch):
    """A file that names another server is no standing Baton."""
    home = Settings(home=tmp_path)
    (tmp_path / "auth").write_text("baton:hush")
    monkeypatch.setattr(embedded, "_is_held", lambda _: True)
    monkeypatch.setattr(embedded, "is_up", lambda _: pytest.fail("it was asked"))
    monkeypatch.setattr(embedded, "is_claimed", lambda _: True)
    (tmp_path / "up.json").write_text(json.dumps({"pid": 1, "prefect": address}))
    held = {"pid": 1, "command": "run", "since": "2026-01-01T00:00:00Z", "prefect": address}
    (tmp_path / "holder.json").write_text(json.dumps(held))
    assert holder.held_by(home).prefect == address
    assert embedded.found(home) is None
    assert embedded.passing(home) is None


JOURNAL = (
    b'{"op_code": 0, "worker_id": "a", "study_name": "s", "directions": [1]}\n'
    b'{"op_code": 4, "worker_id": "a", "study_id": 0, "datetime_start": "2026-01-01T00:00:00"}\n'
    b'{"op_code": 6, "worker_id": "a", "trial_id": 0, "state": 1, "values": [0.5],'
    b' "datetime_complete": "2026-01-01T00:00:01"}\n'
)


@thousands(100)
def test_a_changed_journal_is_read_or_refused(n, tmp_path):
    """A study of what it says, or one line; and it is left as it is, but for half a last line."""
    import optuna

    home = Settings(home=tmp_path)
    path = home.studies / "s.journal"
    home.studies.mkdir()

    def check(content):
        path.write_bytes(content)
        try:
            with storage.readable(path):
                found = optuna.load_study(study_name="s", storage=storage.open_storage(home, "s"))
                assert isinstance(found.trials, list)
        except InputError as error:
            _refused(error)
        assert content.startswith(path.read_bytes())

    tried(n, check, mutated(JOURNAL))


@thousands(60)
def test_a_changed_ledger_counts_as_no_result(n):
    """Whatever a ledger says, a result is found whole or not at all."""
    key = "spheres/0123456789abcdef/features.parquet"
    path = results.path_of(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"n": [1]}), path)
    entry = {"serializer": {"type": "baton-parquet"}, "sha256": digest_of_file(path)}
    good = json.dumps(entry).encode()

    def check(content):
        path.with_name(path.name + ".json").write_bytes(content)
        found = results.find(key)
        assert found is None or found.digest == entry["sha256"]

    tried(n, check, mutated(good))


@thousands(100)
def test_a_changed_lineage_is_read_or_refused(n):
    """JSON of an object, else one line; so is what it lacks."""
    good = lineage_of(with_lineage(pa.table({}), {"goal": {"kind": "regression"}}).schema)

    def check(content):
        try:
            assert lineage_of(pa.schema([]).with_metadata({b"baton": content}))["goal"] is not ...
        except InputError as error:
            _refused(error)

    tried(n, check, mutated(json.dumps(good).encode()))


@thousands(100)
def test_a_changed_record_of_a_chain_is_passed_over(n, tmp_path):
    """It counts as none, as one of another version of Baton does."""
    home = Settings(home=tmp_path)
    home.chains.mkdir()

    def check(content):
        (home.chains / "0123456789ab.json").write_bytes(content)
        try:
            records.find(home)
        except InputError as error:
            _refused(error)

    tried(n, check, mutated(json.dumps(EVALUATED).encode()))


CARD = b"flavors:\n  python_function:\n    data: data\n    loader_module: baton.models\nrun_id: a\n"


@thousands(100)
def test_a_changed_card_of_mlflows_names_no_folder_elsewhere(n, tmp_path):
    """The folder beside it, or one line."""
    (tmp_path / "data").mkdir()

    def check(content):
        (tmp_path / "MLmodel").write_bytes(content)
        try:
            assert stored.model_folder(tmp_path / "MLmodel").is_relative_to(tmp_path)
        except InputError as error:
            _refused(error)

    tried(n, check, mutated(CARD))


@pytest.mark.parametrize("place", ["..", "/", "/etc", "data/../..", "link", "7"])
def test_a_card_that_points_elsewhere_is_refused(place, tmp_path):
    """By .., as an absolute path or by a link: nothing there is read."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link").symlink_to("/etc")
    card = tmp_path / "model" / "MLmodel"
    card.write_bytes(CARD.replace(b"data: data", f"data: {place}".encode()))
    with pytest.raises(InputError, match="beside it"):
        stored.model_folder(card)


@thousands(40, 1500)
@pytest.mark.parametrize("name", ["model.json", "model.skops"])
def test_a_changed_model_is_loaded_or_refused(name, n, tmp_path):
    """Its card, and the archive of a scikit-learn estimator."""
    frame = pd.DataFrame({"a": np.arange(60.0), "t": ["x", "y"] * 30})
    recipe = models.Recipe("t", Kind.CLASSIFICATION, family="decision_tree")
    models.fit(frame, recipe).save(tmp_path)

    def check(content):
        (tmp_path / name).write_bytes(content)
        try:
            models.load(tmp_path)
        except InputError as error:
            _refused(error)

    tried(n, check, mutated((tmp_path / name).read_bytes()))


VALUES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", "nan", "inf", "-1", "1e999", "[" * 3000, "9" * 5000, '["a"', '"', "a\rb", "\0", "~x/y"]
    ),
    st.sampled_from(
        ["2021-01", "9999-12", "sqlite:///x", "mysql://a:b@h/d", "http://[::1", "a.b=c"]
    ),
    st.integers().map(str),
)


@thousands(40)
@pytest.mark.parametrize("name", ["churn", "iris", "spheres", "table", "taxi"])
def test_any_parameters_are_taken_or_refused(name, n):
    """As `-p` gives them: of the problem, options of a chain, and some for a prediction."""
    problem = problems.get(name)
    known = [*problem.params.model_fields, *options.Options.model_fields, "bogus", "model"]

    def check(given):
        values = {**given}
        for ask in (
            lambda: pairs([f"{key}={value}" for key, value in values.items()]),
            lambda: options.parse(problem, values),
            lambda: options.parse(None, values),
            lambda: problems.parse(problem, values),
            lambda: problems.partial(problem, values),
        ):
            try:
                ask()
            except InputError as error:
                _refused(error)

    tried(n, check, st.dictionaries(st.sampled_from(known), VALUES, max_size=4))


def _table(name):
    return {"key": f"iris/0123456789abcdef/{name}.parquet", "digest": "0" * 64, "n_rows": 1}


EVALUATED = {
    "chain": "0123456789ab",
    "problem": "iris",
    "data": {
        "chain": "0123456789ab",
        "problem": "iris",
        "raw": _table("raw"),
        "features": _table("features"),
        "kind": "regression",
        "target": "t",
        "headline": "rmse",
        "n_train": 1,
        "n_test": 1,
    },
    "model": {"name": "baton-iris", "version": 1, "run_id": "0" * 32, "digest": "0" * 64},
    **{
        name: _table(name)
        for name in (
            *("predictions", "metrics", "permutation_importance", "shap_global", "shap_local"),
        )
    },
    "report": {"key": "iris/0123456789abcdef/report.html", "digest": "0" * 64},
    "scores": {"rmse": 1.0},
    "intervals": {"rmse": [0.5, 1.5]},
}
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    lambda one: st.one_of(st.lists(one, max_size=3), st.dictionaries(st.text(max_size=5), one)),
    max_leaves=6,
)


@st.composite
def payloads(draw):
    """An event's payload with something else in some place."""
    found = json.loads(json.dumps(EVALUATED))
    node = found
    while True:
        name = draw(st.sampled_from(sorted(node)))
        if not isinstance(node[name], dict) or draw(st.booleans()):
            break
        node = node[name] or {"": 0}
    node[name] = draw(ANYTHING)
    return found


@thousands(150)
def test_any_payload_is_an_event_or_a_breach(n):
    """What is no payload is refused before a stage begins; no key leads out of the results."""
    events.ModelEvaluated.model_validate(EVALUATED)

    def check(payload):
        events.labels_in({"data": payload})
        try:
            found = events.ModelEvaluated.model_validate(payload)
        except ValidationError:
            return
        for place in (*found.tables.values(), found.report):
            assert (
                stored.path_of(results.settings().results, place)
                .resolve()
                .is_relative_to(results.settings().results)
            )

    tried(n, check, payloads())


@thousands(100)
def test_any_environment_is_settings_or_one_line(n, tmp_path):
    """Of every setting of Baton's, and Prefect's that it reads; and a client can be made of it."""
    names = [
        *(f"BATON_{name.upper()}" for name in Settings.model_fields if "prefect_" not in name),
        *("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"),
        *("PREFECT_API_SSL_CERT_FILE", "BATON_PREFECT_PORT"),
    ]
    values = VALUES.filter(lambda text: "\0" not in text and text.isprintable())

    def check(given):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in given.items():
                with suppress(UnicodeEncodeError):
                    patch.setenv(name, value)
            try:
                found = Settings()
                with Client(Access.of(found, found.prefect_api_url), ()):
                    pass
            except InputError as error:
                _refused(error)
            except ValidationError:
                pass

    tried(n, check, st.dictionaries(st.sampled_from(names), values, max_size=3))


WORDS = st.one_of(
    VALUES,
    st.sampled_from(
        ["spheres", "table", "-p", "--json", "--row", "--chain", "--version", "--", "7"]
    ),
    st.builds("{}={}".format, st.sampled_from(["rows", "path", "target", "model"]), VALUES),
)


@thousands(40, 1000)
def test_any_command_line_ends_in_one_line(n, monkeypatch, capsys):
    """Each command with any words, where no server answers: exit code 0, 1 or 2, no traceback."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr(interrupts, "catch", lambda: None)
    results.settings.cache_clear()

    def check(command, words):
        with pytest.raises(SystemExit) as ended:
            main([command, *words])
        said = capsys.readouterr().err
        assert ended.value.code in {0, 1, 2}
        assert ended.value.code == 0 or said.count("baton: ") >= 1
        assert len(said.splitlines()) <= 1, said

    commands = ["run", "train", "predict", "status", "report", "explain", "problems", "up", "bogus"]
    commands += ["why", "why-not"]
    tried(n, check, st.sampled_from(commands), st.lists(WORDS, max_size=5))
    monkeypatch.undo()
    results.settings.cache_clear()


def test_an_empty_setting_is_none(monkeypatch):
    """BATON_HOME= does not make the working folder the home."""
    monkeypatch.setenv("BATON_HOME", "")
    monkeypatch.setenv("BATON_POLL_SECONDS", "")
    assert Settings().home.name == ".baton"
    assert Settings().poll_seconds == 0.5
    assert os.environ["BATON_HOME"] == ""
