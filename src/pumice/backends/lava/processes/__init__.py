"""Lava processes and their models, nothing else: Lava executes every file in this folder when it compiles one."""
