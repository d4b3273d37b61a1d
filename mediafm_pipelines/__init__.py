"""MediaFM's Dagster code location: the graph, over the pure library `mediafm`. Only this package imports Dagster."""

import warnings

import dagster as dg

# `backfill_policy=` on assets is beta in 1.13; the pin in constraints.txt is what protects us from its changing.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
