"""`mdp bench`: the cost of a user's own configuration on this machine."""
