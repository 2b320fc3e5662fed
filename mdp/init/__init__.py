"""A project for the user: configs, a plug-in package with a test, and files for deployment."""
