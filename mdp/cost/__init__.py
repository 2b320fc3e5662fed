"""`mdp bench`: what a user's own configuration costs on this machine."""
