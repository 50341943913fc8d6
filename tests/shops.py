"""A small shop as a SQLite database, and on a server, for the tests that read one."""

import random
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
from sqlalchemy import URL, create_engine, text

TABLES = """
    create table people (id integer primary key, city text, changed text);
    create table products (id integer primary key, price real, color text);
    create table orders (id integer primary key, customer integer references people (id),
                         ordered text, shipped text, total real, channel text, churn integer);
    create table lines (order_id integer references orders (id), no integer,
                        product integer references products (id), quantity integer,
                        primary key (order_id, no));
    create table calls (id integer primary key, customer integer references people (id),
                        called text, minutes real);
    create table visits (id integer primary key, customer integer references people (id),
                         pages integer);
    create table elsewhere (id integer primary key, word text);
"""

NAMES = {
    "orders": "orders",
    "order_key": "id",
    "order_time": "ordered",
    "customer_key": "customer",
    # One order's customer is in no table, so that a server would refuse a declared key.
    "relations": "orders.customer=people.id",
}
"""Parameters of the problem churn that name its tables."""

UNKEYED = ("customer integer references people (id),\n", "customer integer,\n")
TYPES = {
    "postgresql": {
        "ordered text": "ordered timestamp",
        "called text": "called date",
        "real": "numeric",
    },
    "mysql": {
        "ordered text": "ordered datetime",
        "called text": "called date",
        "price real": "price decimal(10, 1)",
        "total real": "total decimal(8, 2)",
        "real": "double",
        "table lines": "table `lines`",  # a word of the language there
    },
}
"""What SQLite cannot declare."""


def make_shop(path: Path, orders: int = 120, customers: int = 30) -> Path:
    """Write orders of a year, their lines, customers, and one customer who is in no table."""
    draw = random.Random(5)
    start = datetime(2023, 1, 1)

    def day() -> str:
        return str(start + timedelta(days=draw.randint(0, 600)))

    with sqlite3.connect(path) as connection:
        connection.executescript(TABLES)
        rows = {
            "people": [(i, draw.choice(["Ulm", "Brno", None]), day()) for i in range(customers)],
            "products": [(i, i + 0.5, draw.choice(["red", "tan"])) for i in range(9)],
            "orders": [
                (
                    i,
                    99_999 if i == 0 else draw.randrange(customers),
                    day(),
                    day(),
                    draw.choice([None, round(draw.uniform(1, 99), 2)]),
                    draw.choice(["web", "shop"]),
                    1,
                )
                for i in range(orders)
            ],
            "lines": [
                (i, no, draw.randrange(9), draw.randint(1, 4))
                for i in range(orders)
                for no in range(draw.randint(0, 3))
            ],
            "calls": [(i, draw.randrange(customers), day(), draw.random()) for i in range(orders)],
            "visits": [(i, draw.randrange(customers), i) for i in range(orders)],
        }
        for table, values in rows.items():
            places = ", ".join("?" * len(values[0]))
            connection.executemany(f"insert into {table} values ({places})", values)
    return path


def copy_shop(path: Path, url: URL) -> None:
    """Copy a shop into a database of a server, its columns of the server's own types."""
    tables = TABLES.replace(*UNKEYED, 1)
    for kind, better in TYPES[url.get_backend_name()].items():
        tables = tables.replace(kind, better)
    engine = create_engine(url)
    with engine.begin() as connection, sqlite3.connect(path) as shop:
        for statement in filter(str.strip, tables.split(";")):
            connection.execute(text(statement))
        for table in ("people", "products", "orders", "lines", "calls", "visits"):
            rows = pd.read_sql_query(f"select * from {table}", shop)
            rows.to_sql(table, connection, if_exists="append", index=False)
    engine.dispose()
