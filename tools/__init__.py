"""The ribosome command line and programs for one purpose."""
