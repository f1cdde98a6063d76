"""What the rows of the parquet files mean, and how to read them."""
