"""State that is recovered from changelogs: what a table is to Faust, and where its records go."""
