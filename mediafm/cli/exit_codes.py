"""What a verb's exit code says: 0 all well (or titles quarantined), and the two below."""

from __future__ import annotations

EXIT_USAGE = 2
"""Wrong usage, or what was asked for is not there."""
EXIT_FAILED = 3
"""Some titles failed, or stored files are not what the ledger says."""
