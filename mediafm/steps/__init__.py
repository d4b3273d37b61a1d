"""The steps of the graph as the library knows them: find what a title lacks, make it, write it, record it.

Dagster's assets and a notebook go through the same doors. This room stands above every other room but the CLI.
"""
