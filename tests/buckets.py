"""Object stores for tests: one that speaks S3 on loopback, and a folder that stands for one.

    with object_store() as store:            # moto's server, in a thread
        store.put("in/a.csv", b"x,y\\n")
        with store.locked():                 # nobody is let in without a key
            ...
    in_place_of_a_store(monkeypatch, folder) # its folders are buckets; a list of 1,000 is quick

Credentials and the store's address are those of the environment, as for a user.
"""

import os
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from baton.settings import settings
from baton.stores import objects

BUCKET = "cellar"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIATESTS", "AWS_SECRET_ACCESS_KEY": "hidden-key"}


@dataclass
class Store:
    """A store, and a client of it that is none of Baton's."""

    endpoint: str
    client: Any

    def put(self, key, content, bucket=BUCKET):
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def delete(self, key, bucket=BUCKET):
        self.client.delete_object(Bucket=bucket, Key=key)

    def environment(self, **more):
        """Variables by which another process reads it."""
        return (
            KEYS | {"AWS_ENDPOINT_URL": self.endpoint, "AWS_EC2_METADATA_DISABLED": "true"} | more
        )

    @contextmanager
    def locked(self):
        """Let nobody in whose key it does not know."""
        self._let_in("0")
        try:
            yield
        finally:
            self._let_in("1000000000")

    def _let_in(self, requests):
        httpx.post(f"{self.endpoint}/moto-api/reset-auth", content=requests).raise_for_status()


@contextmanager
def object_store():
    """A store on loopback, with one empty bucket."""
    import boto3
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        names = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **names)
        client.create_bucket(Bucket=BUCKET)
        yield Store(f"http://{host}:{port}", client)
    finally:
        server.stop()


@contextmanager
def reading(store, **more):
    """Have this process read a store, as a user's environment says."""
    before = dict(os.environ)
    os.environ.update(store.environment(**more))
    _forget()
    try:
        yield store
    finally:
        os.environ.clear()
        os.environ.update(before)
        _forget()


def _forget():
    settings.cache_clear()
    objects._made.cache_clear()


@contextmanager
def silent_server():
    """Address of a server that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as place:
        yield f"http://127.0.0.1:{place.getsockname()[1]}"


def in_place_of_a_store(monkeypatch, folder):
    """Have the folders in a folder be buckets: pyarrow's own local file system answers for them."""
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    found = SubTreeFileSystem(str(folder), LocalFileSystem())
    monkeypatch.setattr(objects, "_made", lambda *_: found)
