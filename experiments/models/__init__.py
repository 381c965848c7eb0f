"""What is kept: fields and constraints, no logic."""

from experiments.models.environments import Alias, Connection, Environment, Service
from experiments.models.evidence import Claim, Injection, LiveSeries, Reading, Series
from experiments.models.experiment import Experiment, ExperimentVersion
from experiments.models.people import User
from experiments.models.run import ActionRecord, Call, Run, RunEvent
from experiments.models.safety import Halt, Orphan, StopLink, Webhook

__all__ = [
    "ActionRecord",
    "Alias",
    "Call",
    "Claim",
    "Connection",
    "Environment",
    "Experiment",
    "ExperimentVersion",
    "Halt",
    "Injection",
    "LiveSeries",
    "Orphan",
    "Reading",
    "Run",
    "RunEvent",
    "Series",
    "Service",
    "StopLink",
    "User",
    "Webhook",
]
