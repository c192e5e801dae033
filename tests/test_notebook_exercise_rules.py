"""A lesson with exercises has all that belongs to them; each rule in a case where it fires."""

import nbformat
import pytest

from gemma_edu.checks.exercise import EXERCISES, exercise
from tools import notebook_format, notebook_rules
from tools.notebook_exercise_rules import EXERCISE_RULES

LESSON = """\
# %% [markdown]
# ## Steps

# %%
from gemma_edu.jax_model import norms as jax_norms
from gemma_edu.numpy_model.norms import rms_norm

def mine(x):
    return x + 1

# %% tags=["contract"]
np.testing.assert_allclose(mine(x), rms_norm(x))
np.testing.assert_allclose(mine(x), jax_norms.rms_norm(x))

# %% [markdown]
# ## Exercises
#
# ### 1 · One step
#
# *Difficulty 2 of 5, 8 minutes.* Take a step.
#
# ```python
# def one_step(x):
#     ...
# ```
#
# <details><summary>Hint 1</summary>Walk.</details>
# <details><summary>Hint 2</summary>Add.</details>
# <details><summary>Hint 3</summary><code>x + …</code></details>

# %% tags=["solution", "hide-input"]
def one_step(x):
    ### BEGIN SOLUTION
    return x + 1
    ### END SOLUTION

# %% [markdown]
# The check.

# %%
check("one_step", one_step)

# %% [markdown]
# ## What breaks if…
#
# **1.** <details><summary>Answer</summary>a</details>
# **2.** <details><summary>Answer</summary>b</details>
# **3.** <details><summary>Answer</summary>c</details>
"""


@pytest.fixture
def one_step():
    """The exercise of the lesson above, known for one test."""

    def one_step(x):
        """Add one."""
        return x + 1

    yield exercise(lesson="03_steps", cases=lambda random: [(1,), (2,)])(one_step)
    del EXERCISES["one_step"]


def problems(tmp_path, text):
    """What the rules say about a lesson of this text; the other rules of the tool are not asked."""
    source = tmp_path / "03_steps.py"
    source.write_text(text, encoding="utf-8")
    notebook = notebook_format.from_source(source)
    lesson = notebook_format.Lesson("03_steps", tmp_path, "", nbformat.from_dict(notebook), notebook)
    return "\n".join(message for rule in EXERCISE_RULES for message in rule(lesson))


def test_a_complete_lesson_breaks_no_rule(tmp_path, one_step):
    assert problems(tmp_path, LESSON) == ""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2 of 5, 8 minutes", "high", "'One step' does not say '*Difficulty"),
        ("```python", "```", "'One step' has no skeleton"),
        ("Hint 2", "Hint", "'One step' needs 3 hints"),
        ('"solution", "hide-input"', '"solution"', "'One step' has no folded solution"),
        ("### END SOLUTION", "", "'One step' has no folded solution"),
        ('check("one_step", one_step)', "one_step(1)", "'One step' needs one cell with one check"),
        ('check("one_step", one_step)', 'check("no_step", one_step)', "but gemma_edu.checks has ['one_step']"),
        ("allclose(mine(x)", "allclose(rms_norm(x)", "no cell tagged contract calls a function that the"),
        ("jax_norms.rms_norm(x)", "mine(x)", "no cell tagged contract uses anything of gemma_edu.jax_model"),
        ("rms_norm(x))\nnp", "mine(x))\nnp", "no cell tagged contract uses anything of gemma_edu.numpy_model"),
        ('"contract"', '"other"', "no cell tagged contract calls a function"),
        ("np.testing.assert_allclose", "print", "a cell tagged contract asserts nothing"),
        ("## What breaks if…", "## Quiz", "0 cells with a heading '## What breaks if…'"),
        ("<details><summary>Answer</summary>c</details>", "c", "the quiz has 2 folded answers"),
    ],
)  # fmt: skip
def test_each_rule_fires(tmp_path, one_step, old, new, message):
    assert old in LESSON
    assert message in problems(tmp_path, LESSON.replace(old, new))


SLIDER = """\
# %%
def draw(angle):
    return angle

draw(70)

# %% tags=["nbval-skip"]
from ipywidgets import interact

@interact(angle=(0, 360))
def turn(angle=70):
    draw(angle)
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [("    draw(angle)", "    print(angle)"), ("draw(70)", ""), ("from ipywidgets import interact", "")],
)
def test_only_sliders_of_figures_are_never_run(tmp_path, old, new):
    assert problems(tmp_path, SLIDER) == ""
    assert "which is for sliders" in problems(tmp_path, SLIDER.replace(old, new))


def test_a_lesson_without_checked_exercises_is_left_alone(tmp_path):
    assert problems(tmp_path, "# %% [markdown]\n# ## Steps\n") == ""


def test_the_tool_uses_these_rules():
    assert set(EXERCISE_RULES) <= set(notebook_rules.RULES)
