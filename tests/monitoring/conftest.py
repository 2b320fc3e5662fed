from collections.abc import Iterator

import pytest

from mdp.local import LocalStack
from tests.harness import Deployments


@pytest.fixture(scope="module")
def deploy(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployments]:
    """Makes deployments of the pipeline."""
    deployments = Deployments(stack, tmp_path_factory.mktemp("deployments"))
    yield deployments
    deployments.stop()
