"""`torchrun` that ends with its parent: `python -m mediafm_pipelines.train_agent ARGUMENTS OF TORCHRUN`.

Belongs here: nothing else. Its ranks end with it in turn, so that a killed step leaves none behind.
"""

import sys

from mediafm.train.lifeline import end_with_parent


def main() -> None:
    end_with_parent()  # before torch is imported, which takes seconds
    from torch.distributed import run

    run.main(sys.argv[1:])


if __name__ == "__main__":
    main()
