# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %%
#| default_exp ranks

# %% [markdown]
# # Several processes
#
# > The tokens of all processes compete, and every process keeps the same memory.

# %%
#| hide
from nbdev.showdoc import *

# %%
#| export
import os, warnings
from contextlib import contextmanager
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from accelerate import DistributedDataParallelKwargs
with warnings.catch_warnings():
    warnings.simplefilter('ignore', FutureWarning) # of PyTorch about fastai, each time it loads
    from fastai.distributed import DistributedTrainer # gives a Learner its `distrib_ctx`
from fastai.callback.core import Callback
from fastai.learner import AvgLoss, AvgMetric, Learner, ValueMetric
from fastai.torch_core import num_distrib

from ait_nb.core import require
from ait_nb.data import TensorDL
from ait_nb.topk import largest
from ait_nb.vit import FeedForward, SelfAttention
from ait_nb.workspace import Workspace, Writer

# %%
import tempfile

import matplotlib.pyplot as plt
import torch.nn.functional as F
from fastai.callback.training import GradientAccumulation
from fastai.data.core import TfmdDL
from fastai.metrics import RocAuc
from fastcore.test import expect_fail
from IPython.utils.capture import capture_output
from torch.multiprocessing import start_processes
from torch.nn.parallel import DistributedDataParallel
from torch.testing import assert_close

from ait_nb.ait import AiT, AiTConfig
from ait_nb.bottleneck import Competition, collect
from ait_nb.data import ImageSet, image_dls
from ait_nb.learner import History, ait_learner
from ait_nb.workspace import GlobalWorkspace

# %%
torch.set_num_threads(1) # tensors are tiny here, so more threads only wait for each other
warnings.filterwarnings('ignore', category=FutureWarning)

# %% [markdown]
# A batch that one GPU cannot hold, or not fast enough, is given to several. Each has a process of its own, called a *rank*, with a copy of the model and a share of
# the batch. PyTorch's `DistributedDataParallel` (DDP) averages the gradients of the ranks in each step. Where the images of a batch do not meet, nothing else is
# needed: the mean of the gradients is the gradient of the mean.
#
# In AiT they meet. $t = b \cdot n$ tokens compete for $k$ places, and what wins moves a memory that all of them read. $b$ is the batch: but *whose* batch?
#
# ## Two processes in a notebook
#
# No GPU is needed to find out. Processes can exchange tensors on a CPU too, by a library called gloo. `on_ranks(f)` forks this very notebook, calls `f` in each
# process, and brings back what each returns.

# %%
def on_ranks(f, n=2):
    with tempfile.TemporaryDirectory() as folder:
        def work(rank):
            os.environ |= dict(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(n), LOCAL_WORLD_SIZE=str(n))
            dist.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=n)
            torch.save(f(), f'{folder}/{rank}')
            dist.destroy_process_group()
        start_processes(work, nprocs=n, start_method='fork')
        return [torch.load(f'{folder}/{rank}', weights_only=False) for rank in range(n)]

# %%
#| export
def this_rank() -> int: # from 0
    "Which process this is."
    return dist.get_rank() if dist.is_initialized() else 0

def n_ranks() -> int: # 1 where there is but one
    "How many processes train together."
    return dist.get_world_size() if dist.is_initialized() else 1

# %%
assert on_ranks(lambda: (this_rank(), n_ranks())) == [(0, 2), (1, 2)]
this_rank(), n_ranks()

# %% [markdown]
# A small AiT in float64, so that rounding can hide nothing, and a few batches of noise. `steps` trains a model and notes all gradients, balance losses and
# memories on the way. A rank sees its share of every batch.

# %%
def toy(**kw):
    torch.manual_seed(0)
    sizes = dict(image_size=16, patch_size=4, dim=24, heads=2, mlp_dim=48, slots=8, memory_dim=8, memory_heads=2, bottleneck=20, depth=2)
    return AiT(AiTConfig(**(sizes | kw))).double()

batches = [(torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(i)).double(), torch.arange(12) % 10) for i in range(6)]
def share(x): return x.chunk(n_ranks())[this_rank()]
def memories(model): return torch.stack([m.memory for m in model.modules() if isinstance(m, Workspace)])

# %%
def steps(model, forward):
    opt, seen = torch.optim.AdamW(model.parameters(), 1e-2), []
    for x, y in batches:
        out = forward(share(x))
        (F.cross_entropy(out.logits, share(y)) + out.balance).backward()
        grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        seen.append(dict(grads=grads, balance=out.balance.detach(), memory=memories(model)))
        opt.step(); opt.zero_grad()
    return seen

# %% [markdown]
# ## What DDP alone does
#
# The model is wrapped in DDP, on two ranks, and nothing else is done. DDP can copy the buffers of rank 0 to all others before each forward, and does so by default
# (`broadcast_buffers=True`). We try both.

# %%
def ddp(model, **kw): return DistributedDataParallel(model, **kw)
def alone(**kw): return on_ranks(lambda: steps(m := toy(**kw), m), n=1)[0]
def plain_ddp(broadcast): return on_ranks(lambda: steps(m := toy(), ddp(m, broadcast_buffers=broadcast)))

one, kept, copied = alone(), plain_ddp(False), plain_ddp(True)
def gap(a, b): return [((p['memory'] - q['memory']).norm() / q['memory'].norm()).item() for p, q in zip(a, b)]

# %%
#| label: fig-drift
#| fig-cap: "How far the memory of a rank is from that of the other rank, and from that of one process with the whole batch, after each step with DDP alone."
#| fig-alt: "All four curves are far above zero from the first step on. Copying buffers makes the ranks no more alike after a step, and leaves both away from the single process."
fig, ax = plt.subplots(figsize=(5, 2.6))
for found, name, colour in ((kept, 'nothing copied', 'tab:blue'), (copied, 'buffers copied', 'tab:orange')):
    ax.plot(range(1, 7), gap(found[1], found[0]), 'o-', color=colour, label=f'{name}: rank 1 from rank 0')
    ax.plot(range(1, 7), gap(found[0], one), 's--', color=colour, label=f'{name}: rank 0 from one process')
ax.set(xlabel='step', ylabel='distance, relative', ylim=(0, 0.28))
ax.legend(loc='upper left', fontsize=7);

# %% [markdown]
# Left to themselves the ranks write different memories, and go on with them: two models that share their weights. With the copies every step begins with the same
# memory, but it is the one that rank 0 wrote. What the tokens of rank 1 wrote is overwritten: half of the batch has no say. Neither is what one process would
# have written.

# %%
assert min(gap(kept[1], kept[0])) > 1e-2 and min(gap(copied[1], copied[0])) > 1e-2 and min(gap(copied[0], one)) > 1e-2

# %% [markdown]
# ## Who competes?
#
# Two answers keep the memories equal.
#
# - **Each rank for itself.** Its own tokens compete for $k/N$ places, each of $N$ ranks hears its own winners, and what they heard is averaged.
# - **All tokens together.** The $k$ largest of all scores win, wherever their tokens are.
#
# The first is an approximation of one process with the whole batch: the winners need not be spread evenly. We put two shares side by side in one process and
# count. The tokens of an image are alike, as in real images, so some images have more to say to a slot than others.

# %%
torch.manual_seed(0)
asking = Competition(dim=32, memory_dim=16, memory_heads=2, bottleneck=32)
priors, tokens = F.normalize(torch.randn(8, 16), dim=-1), torch.randn(16, 1, 32) + torch.randn(16, 16, 32)
shares, values = tokens.flatten(0, 1).chunk(2), torch.randn(256, 2, 16)

with torch.no_grad():
    gates, index = asking.compete(priors, tokens.flatten(0, 1))
    asking.bottleneck = 16
    halves = [asking.compete(priors, part) for part in shares]

# %%
picked = torch.cat([halves[0][1], halves[1][1] + 128], -1)
common = (index[...,:,None] == picked[...,None,:]).any(-1).float().mean().item()
together = collect(gates, index, values)
apart = sum(collect(*half, v) for half, v in zip(halves, values.chunk(2)))/2
first = (index < 128).float().sum(-1).flatten()
dict(common=common, heard_differs=((apart - together).norm() / together.norm()).item(), of_32_in_first_half=(first.min().item(), first.max().item()))

# %% [markdown]
# A slot may find most of its winners in one half. Each half for itself has to hand in its fixed number, so some of them are not among the best, and what is heard
# is another thing. The model would depend on how many GPUs trained it. Batch size is part of AiT; the number of processes should not be.

# %%
assert common < 0.95 and first.min() < 16 < first.max()

# %% [markdown]
# So all tokens compete together. And that is cheap, since the $k$ largest of all are among the $k$ largest of each share:
#
# $$\operatorname{top}_k\big(A^{(1)} \cup \dots \cup A^{(N)}\big) = \operatorname{top}_k\big(\operatorname{top}_k A^{(1)} \cup \dots \cup \operatorname{top}_k A^{(N)}\big).$$

# %%
A = torch.randn(8, 256)
candidates = torch.cat([part.topk(32).values for part in A.chunk(2, -1)], -1)
assert_close(candidates.topk(32).values, A.topk(32).values, rtol=0, atol=0)

# %% [markdown]
# No token travels. A rank sends the scores of its $k$ best for each head and slot, and which of its tokens they are. Then every rank knows all winners and their gates. It adds up
# the values of *its own* winners, and the sums of the ranks are added: $h \cdot m \cdot r$ numbers, while the winners' values would be $h \cdot m \cdot k \cdot r$. What a rank sends at the
# published sizes, in bytes for each layer and step, beside its gradients:

# %%
h, m, k, r, d = 8, 32, 512, 32, 768
dict(scores_and_places=4*2*h*m*k, sums=4*h*m*r, values_instead=4*h*m*k*r, gradients_of_a_layer=4*(12*d*d + d*h*r))

# %% [markdown]
# ## Exchanges with a way back
#
# Two exchanges, then: *gather* and *sum*. Gradients have to find their way back through both. DDP averages over ranks, so what it wants from each rank is its part of
# the gradient of the **sum** of all losses. For the sum that is a sum again: what every rank heard is in the loss of every rank. For the gather, a rank collects from all
# what they say about its own slice.

# %%
#| export
class Summed(torch.autograd.Function):
    "The sum over ranks; its gradient is summed in the same way."
    @staticmethod
    def forward(x):
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def setup_context(ctx, inputs, output): pass

    @staticmethod
    def backward(ctx, grad): return Summed.forward(grad)

# %%
#| export
class Gathered(torch.autograd.Function):
    "What all ranks have, along a new first axis; `alike` where all of them do the same with it."
    @staticmethod
    def forward(x, alike):
        found = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(found, x.contiguous())
        return torch.stack(found)

    @staticmethod
    def setup_context(ctx, inputs, output): ctx.alike = inputs[1]

    @staticmethod
    def backward(ctx, grad):
        if ctx.alike: return grad[dist.get_rank()]*dist.get_world_size(), None
        return Summed.forward(grad)[dist.get_rank()], None

# %% [markdown]
# `alike` saves the exchange on the way back. With `write="ema"` the gates have a single use that is differentiated, the balance loss. Every rank knows all gates and
# computes the whole of it. So all say the same about a slice, and the sum is $N$ times what this rank says itself.
#
# Both against the derivatives by hand, with all parts in one process. The loss of rank $i$ here is $i+1$ times a function of everything.

# %%
parts = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).double()
def exchanged():
    x, y, z = (share(parts)[0].clone().requires_grad_() for _ in range(3))
    unlike = (this_rank() + 1)*(Gathered.apply(x, False).prod(0).sum() + Summed.apply(y).sin().sum())
    (unlike + Gathered.apply(z, True).prod(0).sum()).backward()
    return x.grad, y.grad, z.grad

by_product, by_sum = parts.flip(0), parts.sum(0).cos().expand(2, -1)
for rank, (gathered, summed, alike) in enumerate(on_ranks(exchanged)):
    assert_close(gathered, 3*by_product[rank]); assert_close(summed, 3*by_sum[rank]); assert_close(alike, 2*by_product[rank])

# %% [markdown]
# ## The write of several ranks
#
# A writer looks at all tokens in four places. There it asks the others; everything else is inherited. Tokens are numbered through: those of rank $i$ begin at $i \cdot t$, so gates and winners mean what they mean to
# one process, and the balance loss is that of one process, with $N \cdot t$ tokens. In evaluation nothing is written, so every rank is alone.

# %%
#| export
class RanksWriter(Writer):
    "A write for which the tokens of all ranks compete; each has to bring as many."
    def compete(self, priors, tokens):
        best, index = self.strongest(priors, tokens)
        if not self.training: return best.softmax(-1), index
        told = Gathered.apply(torch.stack([best, index.to(best.dtype)]), not self.through) # a float32 holds whole numbers up to 2²⁴
        first = len(tokens)*torch.arange(len(told), device=best.device)
        index = told[:,1].detach().long() + first[:,None,None,None]
        best, index = (torch.einsum('nhmk->hmnk', x).flatten(2) for x in (told[:,0], index))
        _, place = largest(best.detach(), min(self.bottleneck or best.shape[-1], best.shape[-1]))
        return best.gather(-1, place).softmax(-1), index.gather(-1, place)

    def collect(self, gates, index, v):
        if not self.training: return super().collect(gates, index, v)
        mine = index // len(v) == dist.get_rank()
        return Summed.apply(super().collect(gates*mine, index % len(v), v))

    def balance(self, gates, index, t): return super().balance(gates, index, t*dist.get_world_size() if self.training else t)
    def dense(self, gates, index, t):
        if not self.training: return super().dense(gates, index, t)
        return super().dense(gates, index, t*dist.get_world_size()).split(t, -1)[dist.get_rank()]

# %% [markdown]
# A model that exists becomes one of several by changing the class of its writers, and turns back afterwards: weights, memory and their names stay what they are.
# Writing in evaluation cannot be shared, since the ranks need not have equally many test images.

# %%
#| export
@contextmanager
def compete_together(
    model:nn.Module, # holds any number of workspaces
):
    "Within, the tokens of all ranks compete where the model is trained."
    found = [m for m in model.modules() if isinstance(m, Workspace) and m.writer is not None]
    for ws in found: require(not ws.eval_write, 'eval_write', True, "False with several processes, which need not have equally many test images")
    before = [ws.rejoins for ws in found]
    for ws in found: ws.writer.__class__, ws.rejoins = RanksWriter, False
    try: yield
    finally:
        for ws, rejoins in zip(found, before): ws.writer.__class__, ws.rejoins = Writer, rejoins

# %% [markdown]
# ## Equal to one process
#
# Now the two ranks with half of each batch against one process with the whole batch: over all steps, gradients, balance loss and memory must agree in float64, for each way to write. And the memory of
# the ranks must be the same bit for bit. DDP runs as it is by default, without a search for unused parameters: those that never learn say so by `requires_grad`.

# %%
def with_ddp(model):
    with compete_together(model): return steps(model, ddp(model, broadcast_buffers=False, find_unused_parameters=False))

def same(found, whole, **tolerance):
    for ranks in zip(*found):
        assert all(torch.equal(r['memory'], ranks[0]['memory']) for r in ranks)
    for mine, theirs in zip(found[0], whole): assert_close(mine, theirs, **tolerance)

modes = [{}, dict(write='grad'), dict(bottleneck=None), dict(bottleneck=150), dict(slots=4), dict(read='attention'), dict(balance_weight=0), dict(write='none')]
for found, kw in zip(zip(*on_ranks(lambda: [with_ddp(toy(**kw)) for kw in modes])), modes): same(found, alone(**kw), rtol=0, atol=1e-10)
{'steps': len(batches), 'modes': len(modes)}

# %% [markdown]
# Nor need it be two.

# %%
same(on_ranks(lambda: with_ddp(toy()), n=3), one, rtol=0, atol=1e-10)

# %% [markdown]
# How much of this is owed to the competition being common, in numbers: the gradient of the first layer's $W^K$ in the last step, and the memory, against one process.

# %%
ours = on_ranks(lambda: with_ddp(toy()))
def far(found, name='blocks.0.workspace.writer.key.weight'):
    a, b = found[0][-1]['grads'][name], one[-1]['grads'][name]
    return dict(gradient=((a - b).norm() / b.norm()).item(), memory=gap(found[0], one)[-1])

{name: far(found) for name, found in (('DDP alone', kept), ('buffers copied', copied), ('one competition', ours))}

# %% [markdown]
# Gates, asked for in training, are those of the rank's own tokens. Over all ranks each slot hands out a mass of 1.

# %%
def asked():
    ws = toy().blocks[0].workspace
    y = torch.randn(6, 5, 24, generator=torch.Generator().manual_seed(0)).double()
    with compete_together(ws), torch.no_grad(): return ws(share(y), return_gates=True).gates, ws.eval()(y, return_gates=True).gates

(first, evaluated), (second, _) = on_ranks(asked)
assert first.shape == (2, 8, 15) and evaluated.shape == (2, 8, 30)
assert_close((first + second).sum(-1), torch.ones(2, 8).double())

# %% [markdown]
# In evaluation no rank waits for another. Here only rank 0 evaluates; if it asked for the others it would wait for ever.

# %%
def evaluates():
    model = toy().eval()
    with compete_together(model), torch.no_grad(): return model(batches[0][0]).logits if this_rank() == 0 else None

assert_close(on_ranks(evaluates)[0], toy().eval()(batches[0][0]).logits)
with expect_fail(ValueError, contains="eval_write=True: must be False with several processes"):
    with compete_together(toy(eval_write=True)): pass

# %% [markdown]
# One compiled graph holds the model with its exchanges. (PyTorch cuts the graph of a large model where DDP sends its gradients, so that computing and sending overlap. That is switched off here to see that nothing else cuts it.)

# %%
def compiled():
    torch._dynamo.config.optimize_ddp = False # one graph, whatever its size
    model = toy()
    model.compile(backend='aot_eager', fullgraph=True, dynamic=False) # fullgraph refuses any break
    return with_ddp(model)

same(on_ranks(compiled), one, rtol=0, atol=1e-10)

# %% [markdown]
# ## Longer steps, less memory
#
# **Gradient accumulation.** As in one process: a batch in two parts is two forwards, so two writes, each with a competition among the tokens that *all* ranks bring to that part. fastai's `GradientAccumulation(n_acc)` counts
# the images that pass through one process, so $N$ ranks that shall step as often as one get `n_acc` divided by $N$. The test is further down, with a Learner.
#
# **Activation checkpointing** keeps less for the way back and computes it a second time. A workspace must not be run twice: the second forward would be a second write (`07_workspace` measures what that
# spoils), and with several ranks a second exchange as well. Attention and feed-forward layers hold nearly all activations of a block, and they remember nothing. So these are
# recomputed, and the workspace is not.

# %%
#| export
def recompute(
    model:nn.Module, # changed in place; weights and their names stay
) -> nn.Module: # itself
    "Keep no activations of attention and feed-forward layers: the backward pass computes them again."
    for m in model.modules():
        if isinstance(m, (SelfAttention, FeedForward)): m.forward = partial(checkpoint, m.forward, use_reentrant=False)
    return model

# %% [markdown]
# The memory is written once for each step and the gradients are what they were, in one process and in two. What autograd keeps for the backward pass becomes less.

# %%
def recomputed(**kw): return on_ranks(lambda: with_ddp(recompute(toy(**kw))))

def bytes_kept(model):
    kept = {}
    def keep(x): kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes(); return x
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x): model(batches[0][0])
    return sum(kept.values())

same(recomputed(), one, rtol=0, atol=1e-10)
same(recomputed(write='grad'), alone(write='grad'), rtol=0, atol=1e-10)
less, more = bytes_kept(recompute(toy())), bytes_kept(toy())
assert less < 0.7*more
dict(usual=more, recomputed=less)

# %% [markdown]
# ## Through a Learner
#
# fastai trains on several ranks within `learn.distrib_ctx()`: Hugging Face's accelerate wraps the model in DDP, and every rank but the first falls silent. Around it a model with a memory and sets that are held whole
# on each device need a little more:
#
# - **The batch** is that of all ranks. Each draws the same order and takes its share of every batch (`09_data`), so together they see what one process sees, crops and mirror images included. fastai's own
#   way to divide a loader would repeat images where the last batch does not divide, and is kept out.
# - **The memory** of rank 0 is everyone's at the start of each epoch, whatever it was before: drawn, loaded, reset.
# - **Chance** beyond that, such as dropout, cutout and mixup, differs from rank to rank.
# - **Scores** are sums over the images of a rank, and the sums are added once an epoch. Every test image counts once. Nothing is exchanged while a rank evaluates.

# %%
#| export
class AcrossRanks(Callback):
    "One memory, different chance, and common scores for all ranks."
    order = 12 # after the memory is reset, before anything is recorded
    def before_fit(self):
        for m in self.recorder.metrics: require(isinstance(m, (AvgMetric, ValueMetric)), 'metrics', m.name, "averages over images where there are several processes")

    def before_train(self):
        for m in self.model.modules():
            if isinstance(m, Workspace): dist.broadcast(m.memory, 0)
        if this_rank(): torch.manual_seed((torch.initial_seed() + this_rank()*2**40) % 2**63)

    def sum(self, *values): return Summed.forward(torch.tensor(values, dtype=torch.float64, device=self.dls.device)).tolist()

    def after_train(self):
        if hasattr(self.learn, 'history'): self.history.total = self.sum(float(self.history.total))[0]/n_ranks()

    def after_validate(self):
        for m in [self.recorder.loss, *self.recorder.metrics]:
            if isinstance(m, (AvgLoss, AvgMetric)): m.total, m.count = map(torch.tensor, self.sum(float(m.total), m.count))

# %% [markdown]
# A process learns from its environment that it is not alone: `torchrun` and `accelerate launch` set `RANK`, `LOCAL_RANK` and `WORLD_SIZE`. It then has to meet the others, over NCCL where there are GPUs and gloo where
# there are none.

# %%
#| export
@contextmanager
def process_group(
    device:torch.device, # of this process
):
    "Within, the processes that were started together know each other; nothing happens where there is one."
    if num_distrib() < 2 or dist.is_initialized(): yield; return
    if device.type == 'cuda': torch.cuda.set_device(device)
    dist.init_process_group('nccl' if device.type == 'cuda' else 'gloo')
    try: yield
    finally: dist.destroy_process_group()

# %%
#| export
@contextmanager
def across_ranks(
    learn:Learner, # of `ait_learner`, with loaders of `image_dls`; the same on every rank
):
    "fastai's `distrib_ctx` for sets held whole and models with a memory; nothing happens where there is one process."
    if num_distrib() < 2: yield learn; return
    loaders, device = list(learn.dls), learn.dls.device
    for dl in loaders: require(isinstance(dl, TensorDL), 'dls', type(dl).__name__, "loaders of `image_dls` where there are several processes")
    require(learn.dls.train.bs % num_distrib() == 0, 'batch_size', learn.dls.train.bs, f"a multiple of the {num_distrib()} processes, which share it")
    settings = DistributedDataParallelKwargs(broadcast_buffers=False) # and no search for unused parameters
    with process_group(device), compete_together(learn.model), learn.distrib_ctx(sync_bn=False, cpu=device.type == 'cpu', mixed_precision='no', kwargs_handlers=[settings]):
        learn.distributed_trainer._wrap_dl = lambda dl: dl # is shared already
        for dl in loaders: dl.share = this_rank(), n_ranks()
        with learn.added_cbs(AcrossRanks()): yield learn
        for dl in loaders: dl.share = 0, 1

# %% [markdown]
# Stripes under noise, lying or upright, fine or broad: 96 pictures to train on, and 37 to test on, which no number of ranks divides. Four epochs, in float32, by one process and by two.

# %%
def stripes(n, seed):
    g = torch.Generator().manual_seed(seed)
    labels, at = torch.randint(4, (n,), generator=g), torch.arange(16)
    lines = torch.stack([(at//w % 2)[:,None].expand(16, 16) for w in (1, 2)]) # fine and broad
    kinds = torch.cat([lines, lines.mT])
    noise = torch.randint(-60, 61, (n, 3, 16, 16), generator=g)
    return ImageSet((90 + 50*kinds[labels][:,None] + noise).to(torch.uint8), labels, ('fine', 'broad', 'fine, upright', 'broad, upright'), (.5,)*3, (.25,)*3)

def learner(*cbs, bs=24, **kw):
    torch.manual_seed(0)
    model = AiT(AiTConfig(image_size=16, dim=24, heads=2, mlp_dim=48, slots=8, memory_dim=8, memory_heads=2, bottleneck=40, num_classes=4, **kw))
    return ait_learner(image_dls(stripes(96, 0), stripes(37, 1), bs, 'cpu', pad=2, flip=True, seed=0), model, lr=3e-3, cbs=[History(), *cbs])

# %%
def fitted(*cbs, **kw):
    learn = learner(*cbs, **kw)
    with across_ranks(learn), capture_output(): learn.fit(4)
    return learn.history.epochs, memories(learn.model), {k: v.clone() for k, v in learn.model.state_dict().items()}

((whole, memory, weights),), two = on_ranks(fitted, n=1), on_ranks(fitted)
assert all(torch.equal(two[0][2][k], two[1][2][k]) for k in weights)
assert_close(two[0][1], memory, rtol=0, atol=1e-4)
for epochs, *_ in two:
    for a, b in zip(epochs, whole):
        assert a['accuracy'] == b['accuracy']
        for key in ('train_loss', 'valid_loss', 'balance'): assert_close(a[key], b[key], rtol=1e-4, atol=1e-5)
[{key: round(e[key], 3) for key in ('train_loss', 'valid_loss', 'accuracy')} for e in whole]

# %% [markdown]
# Weights and memory are the same on both ranks bit for bit, and both tell the same losses and the same accuracy as one process: 37 images, each counted once.
#
# With gradients accumulated over two batches, 48 images: each rank counts 24 of its own.

# %%
(accumulated,), apart = on_ranks(lambda: fitted(GradientAccumulation(48)), n=1), on_ranks(lambda: fitted(GradientAccumulation(24)))
assert_close(apart[0][2], accumulated[2], rtol=0, atol=1e-4)
assert apart[0][0][-1]['accuracy'] == accumulated[0][-1]['accuracy'] and not torch.equal(accumulated[1], memory)

# %% [markdown]
# Chance differs: with dropout, the ranks draw different masks in the same epoch.

# %%
class Draws(Callback):
    order = 30
    def before_train(self): self.drawn = torch.rand(3)

def drawn():
    learn = learner(draws := Draws())
    with across_ranks(learn), capture_output(): learn.fit(1)
    return draws.drawn

first, second = on_ranks(drawn)
assert not torch.equal(first, second)

# %% [markdown]
# What does not divide is refused, and so are loaders and scores that cannot be shared.

# %%
def refused(what, contains, **kw):
    learn = learner(**kw)
    what(learn)
    with expect_fail(ValueError, contains=contains), across_ranks(learn), capture_output(): learn.fit(1)

def odd_metric(learn): learn.metrics = [*learn.metrics, RocAuc()]
def other_loader(learn): learn.dls.loaders[1] = TfmdDL([(torch.zeros(3, 16, 16), 0)], bs=1)

def refusals():
    refused(lambda learn: None, "batch_size=25: must be a multiple of the 2 processes", bs=25)
    refused(odd_metric, "must be averages over images")
    refused(other_loader, "dls='TfmdDL': must be loaders of `image_dls`")

on_ranks(refusals);

# %% [markdown]
# One process is not touched.

# %%
learn = learner()
with across_ranks(learn):
    assert learn.dls.train.share == (0, 1) and type(learn.model.blocks[0].workspace.writer) is Writer
    assert not hasattr(learn, 'across_ranks') and not hasattr(learn, 'distributed_trainer')

# %% [markdown]
# ## What it costs, and what it does not do
#
# Each layer exchanges twice in its forward, with `write="grad"` also on the way back, and the ranks wait for each other there: DDP alone waits once a step. The candidates that a rank receives grow with the
# number of ranks, while its gradients do not. At the published size they are a fraction of those (see the cell above) up to some ten ranks and more than they are beyond.
#
# The memory is the same on all ranks since each computes it from the same numbers in the same way. That holds where the devices are alike, as it does for DDP's weights; at the start of each epoch rank 0's is
# copied in any case. Scores that are equal to the last bit may fall to other tokens than in one process.
#
# ## Summary
#
# The batch of an AiT is what all ranks hold together. The best of each rank are gathered, what their values add up to is summed, and the step is that of one process with the whole batch: exactly in
# float64, to rounding in float32. A Learner trains so within `across_ranks`; the training command, next, does it by itself where it is started several times.
