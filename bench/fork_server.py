"""`mdp.runtime.fork_server` with a meter in each process."""

from __future__ import annotations

from bench import meter
from mdp.runtime import cluster_process, fork_server
from transports.kafka.source import KafkaSource


def main() -> None:
    names = vars(cluster_process)  # where it finds what it runs
    names["run_process"] = meter.metered(names["run_process"], KafkaSource)
    fork_server.main()


if __name__ == "__main__":
    main()
