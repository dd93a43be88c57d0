"""The Faust agents: of event topics, of profiles, and of the pages topic. They hand chunks to the world and acknowledge
them.

May import stream.world and stream.transport.
"""
