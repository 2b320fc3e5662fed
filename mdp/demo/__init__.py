"""The pipeline on a synthetic market, shown live, with its results checked against what was sent."""
