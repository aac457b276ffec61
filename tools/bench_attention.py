"""Implementations of attention on a GPU: how fast each is for a number of keys, and how far its gradient is from float64.

    python tools/bench_attention.py [--out results/attention_<device>.json]

Rows are of 131,072 tokens in all, 12 heads of 64, in bfloat16, forward and backward. The gradient is measured where scores are about 0, and once
more where all are about −120; there the number of q and k that brings the scores down is left out, since its gradient cancels.
"""
import sys

import torch
import torch.nn.functional as F
from fastcore.script import call_parse
from torch.nn.attention import SDPBackend, sdpa_kernel

from ait_nb.bench import timed
from ait_nb.train import git_commit, machine
from ait_nb.vit import attention
from records import leave

WAYS = dict(cudnn=SDPBackend.CUDNN_ATTENTION, flash=SDPBackend.FLASH_ATTENTION, efficient=SDPBackend.EFFICIENT_ATTENTION, math=SDPBackend.MATH)


def by(way):
    "Attention by one implementation; `here` is this library's, `default` PyTorch's choice."
    if way in ('here', 'default'): return attention if way == 'here' else F.scaled_dot_product_attention
    def read(q, k, v):
        with sdpa_kernel([WAYS[way]]): return F.scaled_dot_product_attention(q, k, v)
    return read


def gradients(read, n, low, dtype):
    "Gradients of q, k and v; `low` puts all scores there."
    torch.manual_seed(0)
    q, k, v = (torch.randn(4, 2, n, 64)*s for s in (.1, .1, 1))
    q[..., 0], k[..., 0] = 1, low*8
    qkv = [o.bfloat16().to('cuda', dtype).requires_grad_() for o in (q, k, v)]
    return [g[..., 1:].double() for g in torch.autograd.grad(read(*qkv).double().sin().sum(), qkv)]


def errors(way, n, low):
    "Relative error of each gradient; None for one that is not finite."
    exact, got = (gradients(by(w), n, low, t) for w, t in (('math', torch.float64), (way, torch.bfloat16)))
    far = [((g - e).norm()/e.norm()).item() for g, e in zip(got, exact)]
    return [round(f, 5) if f == f else None for f in far]


def row(way, n):
    "One implementation for one number of tokens."
    q = torch.randn(2**17//n, 12, n, 64, device='cuda', dtype=torch.bfloat16, requires_grad=True)
    read, grad = by(way), torch.randn_like(q)
    def forward():
        with torch.no_grad(): return read(q, q, q)
    def both(): return torch.autograd.grad(read(q, q, q), q, grad)[0]
    ms = dict(forward_ms=timed(forward, q.device, 30)['ms'], both_ms=timed(both, q.device, 30)['ms'])
    return dict(way=way, tokens=n, **ms, error=errors(way, n, 0), error_low=errors(way, n, -120))


@call_parse
def bench_attention(out:str=None): # default: results/attention_<device>.json
    "Measure every implementation at several lengths."
    if not torch.cuda.is_available(): sys.exit("bench_attention: PyTorch finds no GPU on this machine")
    rows = []
    for n in (16, 32, 64, 65, 96, 128, 192, 256, 512, 1024, 4096):
        for way in ('here', 'default', *WAYS):
            if way == 'math' and n > 1024: continue # it holds all scores
            try: rows.append(row(way, n))
            except RuntimeError as e: rows.append(dict(way=way, tokens=n, failed=str(e).splitlines()[0])) # an implementation need not take every length
            print(rows[-1], flush=True)
    place = torch.device('cuda')
    print(leave(dict(schema=1, kind='attention', **machine(place), git=git_commit(), rows=rows), place, out))
