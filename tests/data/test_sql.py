"""Databases: SQLite by file, PostgreSQL by its driver."""

import builtins
import datetime as dt
import sqlite3
import sys
import types

import pyarrow as pa
import pytest

from ensample.data.readers import read
from ensample.errors import CapabilityError, FormatError, InputError


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "people.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            'CREATE TABLE people (id INTEGER, name TEXT, "zip code" TEXT, score REAL, member BOOLEAN, born DATE, odd)'
        )
        connection.executemany(
            "INSERT INTO people VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (1, "Ann", "01234", 1.5, 1, "1950-01-01", 1),
                (2, "?", "98765", None, 0, None, 2.5),
                (3, "Bob", "11111", 3.0, None, "2020-02-29", None),
            ],
        )
        connection.execute('CREATE VIEW "odd ""view" AS SELECT 1 AS x')
    connection.close()
    return f"sqlite:///{path}"


def test_a_table(people):
    data = read(f"{people}?table=people")
    assert data.names == ["id", "name", "zip code", "score", "member", "born", "odd"]
    assert [str(kind) for kind in data.arrow_schema.types] == [
        "int64",
        "string",
        "string",
        "double",
        "bool",
        "date32[day]",
        "double",
    ]
    assert data.column("name").to_pylist() == ["Ann", None, "Bob"]
    assert data.column("zip code").to_pylist() == ["01234", "98765", "11111"]
    assert data.column("member").to_pylist() == [True, False, None]
    assert data.column("born").to_pylist() == [dt.date(1950, 1, 1), None, dt.date(2020, 2, 29)]
    assert data.column("odd").to_pylist() == [1.0, 2.5, None]
    assert read(f'{people}?table=odd "view').to_arrow().to_pydict() == {"x": [1]}


def test_a_query_and_a_stream(people):
    url = f"{people}?query=SELECT id, score * 2 AS twice FROM people WHERE id %26 1;"
    assert read(url).to_arrow().to_pydict() == {"id": [1, 3], "twice": [3.0, 6.0]}
    stream = read(f"{people}?table=people", limit=1)
    assert stream.streams and len(stream) == 3
    assert stream.to_arrow().equals(read(f"{people}?table=people").to_arrow())
    assert stream.select(["born", "id"]).head(1).to_arrow().to_pylist() == [{"born": dt.date(1950, 1, 1), "id": 1}]


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ("?table=persons", 'choose from odd "view, people'),
        ("", "neither"),
        ("?table=people&query=SELECT 1", "both"),
        ("?query=SELECT absent FROM people", "no such column"),
        ("?query=SELECT 1; DROP TABLE people", "check"),
        ("?query=DELETE FROM people", "check"),
        ("?query=SELECT id, id FROM people", "more than one 'id'"),
        ("?query=SELECT x'00' AS b", "binary"),
        ("?query=SELECT id FROM people WHERE 0", "no record"),
    ],
)
def test_bad_addresses(people, tail, words):
    with pytest.raises(InputError) as told:
        read(people + tail)
    assert words in str(told.value)
    assert len(read(f"{people}?table=people")) == 3


def test_bad_files(tmp_path):
    with pytest.raises(FormatError, match="must exist"):
        read(f"sqlite:///{tmp_path}/absent.db?table=x")
    (tmp_path / "x.db").write_bytes(b"not a database, really" * 100)
    with pytest.raises(FormatError, match="SQLite"):
        read(f"sqlite:///{tmp_path}/x.db?table=x")
    with pytest.raises(InputError, match="known sort"):
        read("oracle://host/db?table=x")


def test_postgresql_without_its_driver_names_the_extra(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("adbc"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    with pytest.raises(CapabilityError, match=r"pip install 'ensample\[sql\]'"):
        read("postgresql://me:secret@host/db?table=people")


class Cursor:
    """Stands for the cursor of the driver: it answers what PostgreSQL would, and notes what it was asked."""

    asked: list[str] = []  # noqa: RUF012

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def execute(self, sql, parameters=()):
        self.asked.append(sql)
        self.rows = [("public", "people")] if "information_schema" in sql else [(parameters == ('"people"',),)]

    def fetchone(self):
        return self.rows[0]

    def fetchall(self):
        return self.rows

    def fetch_record_batch(self):
        numeric = pa.field("n", pa.string(), metadata={"ADBC:postgresql:typname": "numeric"})
        schema = pa.schema([numeric, pa.field("t", pa.string())])
        return [pa.record_batch([["1.50", None, "nan"], ["01", "?", "2"]], schema=schema)]


class Connection(Cursor):
    def cursor(self):
        return Cursor()


def test_postgresql_by_its_driver(monkeypatch):
    seen = []
    driver = types.ModuleType("adbc_driver_postgresql.dbapi")
    driver.Error = ValueError
    driver.connect = lambda url: seen.append(url) or Connection()
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", types.ModuleType("adbc_driver_postgresql"))
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql.dbapi", driver)
    data = read("postgresql://me:secret@host:5432/db?sslmode=require&table=people")
    assert data.to_arrow().to_pydict() == {"n": [1.5, None, None], "t": ["01", None, "2"]}
    assert seen[0] == "postgresql://me:secret@host:5432/db?sslmode=require"
    assert Cursor.asked[-1] == 'SELECT * FROM (SELECT * FROM "people") AS records'
    assert data.source == "postgresql://me@host:5432/db" and "secret" not in repr(data)
    with pytest.raises(InputError, match=r"choose from public\.people") as told:
        read("postgresql://me:secret@host/db?table=persons")
    assert "secret" not in str(told.value)
