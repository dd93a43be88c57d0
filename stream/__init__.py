"""What moves: transport, agents, tables, transactions, clock, metrics and logs. The shell around the core.

May import processors and schemas; never serving, and never the command line (stream.cli), which stands above it.
One step a file; state is explicit and time is handed in.
"""
