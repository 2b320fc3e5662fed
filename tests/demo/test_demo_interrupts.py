"""Signals in each phase of a run."""

from __future__ import annotations

import signal

import pytest

from mdp.demo.interrupts import Interrupts


def test_before_the_run_a_signal_interrupts_at_once() -> None:
    with Interrupts(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_run_the_first_signal_asks_for_its_end_and_the_second_interrupts(number: signal.Signals) -> None:
    with Interrupts() as interrupts:
        interrupts.polite = True
        signal.raise_signal(number)
        assert interrupts.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_without_a_terminal_there_is_nobody_to_end_it_for() -> None:
    with Interrupts() as interrupts:
        interrupts.polite = True
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)


def test_while_everything_is_being_stopped_signals_do_nothing() -> None:
    with Interrupts() as interrupts:
        interrupts.ignored = True
        signal.raise_signal(signal.SIGINT)
    assert not interrupts.asked


def test_afterwards_signals_do_what_they_did_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
