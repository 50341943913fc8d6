"""Stages as tests run them, by themselves and in this process; and what they leave behind."""

import asyncio

from flows.evaluate import evaluate
from flows.generate import generate
from flows.train import train
from tasks.data import dataset_ready, plan_dataset
from tasks.evaluation import EvaluationPlan
from tasks.reporting import ReportPlan, model_evaluated
from tasks.training import TrainingPlan, model_trained


def run(flow, *arguments):
    """Run a stage; return the name of its state."""

    async def made():
        return (await flow(*arguments, return_state=True)).name

    return asyncio.run(made())


def evaluated(problem, parameters, options, chain):
    """Announcement of a chain's evaluation, its stages run one after the other."""
    run(generate, problem, parameters, options)
    data = dataset_ready(plan_dataset(problem, parameters, options, chain))
    run(train, data)
    trained = model_trained(TrainingPlan(data))
    run(evaluate, trained)
    return model_evaluated(ReportPlan(EvaluationPlan(trained)))


def forget_runs(client):
    """Delete the runs that other tests have left on the server, fifty at a time."""
    while client.request("POST", "/flow_runs/bulk_delete", json={}).json()["deleted"]:
        pass
