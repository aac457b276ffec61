"""Kernels of a training step and of a forward: where the time of AiT and of its ViTs goes.

    python tools/profile_step.py                              # AiT-Small and both ViTs, into results/profile_<device>.json
    python tools/profile_step.py --models ait_tiny --device cpu --batch 8 --out runs/profile.json

Batch 512, bfloat16, compiled, without CUDA graphs: one launch is then one kernel.
"""
import torch
from fastcore.script import Param, call_parse
from torch.profiler import ProfilerActivity, profile

from ait_nb.bench import infer_step, train_step
from ait_nb.frozen import freeze
from ait_nb.learner import compile_model
from ait_nb.train import MODELS, git_commit, machine, pick_device
from records import leave


def kernels(step, device, steps):
    "Milliseconds a step, and launches, of each kernel."
    for _ in range(5): step()
    kind = ProfilerActivity.CUDA if device.type == 'cuda' else ProfilerActivity.CPU
    with profile(activities=[kind]) as seen:
        for _ in range(steps): step()
        if device.type == 'cuda': torch.cuda.synchronize()
    took = 'self_device_time_total' if device.type == 'cuda' else 'self_cpu_time_total'
    rows = [dict(kernel=e.key, ms=round(getattr(e, took)/1000/steps, 4), launches=round(e.count/steps, 2)) for e in seen.key_averages()]
    return sorted((r for r in rows if r['ms'] > 0), key=lambda r: -r['ms'])


@call_parse
def main(
    models:Param("to look at", str, nargs='*')=("ait_small", "vit_small_postnorm", "vit_small"),
    batch:int=512,   # images
    steps:int=5,     # that are averaged
    device:str=None, # default: the GPU if there is one
    out:str=None,    # the record; default: results/profile_<device>.json
):
    "Profile training and inference."
    place, profiles = pick_device(device), []
    for model in models:
        for what in ('train', 'infer', *['infer, one kernel']*(model.startswith('ait') and place.type == 'cuda')):
            torch.manual_seed(0)
            net = MODELS[model]().to(place).train(what == 'train')
            images, labels = torch.randn(batch, 3, 32, 32, device=place), torch.randint(10, (batch,), device=place)
            if what != 'train': net = freeze(net, fused='kernel' in what)
            compile_model(net, 'default', place)
            step = train_step(net, images, labels, 'bf16') if what == 'train' else infer_step(net, images, 'bf16')
            profiles.append(dict(what=what, model=model, rows=kernels(step, place, steps)))
            print(f"{model}, {what}: {sum(r['ms'] for r in profiles[-1]['rows']):.3f} ms in {sum(r['launches'] for r in profiles[-1]['rows']):.0f} launches", flush=True)
    print(leave(dict(schema=1, kind="profile", **machine(place), git=git_commit(), batch=batch, steps=steps, profiles=profiles), place, out))
