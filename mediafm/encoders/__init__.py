"""Frozen unimodal encoders: the interface, the registry, and one network per file. They never see files."""
