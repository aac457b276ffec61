"""Images per second of one and of several GPUs of one host, at the same batch for each GPU.

    python tools/bench_ranks.py                                  # one GPU and two, into results/ranks_<device>.json
    python tools/bench_ranks.py --curve "--dataset cifar10 --model ait_small --epochs 10 --amp --compile"
    python tools/bench_ranks.py --device cpu --batch 8 --steps 3 --modes eager --models ait_tiny --fields dim=32 heads=2 mlp_dim=64 --out runs/ranks.json

Each setting has processes of its own; what fails is written down with its last words, and the others go on. With --curve, `ait_train` runs with these options by one
process and by the most, and the two histories are kept beside the times: they should be one curve.
"""
import json, shlex, subprocess, sys, tempfile
from pathlib import Path

import torch
import torch.distributed as dist
from fastcore.script import Param, call_parse, store_true
from torch.nn.parallel import DistributedDataParallel

from ait_nb.bench import peak_memory, timed, train_step
from ait_nb.learner import compile_model
from ait_nb.memory import Memory
from ait_nb.ranks import DDP_OPTIONS, compete_together, n_ranks, one_graph, process_group, this_rank
from ait_nb.train import MODELS, git_commit, machine, parse_fields, pick_device
from records import leave


def agreed(model):
    "All ranks must have the same memory, bit for bit."
    for m in model.modules():
        if isinstance(m, Memory):
            first = m.memory.clone()
            dist.broadcast(first, 0)
            if not torch.equal(first, m.memory): raise AssertionError("the memories of the ranks differ")


def row(model, mode, batch, steps, device, precision, fields):
    "The training step of one model on all ranks; the slowest rank counts."
    torch.manual_seed(0)
    net, n = MODELS[model](**fields).to(device).train(), n_ranks()
    c = net.config
    if mode != 'eager': compile_model(net, mode, device)
    torch.manual_seed(this_rank() + 1)
    images, labels = torch.randn(batch, c.channels, c.image_size, c.image_size, device=device), torch.randint(c.num_classes, (batch,), device=device)
    with peak_memory(device) as peak:
        if n == 1: took = timed(train_step(net, images, labels, precision), device, steps)
        else:
            with compete_together(net), one_graph():
                wrapped = DistributedDataParallel(net, device_ids=[device] if device.type == 'cuda' else None, **DDP_OPTIONS)
                took = timed(train_step(wrapped, images, labels, precision), device, steps)
                agreed(net)
    slowest = torch.tensor(list(took.values()), device=device)
    if n > 1: dist.all_reduce(slowest, dist.ReduceOp.MAX)
    took = {k: round(v, 4) for k, v in zip(took, slowest.tolist())}
    return dict(model=model, mode=mode, precision=precision, gpus=n, batch=batch, tokens=c.tokens, params=sum(p.numel() for p in net.parameters()),
        **took, images_per_s=round(1000*n*batch/took['ms'], 1), peak_gb=peak[0])


def launch(n, module, options, seconds):
    "Start a module or a file n times; its last words where it fails."
    how = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', str(n)]
    process = subprocess.Popen([sys.executable, '-W', 'ignore', *how, *module, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try: said = process.communicate(timeout=seconds)[1]
    except subprocess.TimeoutExpired:
        process.terminate() # the launcher then ends its processes
        process.wait(60)
        return f"took longer than {seconds:.0f} s"
    return next((line.strip() for line in said.splitlines() if 'Error' in line), f"status {process.returncode}") if process.returncode else None


def curves(options, ranks, seconds):
    "`ait_train` by one process and by several."
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for n in ranks:
            error = launch(n, ['-m', 'ait_nb.train'], [*shlex.split(options), '--out', f'{folder}/{n}'], seconds)
            found[str(n)] = dict(error=error) if error else {k: v for k, v in json.loads(Path(folder, str(n), 'result.json').read_text()).items() if k in ('ranks', 'history', 'command', 'timing', 'metrics')}
    return found


@call_parse
def main(
    ranks:Param("processes, each with a GPU of its own", int, nargs='*')=(1, 2),
    models:Param("to train", str, nargs='*')=("ait_small", "vit_small"),
    modes:Param("of torch.compile, or eager", str, nargs='*')=("reduce-overhead", "default"),
    batch:int=512,       # images for each GPU
    steps:int=50,        # that count
    precision:str="bf16",# fp32, tf32 or bf16
    device:str=None,     # cpu, for a trial; default: the GPUs if there are any
    fields:Param("field=value of the models' configuration", str, nargs='*')=(),
    out:str=None,        # the record; default: results/ranks_<device>.json
    curve:str=None,      # options of ait_train, to compare one process and several
    seconds:float=500.,  # that a setting may take
    worker:store_true=False, # internal: measure one setting here
):
    "Times of one and of several GPUs."
    place = pick_device(device)
    if worker:
        with process_group(place):
            rows = [row(m, modes[0], batch, steps, place, precision, parse_fields(fields)) for m in models]
            if this_rank() == 0: Path(out).write_text(json.dumps(rows))
        return
    record = dict(schema=1, kind="ranks", **machine(place), git=git_commit(), rows=[], curves={})
    for mode in modes:
        for n in ranks:
            with tempfile.NamedTemporaryFile('r', suffix='.json') as file:
                given = dict(models=models, modes=[mode], batch=[batch], steps=[steps], precision=[precision], device=[device] if device else [], fields=fields, out=[file.name])
                options = sum(([f'--{k}', *map(str, v)] for k, v in given.items() if v), ['--worker'])
                error = launch(n, [__file__], options, seconds)
                rows = json.loads(file.read() or '[]') # what hangs at its end has measured
                if error: rows.append(dict(mode=mode, gpus=n, error=error))
            record['rows'] += rows
            for r in rows: print({k: r[k] for k in ('model', 'mode', 'gpus', 'ms', 'images_per_s', 'error') if k in r}, flush=True)
            leave(record, place, out)
    for model, mode in ((m, o) for m in models for o in modes):
        speed = {n: next((r['images_per_s'] for r in record['rows'] if (r.get('model'), r['mode'], r['gpus']) == (model, mode, n)), None) for n in ranks}
        if speed[min(ranks)] and speed[max(ranks)]: print(f"{model}, {mode}: {speed[max(ranks)]/speed[min(ranks)]:.3f} × the images per second of {min(ranks)} on {max(ranks)}")
    if curve: record['curves'] = curves(curve, (min(ranks), max(ranks)), seconds)
    print(leave(record, place, out))
