"""Measures how late the events of a topic are, and recommends a grace."""
