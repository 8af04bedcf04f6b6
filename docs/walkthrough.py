# %% [markdown]
# # From a file to a model you can take away
#
# The whole way with `loralab.Lab`, in a notebook: read examples, train, read the verdict, take the result away in every form there is,
# and see what each form costs in quality. Everything runs on this computer. On two quiet cores it takes about ten minutes.
#
# This notebook is made from `docs/walkthrough.py` (`python -m benchmarks.make_walkthrough`).

# %%
from loralab import Lab
from loralab.lab import against_size

lab = Lab()  # the workspace: LORALAB_HOME, or LoRALab in your home folder

# %% [markdown]
# ## The examples
#
# Any file with examples will do. This one comes along: messages of a bank's customers, each with what it is about.

# %%
messages = next(sample for sample in lab.samples() if sample.name == "customer_messages").path
profile = lab.profile(messages)
print(profile.n_kept, "examples,", profile.n_heldout, "of them kept aside;", len(profile.labels), "kinds")
print(profile.examples[0].messages[0].content, "->", profile.examples[0].messages[1].content)

# %% [markdown]
# ## The plan
#
# Whatever you do not say is chosen for these examples and this computer, each with its reason.

# %%
proposal = lab.propose(profile, epochs=4, learning_rate=0.002)
print(proposal.reasons["rank"])
print(proposal.footprint.words)

# %% [markdown]
# ## Three lines to a verdict
#
# `fit` reads, plans, trains and judges. In a notebook you see it learn; the run goes on when you close the notebook.

# %%
run = lab.fit(messages, epochs=4, learning_rate=0.002)
run

# %%
run.predict(["My card has not come yet", "How do I change my PIN?"])

# %% [markdown]
# ## Take it away, in every form
#
# Each form is asked the same as what was trained before you get it: “proven” means that it answers alike. What a form costs in quality
# is measured in its own program, on the examples that were kept aside.

# %%
forms = [offer for offer in lab.offers(run.id) if offer.format in ("gguf", "onnx") and not offer.problem]
taken = [run.export(offer.format, offer.variant) for offer in forms]
[(one.format, one.variant, one.parity) for one in taken]


# %%
def right(export: str) -> float:
    """Share of the held-out examples that an export gets right, in its own program."""
    lab.run(lab.evaluate(export)).wait()
    return next(score["after"] for score in lab.judgement(export)["scores"] if score["name"] == "right")


points = [(f"{one.format} {one.variant}".strip(), one.bytes, right(one.export)) for one in taken]
against_size(points, "share right")

# %% [markdown]
# ## Where to go from here
#
# `lab.templates("what it should do")` finds a recipe to begin with; `lab.save_template(run.id, "mine.yaml")` makes one of this run;
# `lab.deploy` lets other programs ask it. All calls are in `docs/lab.md`.
