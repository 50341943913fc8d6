"""Services of this machine as the tests use them: databases of their own, gone afterwards."""

from contextlib import suppress

import pytest
import redis
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from tests import services

KINDS = {"postgresql": services.postgresql, "mysql": services.mysql}


def _ask(url):
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return connection.execute(text("select 1")).scalar()
    finally:
        engine.dispose()


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_is_gone_also_after_an_error(kind, answering):
    """Nor can the user log in any more that it was made for."""
    with suppress(ZeroDivisionError), answering(KINDS[kind]()) as url:
        assert _ask(url) == 1
        raise ZeroDivisionError
    with pytest.raises(DBAPIError, match=r"does not exist|Access denied"):
        _ask(url)


def test_numbers_of_redis_are_taken_once_and_emptied(answering):
    """Two at once have different ones; what somebody else keeps is let alone."""
    with (
        answering(services.redis_databases(2)) as first,
        services.redis_databases(2) as second,
    ):
        assert len({*first, *second}) == 4
        with redis.Redis.from_url(first[0]) as client:
            client.set("left", "behind")
    with redis.Redis.from_url(first[0]) as client:
        assert client.dbsize() == 0
        client.set("somebody's", 1)
        try:
            with services.redis_databases(2) as third:
                assert first[0] not in third
            assert client.get("somebody's") == b"1"
        finally:
            client.delete("somebody's")


@pytest.mark.parametrize(
    ("variable", "address", "make"),
    [
        ("BATON_TEST_POSTGRESQL", "postgresql://ann@127.0.0.1:9/x", services.postgresql),
        ("BATON_TEST_MYSQL", "mysql://ann@127.0.0.1:9", services.mysql),
        ("BATON_TEST_REDIS", "redis://127.0.0.1:9", services.redis_databases),
    ],
)
def test_where_nobody_answers_it_is_said(variable, address, make, monkeypatch):
    """In one line, with the variable that names another address."""
    monkeypatch.setenv(variable, address)
    with pytest.raises(services.NobodyAnswersError, match=f"127.0.0.1:9.*{variable}") as error:
        make().__enter__()
    assert "\n" not in str(error.value)
