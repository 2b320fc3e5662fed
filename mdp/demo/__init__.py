"""The pipeline at work on a synthetic market, shown live, and its results checked against what was sent."""
