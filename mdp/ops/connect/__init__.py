"""Connectors under the config: what they need is found and checked before anything connects."""
