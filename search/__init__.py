"""Strategies with ask and tell, pure and seeded."""
