"""The commands of `ribosome`, one module each, imported when they are called.

Every module has a ``command``, a click command or group. Modules import what is heavy
(numpy, rich, torch, scikit-learn, mpi4py) inside their functions.
"""
