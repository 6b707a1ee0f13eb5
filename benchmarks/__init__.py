"""Measurements against stock Flask-Admin, over the same rows in the same run."""
