"""Runs the example given on standard input as an interactive session would: `async for` may stand alone."""
import ast
import asyncio
import inspect
import sys

code = compile(sys.stdin.read(), "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
names = {"__name__": "__main__"}
exec("from abstractcore import DownloadStatus, download_model", names)
answer = eval(code, names)
if inspect.iscoroutine(answer):
    asyncio.run(answer)
