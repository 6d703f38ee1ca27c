"""The systems that come with Ribosome, as TOML files."""
