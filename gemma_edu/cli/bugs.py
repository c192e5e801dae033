"""`gemma-edu bugs`: the bug museum in a terminal."""

import argparse
import textwrap

SUMMARY = "the bug museum: real bugs of real Gemma ports, measured on your machine's model"
DESCRIPTION = """\
Without a name, list the exhibits. With one, show what happened, right lines and wrong ones, why tests missed it and
what catches it, and measure what the bug does to Gemma 3 270M's reading of a paragraph. Lesson 13 is the guide."""
EXAMPLES = """\
examples:
  gemma-edu bugs
  gemma-edu bugs interleaved_rope
"""
WIDTH = 100


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The name of an exhibit."""
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="the exhibit to look at; all are listed without"
    )


def run(options: argparse.Namespace) -> int:
    """Print the list, or one exhibit; the exit status.

    Raises:
        UserError: there is no such exhibit, or no model to measure it on.
    """
    from gemma_edu import museum
    from gemma_edu.cli.user_error import explained

    if options.name is None:
        width = max(map(len, museum.EXHIBITS))
        for name, exhibit in museum.EXHIBITS.items():
            print(f"{name:{width}}  {exhibit.title}")
        return 0
    with explained():
        exhibit = museum.exhibit(options.name)
    print(label(exhibit))
    print("\nmeasuring …", flush=True)
    for line in measured(exhibit):
        print(line)
    return 0


def label(exhibit) -> str:
    """What stands beside an exhibit, as text."""
    parts = {
        "happened": exhibit.happened,
        "hidden": f"{exhibit.hiding.value}. {exhibit.missed}",
        "caught": exhibit.caught,
        "lesson": exhibit.lesson,
    }
    code = [f"  + {line}" for line in exhibit.right.split("\n")]
    code += [f"  - {line}" for line in exhibit.wrong.split("\n")]
    text = [
        textwrap.fill(f"{what:9} {words}", WIDTH, subsequent_indent=" " * 10) for what, words in parts.items()
    ]
    return "\n".join([f"{exhibit.title} ({exhibit.name})", *code, *text])


def measured(exhibit) -> list[str]:
    """What the real model makes of it, in a short test and where the bug shows; on a toy where only that can.

    Raises:
        UserError: the weights are not installed.
    """
    import jax

    from gemma_edu import checkpoints, museum
    from gemma_edu.cli.user_error import explained
    from gemma_edu.museum.measure import on_toy

    jax.config.update("jax_default_matmul_precision", "highest")
    with explained():
        meter = museum.Meter(checkpoints.load("gemma3-270m"))
    scenes = dict.fromkeys((museum.SHORT, exhibit.scene))
    lines = [f"{_described(scene):42} {_result(lambda s=scene: meter(exhibit.port, s))}" for scene in scenes]
    if exhibit.toy is not None:
        lines.append(f"{exhibit.toy.name:42} {_result(lambda: on_toy(exhibit.port, exhibit.toy))}")
    return [*lines, exhibit.unseen] if exhibit.unseen else lines


def _described(scene) -> str:
    """A scene in a few words."""
    length = f", first {scene.tokens} tokens" if scene.tokens else ""
    return f"{scene.text}{length}, from position {scene.start}, {scene.dtype}"


def _result(measure) -> str:
    """An effect in a line, or the error in which the port ended."""
    try:
        effect = measure()
    except (TypeError, ValueError) as error:
        return f"does not run: {str(error).splitlines()[0]:.80}"
    if effect.change == 0:
        return f"perplexity {effect.perplexity:.4g}; not one bit of a logit differs"
    where = f"prediction {effect.divergence}" if effect.divergence else "none"
    return (
        f"perplexity {effect.perplexity:.4g}, right {effect.right:.4g}; first other choice: {where}; "
        f"cosine {effect.cosine:.5f}"
    )
