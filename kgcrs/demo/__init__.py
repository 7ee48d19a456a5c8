"""Talking with a trained agent: the pure session, its reasons, and a terminal around them."""
