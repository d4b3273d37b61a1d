"""Conformance packs: what a plugin of MediaFM must hold, as functions that its author can call."""
