"""Attacks: what comes from other people, at its worst."""
