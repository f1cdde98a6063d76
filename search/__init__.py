"""The search tool: an index of photos that grows and forgets, a page, and a service."""
