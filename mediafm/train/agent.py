"""`torchrun` that ends with its parent: `python -m mediafm.train.agent ARGUMENTS OF TORCHRUN`.

Its ranks end with it in turn, so that a launcher that is killed leaves none behind.
"""

from __future__ import annotations

import sys

from mediafm.train.lifeline import end_with_parent


def main() -> None:
    """As `torchrun`."""
    end_with_parent()  # before torch is imported, which takes seconds
    from torch.distributed import run

    run.main(sys.argv[1:])


if __name__ == "__main__":
    main()
