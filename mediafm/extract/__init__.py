"""The only place where media meets detectors and encoders: the child process that reads files, and its parent side."""
