"""Rows from files: read, mapped to attributes, tried, and written as one undoable change."""
