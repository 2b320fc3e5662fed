"""`mdp doctor`: checks of a deployment, a function each, and their runner."""
