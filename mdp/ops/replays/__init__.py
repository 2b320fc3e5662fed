"""Replay requests: what they ask for, and the service that answers them."""
