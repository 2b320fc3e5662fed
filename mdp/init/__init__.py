"""A project of the user's own: configs, a plug-in package with a test, and what deploys them."""
