"""Runs the whole pipeline under load, injects faults, and compares its outputs with an oracle."""
