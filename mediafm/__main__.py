"""`python -m mediafm`: the library's verbs, without Dagster."""

from mediafm.cli.main import main

if __name__ == "__main__":
    main()
