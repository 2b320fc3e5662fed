"""`python -m chaos`: see docs/chaos.md."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console

from chaos.faults import plan
from chaos.market_case import MARKET
from chaos.message_case import MESSAGES
from chaos.pipeline import Pipeline, PipelineFailed
from chaos.report import show
from chaos.run import CATCH_UP_SECONDS, Result, run
from mdp.local import LocalStackError

_FAULTS: Final = 55
_SECONDS_PER_FAULT: Final = 20.5  # so that 55 of them, with setup and verification, take less than 20 minutes
_WORKERS: Final = 2


def main() -> int:
    """Returns 0 if nothing is missing, wrong or duplicated, and the pipeline caught up in time after every kill."""
    options = _options()
    console = Console()
    console.print(f"seed {options.seed}: SEED={options.seed} repeats these faults and this market", highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="mdp-chaos-"))
    seconds = options.seconds or options.faults * _SECONDS_PER_FAULT
    case = MESSAGES if options.messages else MARKET
    faults = plan(options.seed, options.faults, seconds, case.faults)
    pipeline = Pipeline(folder, _WORKERS, case)
    good = False
    try:
        result = run(pipeline, faults, rate=options.rate, seconds=seconds, seed=options.seed, say=console.print)
        show(console, result)
        good = _is_good(result)
    except (PipelineFailed, LocalStackError, TimeoutError) as error:
        console.print(f"failed: {error}", markup=False)
    except KeyboardInterrupt:
        console.print("interrupted")
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        console.print(f"the logs of the workers are in {folder}")
    return 0 if good else 1


def _is_good(result: Result) -> bool:
    return result.findings.are_good and not result.late_stops and result.slowest <= CATCH_UP_SECONDS


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--faults", type=int, default=_FAULTS)
    parser.add_argument("--seconds", type=float, help=f"of load; {_SECONDS_PER_FAULT} for each fault by default")
    parser.add_argument("--messages", action="store_true", help="of normalize and persist, not of the market dataflow")
    parser.add_argument("--rate", type=float, help="events per second; 20,000 by default, 2,000 raw messages")
    options = parser.parse_args()
    options.rate = options.rate or (2_000.0 if options.messages else 20_000.0)
    return options


if __name__ == "__main__":
    sys.exit(main())
