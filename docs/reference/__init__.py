"""The parts of the documentation that the code itself tells."""
