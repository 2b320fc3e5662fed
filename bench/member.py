"""`mdp.member`, one process of a cluster, with a meter."""

from __future__ import annotations

from bench import meter
from mdp import member
from sources.kafka import KafkaSource


def main() -> None:
    clock = meter.from_first_part(KafkaSource)
    try:
        member.main()
    finally:
        clock.report()


if __name__ == "__main__":
    main()
