"""`python -m mediafm_pipelines`: the same as `mediafm`."""

from mediafm_pipelines.cli import main

if __name__ == "__main__":
    main()
