"""What `make` calls: all that a developer, a demo or a test run needs around the addon. The addon needs none of it.

`__main__.py` reads from the top: settings → environment → command. Whatever runs before the virtual environment exists
(`settings`, `output`, `processes`, `stamps`, `package_index`, `environment`) is written for any Python from 3.9 on and
imports the standard library only; the rest runs inside the environment.
"""
