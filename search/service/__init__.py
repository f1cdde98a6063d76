"""The page and the HTTP service."""
