"""What is shown: readers of the serving store.

May import processors and schemas; never stream.
Only the command line (stream.cli) and its own processes use it.
"""
