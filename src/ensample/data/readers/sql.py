"""Tables and queries of databases: SQLite with the standard library, PostgreSQL through its Arrow driver."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.dataset import refuse_twins
from ensample.data.frames import optional
from ensample.data.infer import TIMES
from ensample.data.readers.feed import ROWS, Feed
from ensample.errors import FormatError, InputError


def feed(url: str) -> Feed:
    """The feed of a database URL with `?table=` or `?query=`.

    Raises:
        InputError: an unknown database, no table or query, or a table that does not exist.
        CapabilityError: the driver of the database is not installed.
    """
    address = Address.parse(url)
    reader = _DATABASES.get(address.scheme)
    if reader is None:
        known = ", ".join(f"{scheme}://" for scheme in _DATABASES)
        raise InputError("The database must be of a known sort.", address.label, f"{address.scheme}://", f"use {known}")
    return reader(address)


@dataclass(frozen=True)
class Address:
    """A database URL taken apart; `label` is the URL without its password."""

    scheme: str
    url: str
    path: str
    label: str
    table: str | None
    query: str | None

    @classmethod
    def parse(cls, url: str) -> Address:
        """Split off `table=` and `query=`; exactly one of them must be there."""
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True)
        asked = {key: value for key, value in options if key in ("table", "query") and value}
        rest = urlencode([(key, value) for key, value in options if key not in ("table", "query")])
        host = parts.netloc.rpartition("@")
        user = host[0].partition(":")[0]
        label = urlunsplit(parts._replace(netloc=f"{user}@{host[2]}" if user else host[2], query=""))
        label = label if parts.netloc else f"{parts.scheme}://{parts.path}"
        if len(asked) != 1:
            raise InputError(
                "A database URL names one table or one query.",
                label,
                "both" if asked else "neither",
                f'say "{label}?table=NAME" or "{label}?query=SELECT ..."',
            )
        bare = urlunsplit(parts._replace(query=rest))
        return cls(parts.scheme, bare, unquote(parts.path), label, asked.get("table"), asked.get("query"))

    def select(self) -> str:
        """The SQL that gives the records."""
        if self.query is not None:
            return self.query.strip().rstrip(";")
        assert self.table is not None
        return f"SELECT * FROM {'.'.join(map(quoted, self.table.split('.')))}"


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def sqlite(address: Address) -> Feed:
    """A table or query of an SQLite file, which is opened read-only.

    `sqlite:///people.db` is a path from here, `sqlite:////data/people.db` one from the root.
    """
    path = Path(address.path.removeprefix("/"))
    if not path.is_file():
        raise FormatError("The database file must exist.", str(path), "no file there", "check the path")
    database = _Sqlite(path, address)
    with database.connected() as connection:
        names = database.names(connection)
        refuse_twins(names, address.label)
        types = database.types(connection, names)
        rows = connection.execute(f"SELECT COUNT(*) FROM ({address.select()})").fetchone()[0]
    return Feed(address.label, _SqlitePass(database, types), TIMES, rows=rows)


@dataclass(frozen=True)
class _Sqlite:
    path: Path
    address: Address

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """A read-only connection, whose errors become ours."""
        try:
            with closing(sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro", uri=True)) as connection:
                yield connection
        except sqlite3.Error as error:
            if any(sign in str(error) for sign in ("not a database", "malformed", "unable to open")):
                raise FormatError(
                    "The file must be a whole SQLite database.", str(self.path), str(error), "check the path"
                ) from error
            raise unanswered(self.address, error) from error

    def names(self, connection: sqlite3.Connection) -> list[str]:
        """Names of the columns, as the table or query gives them."""
        if self.address.table is not None:
            known = [name for (name,) in connection.execute(_SQLITE_TABLES)]
            if self.address.table not in known:
                raise no_table(self.address, known)
        cursor = connection.execute(f"SELECT * FROM ({self.address.select()}) LIMIT 0")
        raw = connection.execute(self.address.select())
        refuse_twins([column[0] for column in raw.description], self.address.label)
        return [column[0] for column in cursor.description]

    def types(self, connection: sqlite3.Connection, names: Sequence[str]) -> dict[str, pa.DataType]:
        """One type per column from the types of all its values: SQLite has types of values, not of columns."""
        asked = ", ".join(f"group_concat(DISTINCT typeof({quoted(name)}))" for name in names)
        found = connection.execute(f"SELECT {asked} FROM ({self.address.select()})").fetchone()
        declared = self._declared(connection)
        return {
            name: _sqlite_type(set((kinds or "").split(",")) - {"null", ""}, declared.get(name, ""), name, self.address)
            for name, kinds in zip(names, found, strict=True)
        }

    def _declared(self, connection: sqlite3.Connection) -> dict[str, str]:
        if self.address.table is None:
            return {}
        rows = connection.execute(f"PRAGMA table_info({quoted(self.address.table)})")
        return {row[1]: row[2].upper() for row in rows}


_SQLITE_TABLES = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"


def _sqlite_type(kinds: set[str], declared: str, name: str, address: Address) -> pa.DataType:
    if "blob" in kinds:
        raise InputError(
            "A cell holds one number, text, truth, date or time.",
            f"{address.label}, column {name!r}",
            "binary cells",
            "leave the column out with a query",
        )
    if not kinds:
        return pa.null()
    if "text" in kinds:
        return pa.string()
    if kinds == {"integer"}:
        return pa.bool_() if "BOOL" in declared else pa.int64()
    return pa.float64()


@dataclass(frozen=True)
class _SqlitePass:
    database: _Sqlite
    types: dict[str, pa.DataType]

    def __call__(self, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        types = self.types if names is None else {name: self.types[name] for name in names}
        asked = ", ".join(_casted(name, kind) for name, kind in types.items())
        schema = pa.schema(list(types.items()))
        with self.database.connected() as connection:
            cursor = connection.execute(f"SELECT {asked} FROM ({self.database.address.select()})")
            while rows := cursor.fetchmany(ROWS):
                columns = zip(*rows, strict=True)
                arrays = [
                    pa.array(column, pa.int64() if pa.types.is_boolean(f.type) else f.type).cast(f.type)
                    for column, f in zip(columns, schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _casted(name: str, kind: pa.DataType) -> str:
    # A column of several types is made of one by the database itself.
    sql = {pa.string(): "TEXT", pa.float64(): "REAL"}.get(kind)
    return f"CAST({quoted(name)} AS {sql})" if sql else quoted(name)


def unanswered(address: Address, error: Exception) -> InputError:
    """The error for a database that refuses to answer."""
    return InputError(
        "The database must be able to answer.",
        address.label,
        " ".join(str(error).split()),
        "check the address and the query",
    )


def no_table(address: Address, known: Sequence[str]) -> InputError:
    """The error for a table that the database lacks."""
    return InputError(
        "The table must exist in the database.",
        address.label,
        f"no table {address.table!r}",
        "choose from " + ", ".join(known) if known else "the database has no tables: check its address",
    )


def postgresql(address: Address) -> Feed:
    """A table or query of a PostgreSQL server."""
    driver = optional("adbc_driver_postgresql.dbapi", "sql")
    return Feed(address.label, _PostgresqlPass(driver, address))


@dataclass(frozen=True)
class _PostgresqlPass:
    driver: Any
    address: Address

    def __call__(self, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        asked = "*" if names is None else ", ".join(map(quoted, names))
        try:
            with self.driver.connect(self.address.url) as connection, connection.cursor() as cursor:
                for setting in _STEADY:
                    cursor.execute(setting)
                self._check_table(cursor)
                cursor.execute(f"SELECT {asked} FROM ({self.address.select()}) AS records")
                for batch in cursor.fetch_record_batch():
                    yield _plain(batch)
        except self.driver.Error as error:
            raise unanswered(self.address, error) from error

    def _check_table(self, cursor: Any) -> None:
        if self.address.table is None:
            return
        cursor.execute("SELECT to_regclass($1) IS NOT NULL", (self.address.select().removeprefix("SELECT * FROM "),))
        if not cursor.fetchone()[0]:
            cursor.execute(_POSTGRESQL_TABLES)
            raise no_table(self.address, [f"{schema}.{name}" for schema, name in cursor.fetchall()])


# A split knows records by their number, so each pass must give them in the same order.
_STEADY = (
    "SET TRANSACTION READ ONLY",
    "SET LOCAL synchronize_seqscans = off",
    "SET LOCAL max_parallel_workers_per_gather = 0",
)

_POSTGRESQL_TABLES = (
    "SELECT table_schema, table_name FROM information_schema.tables "
    "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
)


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch without the driver's own types: NUMERIC comes as text and becomes a float."""
    arrays = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        cells = column.storage if isinstance(column, pa.ExtensionArray) else column
        is_numeric = (field.metadata or {}).get(b"ADBC:postgresql:typname") == b"numeric"
        arrays.append(pc.cast(cells, pa.float64()) if is_numeric else cells)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


_DATABASES: dict[str, Callable[[Address], Feed]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
    "postgres": postgresql,
}
