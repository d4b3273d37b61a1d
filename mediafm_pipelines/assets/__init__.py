"""The assets, by group. A body opens the workspace, calls one step of the library, and returns its report."""
