"""How fast it is: one module a question, each with a baseline of the same run. `python -m bench` asks them all.

May import everything; nothing imports it. Results are JSON in `bench/results`, the page there is made of them.
"""
