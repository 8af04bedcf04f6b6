"""The words of training, explained to a person who cannot program. Invariant: each entry says what the thing is and what it does to a
run, in short sentences, and names no number of any run.
"""

from __future__ import annotations

import re

# name: other names it goes by; below it the explanation
_TEXT = """
learning rate: learn rate, lr, step size
    The learning rate says how big each correction is. Too big, and the model forgets how to write. Too small, and nothing changes. A
    value from 0.0001 to 0.0003 suits most runs of this kind.
loss: training loss, the losses
    The loss says how surprised the model is by the right answer. Zero would mean no surprise at all. Lower is better, but only on the
    same examples: a loss of one data set says little about another.
held-out loss: heldout loss, validation loss, eval loss, val loss, test loss
    The held-out loss is the loss on examples the model never learns from. It shows what the model can do with new questions. If it rises
    while the other loss falls, the model learns by heart.
held-out examples: heldout examples, held out examples, validation set, test set, held-out, heldout
    Held-out examples are kept aside and never learned from. They are the test: only what the model gets right there counts.
epoch: epochs, round over the examples, rounds
    An epoch is one round over all examples. More rounds teach more, up to a point. After that the model learns the examples by heart.
update: step, steps, updates, training step
    An update is one correction of the adapter. It looks at a few examples and changes the numbers a little.
batch size: batch, effective batch, examples per update
    The batch size is how many examples go into one correction. More of them make each correction surer, but there are fewer corrections.
examples at once: micro batch, micro-batch, microbatch
    This is how many examples are computed at the same time. It changes memory and speed, never the result.
adapter: lora, lora adapter, low rank adaptation
    An adapter is a small add-on to the model. Only the adapter learns; the model stays as it was. This is why it is quick and the file is
    small. LoRA is the name of the method.
rank: lora rank
    The rank is how much the adapter can learn. More is not always better: it needs more memory and learns by heart sooner.
alpha: lora alpha
    Alpha says how strongly the adapter acts: its strength is alpha divided by the rank. If you raise it, corrections get bigger, too.
overfitting: overfit, over-fitting, memorising, memorizing, learning by heart
    Overfitting means learning by heart. The model knows its own examples better and better, and new questions worse and worse. The
    held-out loss shows it: it rises while the other falls.
deployment: deployments, deployed, frozen, deploy
    A deployment is a run frozen as it is now, so that others can use it. It answers the same for ever, also when the run is deleted.
link: links, share link, sharing link, make a link
    A link is an address you give to somebody, who can then ask what you made. It is open for as long as you choose, and you can close it.
token: tokens
    A token is a piece of text: a short word or a part of a longer one. Models read and write token by token.
gradient: gradient norm, grad norm, gradients
    The gradient says in which way the numbers of the adapter should move, and how strongly. If it jumps up, something is hard to learn.
gradient clipping: clipping, max grad norm
    Clipping makes a correction shorter that would be too big. It protects the run from one strange example.
warm-up: warmup, warm up
    Warm-up is a gentle start. The learning rate rises from zero, so that the first corrections do no harm.
checkpoint: safety copy, checkpoints
    A checkpoint is a safety copy of the run. If the computer stops, the run can go on from there.
base model: foundation model, starter model
    The base model is the model before your training. It has read a lot of text already. Your examples teach it your task.
fine-tuning: finetuning, fine tuning, training
    Fine-tuning means teaching a model that can already write a task of your own, with examples of it.
precision: fp16, bf16, fp32, half precision
    Precision says how exactly numbers are kept. Less exact numbers need less memory and are often quicker. Too coarse, and big numbers
    no longer fit.
dropout:
    Dropout switches a part of the adapter off at random while it learns. It helps against learning by heart.
weight decay:
    Weight decay pulls the numbers of the adapter gently towards zero. It helps a little against learning by heart.
chat template: template, chat format
    The chat template marks who speaks and where an answer ends. If it does not fit the model, the model may never stop writing.
seed: random seed
    The seed fixes everything that is left to chance. The same seed gives the same run.
gguf: quantised file, quantization, quantisation
    GGUF is a file for programs like Ollama and LM Studio. The numbers can be stored coarsely in it, so that the file gets small.
verdict: judgement
    The verdict compares the model before and after on held-out examples. It says “better” only if chance is a poor explanation.
divergence: diverge, diverged, running away, ran away
    Divergence means that the training ran away: each correction was too big, and the next had to repair it with a bigger one.
nan: not a number, inf, infinity, non-finite
    NaN means “not a number”. It appears when numbers get too big to be stored. Such an update is skipped here, and the cause is looked
    for.
patience: early stopping
    Patience says how many tests in a row may bring no gain. After that the run ends early, and the best version is kept.
memory: vram, ram, graphics memory
    Memory is where the computer keeps what it is working with. Training needs room for the model and for what it keeps track of. Fewer
    examples at once need less.
interval: confidence interval
    An interval is a range. The true difference lies in it 95 times out of 100.
confusion table: confusion matrix
    The confusion table has a line for each right label and a column for each label given. A perfect sorter has numbers on the diagonal
    only.
false positive:
    A false positive is a message that was given a label although another one was right.
parameters: weights
    Parameters are the numbers a model is made of. A model with more of them knows more, and needs more memory and time.
licence: license
    The licence says what the makers of the model allow you to do with it.
learned: did it learn, learnt
    “Did it learn?” compares the model before and after on examples it never saw. Yes means that chance is a poor explanation for the
    difference. Whether the answers are any good is the other question.
usable: can i use it, can you use it, useful
    “Can you use it?” looks at the answers themselves: are they right, in the right language, made of real words, do they end, are they
    about the question? Where only a person can tell, it says “you decide”.
run: training run, runs
    A run is one training from start to result. Its settings, numbers and files stay together in a folder of its own.
plan: plans, the plan
    The plan is every setting of a run, chosen for your examples, the model and this computer. You can change each of them.
sample: samples, bundled sample
    A sample is a small set of examples that comes with the app, with a plan that is known to work.
quick look: quick
    A quick look is a short run, about a minute, to see whether the examples are read as you mean them. Its result proves little.
near copies: near copy, near duplicates, near-copies, duplicates
    Near copies are examples that differ by a word or two. If one is learned from and the other is in the test, the test proves nothing.
control: control run, shuffled answers, prove it
    A control learns from the same examples with the answers shuffled. If it does as well as the real run, nothing was really learned.
second opinion: judge model
    A second opinion is another model on this computer that compares answers. The result never rests on it.
chance: by chance, guessing
    Chance is what a result would be by guessing, for instance one in ten with ten labels. Only what is clearly above it counts.
varied words: variety, diversity
    Varied words says how rarely the answers repeat the same word pairs. If it falls, the answers all begin to sound alike.
fit: fits answers to questions, question fit
    Fit says how much more likely an answer is after its own question than after another one. Near zero, the question plays no part.
gallery: galleries, make a gallery
    A gallery shows several results side by side, each with its card, so that others can choose one. It is a folder you can pass on or put
    on the Hub.
trust: can this verdict be trusted, can it be trusted, trusted
    “Can this verdict be trusted?” holds the test itself up to a test: the same training on shuffled answers must not come out as better.
groups: group, in groups, by patient or source, by patient
    Groups are rows that belong together, such as the pictures of one patient. All of a group are learned from, or all are in the test:
    otherwise it would be asked about something it has seen.
saliency: saliency map, heat map, heatmap, where it looked
    Saliency shows where in a picture the model looked: what is marked brightly had the most say in its answer. It is a hint, not a proof.
recipe: recipes
    A recipe is a set of settings that is known to work for a kind of task. The plan begins with one and fits it to your examples.
pipeline: pipelines, whole way
    A pipeline is the whole way in one file, from examples to what is taken away. Only what changed is done again.
builder: data builder, build, documents builder, build data
    The builder makes questions and answers out of your documents. Every answer is quoted from them; no language model is asked.
writer: writers, who writes
    A writer is a language model of yours that writes more examples after yours. What it writes is checked, and never used for the test.
gate: gates, sift
    A gate is a check that made examples must pass: no copies, no refusals, nothing that does not stand in the document. What fails is in
    the bin, with the reason.
passage: passages
    A passage is a piece of a document that a question was made from. Its answer stands in it.
synthetic: synthetic rows, made rows, augmentation, augmented
    Synthetic rows were written by a model or a program, not by people. They can add variety; the test is always of real ones.
tailscale: tailnet
    Tailscale connects your own devices wherever they are, encrypted. With it they reach what you share, and nobody else does.
hub: hugging face, hugging face hub, publish, publishing
    The Hub is a place on the internet where models are published. Nothing goes there unless you say so, and you see before what will be
    visible.
card: model card
    The card of a model says what it was made from, what it can do and how that was tested.
trial: trying first, try first, try what helps, pilot, pilots
    To try first means: each change that might help is a short training, held against your run on the same test. You are told what was
    seen, and nothing is changed by it.
label: labels, class, classes, category, categories
    A label is the answer where there are only a few possible ones, such as “billing” or “delivery”.
search baseline: look-up, lookup, a search through your examples, search
    A search looks up the most similar example and takes its answer. Where that does as well as the training, the training adds little.
perplexity:
    Perplexity is the loss put another way: between how many words the model is torn. Lower is better.
"""


def _entry(words: str) -> tuple[str, tuple[str, ...], str]:
    head, *lines = words.splitlines()
    name, _, others = head.partition(":")
    return name, tuple(other.strip() for other in others.split(",") if other.strip()), " ".join(line.strip() for line in lines)


ENTRIES = tuple(_entry(words) for words in re.split(r"\n(?=\S)", _TEXT.strip()))
NAMES: dict[str, str] = {name: entry[0] for entry in ENTRIES for name in (entry[0], *entry[1])}
MEANINGS: dict[str, str] = {entry[0]: entry[2] for entry in ENTRIES}
