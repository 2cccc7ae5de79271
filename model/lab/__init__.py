"""The background and colour lab: the older, explainable ways of judging a photo, beside the network.

    python -m model.lab extract photos/ --out runs/lab        masks, backgrounds alone, their colours as
    numbers python -m model.lab train --task background …             classical models on those numbers
    python -m model.lab compare …                             the table of all models, the network's heads
    included

One file, one subject: `colour` (CIELAB and the rules for white and cream), `masks` (rembg), `backgrounds` and
`measures` (numbers about a photo), `store` (the folder that `extract` writes), `features` and `tasks` (what
a model sees and what it should say), `classical` and `cnn` (the models), `judges` (anything that answers,
the network included), `evaluate`, `compare`, `report`, `explain` (what they are worth), `download`,
`extract`, `filter`, `measure`, `colours`, `train` (the commands). `docs/lab.md` explains the rules and
shows the results.

Nothing here is imported by the night.
"""


class LabError(Exception):
    """Something that the person at the keyboard can put right; the message is a whole sentence that says
    how.
    """
