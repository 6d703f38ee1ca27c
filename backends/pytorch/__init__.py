"""The PyTorch backend: a readable module, and the trainer that runs it."""
