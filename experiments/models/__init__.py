"""What is kept: fields and constraints, no logic."""

from experiments.models.environments import Alias, Connection, Environment, Service
from experiments.models.evidence import Claim, Injection, Reading, Series
from experiments.models.experiment import Experiment, ExperimentVersion
from experiments.models.people import User
from experiments.models.run import ActionRecord, Call, Run, RunEvent

__all__ = [
    "ActionRecord",
    "Alias",
    "Call",
    "Claim",
    "Connection",
    "Environment",
    "Experiment",
    "ExperimentVersion",
    "Injection",
    "Reading",
    "Run",
    "RunEvent",
    "Series",
    "Service",
    "User",
]
