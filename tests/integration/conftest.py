import pytest

from mdp.local import LocalStack
from tests.harness import Deployment, Deployments
from tests.market import FEATURES, PARTITIONS, RULES, market_topic


@pytest.fixture(scope="session")
def reference(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A market of 200,000 events, run by one worker to its end. Tests may repeat the run, and nothing else."""
    events = market_topic(stack.kafka.bootstrap, 200_000)
    deploy = Deployments(stack, tmp_path_factory.mktemp("reference"))
    deployment = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="reference")
    deployment.run()
    return deployment
