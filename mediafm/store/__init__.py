"""Files at rest: values, the ledger of work, pointers, and the SQL views over them."""
