"""The Faust agents: one for event topics, one for the pages topic. They hand chunks to the world and acknowledge them.

May import stream.world and stream.transport.
"""
