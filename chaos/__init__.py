"""Runs the whole pipeline under load, breaks it again and again, and compares what is left with an oracle."""
