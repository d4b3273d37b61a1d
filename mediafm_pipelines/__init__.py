"""MediaFM's Dagster code location: the graph, over the pure library `mediafm`. Only this package imports Dagster."""
