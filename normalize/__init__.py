"""Raw messages of a venue to canonical envelopes: mapping, validation, ids. No bus, no clock: the same in every run."""
