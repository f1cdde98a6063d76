"""From pixels to an embedding; the only place that builds networks."""
