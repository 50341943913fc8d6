"""Settings: what the environment may decide, read here and nowhere else."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_CACHE = Path("~/.cache")
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", re.ASCII)
_SECONDS_OF = {"": 1, "s": 1, "m": 60, "h": 3600}
_DAY = 86_400


class Settings(BaseSettings):
    """Settings of Baton; every one is an environment variable with the prefix ``BATON_``."""

    model_config = SettingsConfigDict(
        env_prefix="BATON_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    home: Path = Field(
        default=Path(".baton"), description="Folder of all state: results, databases, logs."
    )
    mlflow_tracking_uri: str = Field(
        default="", description="MLflow tracking store; a SQLite file in the home when empty."
    )
    mlflow_url: str = Field(
        default="",
        description="Where a browser reaches MLflow's pages, for links; the tracking store's"
        " address when empty.",
    )
    prefect_port: int = Field(
        default=4200, ge=0, le=65535, description="Port of the embedded Prefect server."
    )
    mlflow_port: int = Field(
        default=5000, ge=0, le=65535, description="Port of the embedded MLflow server."
    )
    serve_port: int = Field(
        default=8100, ge=0, le=65535, description="Port of `baton serve`; 0 for any free one."
    )
    serve_host: str = Field(
        default="127.0.0.1",
        description="Address that `baton serve` listens on; another than the loopback's only in a"
        " container, whose ports are published on loopback. It is asked by 127.0.0.1 or localhost.",
    )
    serve_token: SecretStr = Field(
        default=SecretStr(""),
        description="What `baton serve` asks of everybody; made once, and kept in the file"
        " `serve.token` of the home, when empty.",
    )
    serve_rows: int = Field(
        default=10_000, ge=1, description="Rows that one request to `baton serve` may hold."
    )
    serve_bytes: int = Field(
        default=16_777_216, ge=1, description="Bytes that one request to `baton serve` may hold."
    )
    allowed_hosts: str = Field(
        default="",
        description="Names with their ports, separated by commas, by which `baton serve` and the"
        " address that data is announced at may be asked beside 127.0.0.1 and localhost: those of a"
        " cluster's services, such as `answers:8100`.",
    )
    notify: SecretStr = Field(
        default=SecretStr(""),
        description="Where the notifications of `prefect.yaml` are sent, an address of Apprise's"
        " such as `slack://…` or `mailto://…`; nothing is sent when empty.",
    )
    announce_port: int = Field(
        default=8200,
        ge=0,
        le=65535,
        description="Port on which `baton up` is told of data that arrived; 0 for any free one.",
    )
    announce_host: str = Field(
        default="127.0.0.1",
        description="Address that `python -m serving.arriving` listens on; another than the"
        " loopback's only in a container, as with serve_host.",
    )
    announce_token: SecretStr = Field(
        default=SecretStr(""),
        description="What it asks of everybody who tells it; made once, and kept in the file"
        " `announce.token` of the home, when empty.",
    )
    pages_port: int = Field(
        default=8300, ge=0, le=65535, description="Port of Baton's own pages; 0 for any free one."
    )
    pages_host: str = Field(
        default="127.0.0.1",
        description="Address that `python -m serving.pages` listens on; another than the loopback's"
        " only in a container, whose ports are published on loopback. It is asked by 127.0.0.1 or"
        " localhost.",
    )
    pages_token: SecretStr = Field(
        default=SecretStr(""),
        description="What `python -m serving.pages` asks of everybody; made once, and kept in the"
        " file `pages.token` of the home, when empty. Those of `baton up` ask for its own secret.",
    )
    pages_bytes: int = Field(
        default=2_147_483_648, ge=1, description="Bytes that a file may have which a page is given."
    )
    pages_url: str = Field(
        default="",
        description="Address of the pages, for the links in Prefect's artifacts and in MLflow, and"
        " for `baton open`; that of the `baton up` of the home when empty.",
    )
    openlineage_url: str = Field(
        default="",
        description="OpenLineage server that is told of each stage's run and its data sets, such as"
        " `http://127.0.0.1:5000`; nobody is told when empty.",
    )
    openlineage_key: SecretStr = Field(
        default=SecretStr(""), description="API key of that server, where it asks for one."
    )
    openlineage_namespace: str = Field(
        default="baton", description="Namespace of the jobs and sources that it is told of."
    )
    poll_seconds: float = Field(
        default=0.5,
        gt=0,
        description="Seconds between two looks for runs to start, where the server is not heard to"
        " say that there are some.",
    )
    linger: float = Field(
        default=0.0,
        ge=0,
        le=_DAY,
        description="How long `baton run` leaves its server and serve process standing after the"
        " last chain, for the next one to begin at once, such as 90s, 10m or 1h; not at all when"
        " empty. `baton down` ends them.",
    )
    runs_at_once: int = Field(
        default=0,
        ge=0,
        description="Runs that a serve process has going at once; 0 for twice its cores, at least"
        " four. Trials are not counted.",
    )
    database_password: SecretStr = Field(
        default=SecretStr(""), description="Password of the database that a problem reads."
    )
    shelf: str = Field(
        default="",
        validation_alias=AliasChoices("BATON_RESULTS"),
        description="Where machines with disks of their own share results: an address such as"
        " `s3://bucket/baton`, `gs://…` or `abfs://…`, or a folder. Nowhere but in the home when"
        " empty.",
    )
    s3_endpoint: str = Field(
        default="",
        validation_alias=AliasChoices(
            "BATON_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"
        ),
        description="Address of the object store that answers for `s3://`, such as"
        " `http://127.0.0.1:9000`; that of AWS when empty. AWS' own variables `AWS_ENDPOINT_URL_S3`"
        " and `AWS_ENDPOINT_URL` count, too.",
    )
    study_storage: str = Field(
        default="",
        description="Database of the studies, a SQLAlchemy URL without a password, for workers on"
        " several machines; journal files in the home when empty.",
    )
    study_secret: str | None = Field(
        default=None, description="Prefect Secret block with the password of that database."
    )
    study_password: SecretStr = Field(
        default=SecretStr(""), description="Password of that database, where no block has it."
    )
    dask_address: str = Field(
        default="",
        description="Scheduler of the Dask cluster for engine=dask; one of this machine's cores"
        " when empty.",
    )
    internals: bool = Field(
        default=True,
        description="Whether Baton reaches behind the public face of its libraries where that is"
        " faster; 0 for the public ways only.",
    )
    fast: bool = Field(
        default=True,
        description="Whether work that was done before, or is not needed now, is left out where"
        " that is faster; 0 switches every fast path off.",
    )
    cache: Path = Field(
        default=_CACHE,
        validation_alias=AliasChoices("XDG_CACHE_HOME"),
        description="Folder of the user's caches, in whose `baton` the empty databases are kept"
        " that new homes begin with. The system's own variable.",
    )
    stream_bytes: int = Field(
        default=2_147_483_648,
        ge=0,
        description="Bytes in memory above which a feature table is learnt from and scored part by"
        " part, and a CSV file is read piece by piece.",
    )
    parent_pid: int = Field(
        default=0, description="Process whose end ends this one; 0 for none. Set by Baton itself."
    )

    prefect_api_url: str = Field(
        default="",
        validation_alias=AliasChoices("PREFECT_API_URL"),
        description="Prefect server to use instead of an embedded one. Prefect's own variable.",
    )
    prefect_ui_url: str = Field(
        default="",
        validation_alias=AliasChoices("PREFECT_UI_URL"),
        description="Where a browser reaches Prefect's pages, for links; beside its API when empty."
        " Prefect's own variable.",
    )
    prefect_api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("PREFECT_API_KEY"),
        description="Key of that server. Prefect's own variable.",
    )
    prefect_auth_string: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("PREFECT_API_AUTH_STRING"),
        description="user:password of that server. Prefect's own variable.",
    )
    prefect_certificates: str = Field(
        default="",
        validation_alias=AliasChoices("PREFECT_API_SSL_CERT_FILE"),
        description="File of the certificates that an https server's is checked by; the usual ones"
        " when empty. Prefect's own variable.",
    )
    prefect_unverified: bool = Field(
        default=False,
        validation_alias=AliasChoices("PREFECT_API_TLS_INSECURE_SKIP_VERIFY"),
        description="Whether the certificate of an https server is left unchecked. Prefect's own"
        " variable.",
    )

    @field_validator("linger", mode="before")
    @classmethod
    def _seconds(cls, given: object) -> object:
        found = _DURATION.fullmatch(given) if isinstance(given, str) else None
        if isinstance(given, str) and not found:
            raise ValueError("say it as 90s, 10m or 1h")
        return float(found[1]) * _SECONDS_OF[found[2]] if found else given

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        try:
            return home.expanduser().resolve()
        except (OSError, RuntimeError) as error:  # of a user or a link that leads nowhere
            raise ValueError(f"it is no folder ({error})") from None

    @property
    def allowed(self) -> frozenset[str]:
        """Names, with their ports, by which what listens may be asked beside its own."""
        return frozenset(name for one in self.allowed_hosts.split(",") if (name := one.strip()))

    @property
    def results(self) -> Path:
        """Folder of persisted tables."""
        return self.home / "results"

    @property
    def chains(self) -> Path:
        """Folder of a record of every chain that ended: what its last event announced."""
        return self.home / "chains"

    @property
    def studies(self) -> Path:
        """Folder of the studies' journals."""
        return self.home / "studies"

    @property
    def notebooks(self) -> Path:
        """Folder of the user's own notebooks, which a chain may ask for beside Baton's."""
        return self.home / "notebooks"

    @property
    def locks(self) -> Path:
        """Folder of lock files."""
        return self.home / "locks"

    @property
    def logs(self) -> Path:
        """Folder of the log files of the processes that Baton starts."""
        return self.home / "logs"

    @property
    def mlflow(self) -> Path:
        """Folder of MLflow's database and artifacts."""
        return self.home / "mlflow"

    @property
    def moulds(self) -> Path:
        """Folder of the empty databases that new homes begin with; in the home for a stranger."""
        try:
            own = (self.cache if self.cache.is_absolute() else _CACHE).expanduser()
        except RuntimeError:  # a user without a home folder
            return self.home / "cache"
        return own / "baton"

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking store in force."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.mlflow / 'mlflow.db'}"


@cache
def settings() -> Settings:
    """Settings in force for this process."""
    return Settings()
