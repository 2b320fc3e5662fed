"""`mdp.fork_server`, whose processes have a meter."""

from __future__ import annotations

from bench import meter
from mdp import fork_server, member
from sources.kafka import KafkaSource


def main() -> None:
    member.run_process = meter.metered(member.run_process, KafkaSource)
    fork_server.main()


if __name__ == "__main__":
    main()
