"""How late the events of a topic are, and which grace that asks for."""
