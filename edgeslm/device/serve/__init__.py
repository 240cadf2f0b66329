"""A bundle behind HTTP, with the routes that clients of OpenAI's API know. Needs starlette, uvicorn, prometheus-client.

`command.py` and `flags.py` are light; everything else is imported once a server is asked for.
"""
