"""The HTTP server: an OpenAI-compatible API, the documents behind it, and a page."""
