"""The command line `smart`: one module a command, imported when that command runs, so that `smart --help` stays quick.

May import everything of ours (stream, serving, processors, schemas); nothing of ours may import it.
Exit codes: 0 done, 1 failed, 2 wrong use (unknown option, bad value, bad setting).
"""
