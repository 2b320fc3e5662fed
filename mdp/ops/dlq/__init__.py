"""The dead letter queue: its records, and redriving them to the events topic."""
