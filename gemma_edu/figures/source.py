"""The package's own code, shown where a lesson has just derived it."""

import inspect
from collections.abc import Callable


def show_source(*functions: Callable) -> None:
    """Display functions as they stand in the installed package, one after another."""
    from IPython.display import Markdown, display  # only notebooks need IPython

    source = "\n\n".join(inspect.getsource(function) for function in functions)
    display(Markdown(f"```python\n{source}```"))
