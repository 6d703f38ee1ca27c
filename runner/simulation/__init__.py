"""A simulated machine for the real master: thousands of workers in virtual time."""
