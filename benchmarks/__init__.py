"""What MediaFM measures about itself: one command, one table, ratios taken in one run."""
