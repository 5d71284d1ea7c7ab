"""Questions about documents as a whole, and their answers."""
