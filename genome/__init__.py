"""The genome language: spaces, codec, network IR, shapes, cost, decode, encode."""
