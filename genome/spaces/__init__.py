"""The spaces that Ribosome ships, one TOML file each."""
