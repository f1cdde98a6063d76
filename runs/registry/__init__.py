"""The registered model: its versions, its champion, its model card."""
