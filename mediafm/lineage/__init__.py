"""Who made what from what: fingerprints, records of work, and the audit that answers both ways."""
