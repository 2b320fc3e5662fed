"""Where payloads lie that are too large for a record: a folder, or an object store by its URL."""
