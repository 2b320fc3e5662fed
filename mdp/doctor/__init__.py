"""`mdp doctor`: checks of a deployment, each a function of its own, and how they are run."""
