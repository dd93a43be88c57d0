"""What is said: events, factor records, control records, topics, settings and metrics, as typed structs and plain data.

May import the standard library, msgspec and pydantic; nothing of ours, no Kafka, no clock.
Everybody may import it. JSON Schemas and reference pages are generated from here, never written twice.
"""
