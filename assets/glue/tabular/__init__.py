"""What the Glue jobs share: the contract, the storage, and reading CSV into Spark without trusting it."""
