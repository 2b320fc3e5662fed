"""A real Kafka and a real PostgreSQL on loopback, from packages alone: for trials, development and tests."""

from mdp.local.errors import LocalStackError
from mdp.local.placement import client_program
from mdp.local.stack import Endpoints, LocalStack, ServiceStatus

__all__ = ["Endpoints", "LocalStack", "LocalStackError", "ServiceStatus", "client_program"]
