"""MLflow's pages behind the guard: an application that ``mlflow server --app-name baton`` finds."""

from baton.settings import settings
from serving.guard import Guard


def app() -> Guard:
    """MLflow's pages and API for those who have the secret."""
    from tasks.platform.tracking import pages

    found = settings()
    return Guard(pages(), found.prefect_auth_string.get_secret_value(), found.mlflow_port)
