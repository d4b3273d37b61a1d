"""Where a title is cut: the detector interface, its implementations, and the pass that applies one."""
