"""Frameworks that networks are written for. Importing this imports no framework."""
