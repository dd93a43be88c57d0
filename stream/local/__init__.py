"""The whole stack on one machine with nothing but Python: Apache Kafka, Valkey, workers; and the fixture of the tests.

`stack.LocalStack` is the door. Behind it: `jars` and `java` (what the broker runs from), `kafka` and `store` (their
settings and readiness), `ports`, `folder` (the data folder, its lock and addresses.json), `programs` and `children`
(what is supervised, and how it is told), `supervise` and `lifeline` (processes of their own).
May import processors and schemas; only the command line and the tests import it.
"""
