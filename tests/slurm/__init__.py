"""A real Slurm of two nodes on this machine: `make slurm-test`, as root on Debian."""
