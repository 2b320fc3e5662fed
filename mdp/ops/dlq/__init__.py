"""The DLQ topic: what is in it, and the way back to the events topic."""
