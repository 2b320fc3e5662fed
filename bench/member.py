"""`mdp.member`, one process of a cluster, with a meter."""

from __future__ import annotations

from bench import meter
from mdp import member
from sources.kafka import KafkaSource


def main() -> None:
    member.run_process = meter.metered(member.run_process, KafkaSource)
    member.main()


if __name__ == "__main__":
    main()
