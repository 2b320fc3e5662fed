"""`python -m tests.worker FLOW WORKERS OVERRIDE...`: a worker, or a cluster of them, on the config of MDP_CONFIG."""

import sys

from flows.spec import FLOWS
from mdp.runtime.worker import run


def main() -> int:
    flow, workers, *overrides = sys.argv[1:]
    return run(FLOWS[flow], None, overrides, int(workers))


if __name__ == "__main__":
    sys.exit(main())
