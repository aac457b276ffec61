r"""Equation numbers: a labelled equation carries the number of its notebook and its own, and each reference repeats it.

    python tools/crossref.py     number equations in order, and mend the references

The label is an anchor before the equation, the number a tag inside it, and a reference is an ordinary link, so that
JupyterLab, Quarto and the plain renderer all show the same:

    How well a state fits is its energy: <a id="eq-energy"></a>

    $$E(\xi) = \dots \tag{6.2}$$

    as [(6.2)](#eq-energy) says; from another notebook, [(6.2)](06_hopfield.ipynb#eq-energy)
"""
import json, re, sys
from pathlib import Path

NBS = Path(__file__).resolve().parent.parent/'nbs'
LABEL = re.compile(r'<a id="(eq-[\w-]+)"></a>')
EQUATION = re.compile(r'(<a id="eq-[\w-]+"></a>\s*)?\$\$(.+?)\$\$', re.S)
TAG = re.compile(r'\s*\\tag\{[^}]*\}')
REFERENCE = re.compile(r'\[\([^()\]]*\)\]\(([\w.]+\.ipynb)?#(eq-[\w-]+)\)')


def prefix(name):
    "What the equations of a notebook begin with: 06_hopfield.ipynb has 6, 03a_topk.ipynb has 3a."
    return re.match(r'0*(\d*\w*?)_', name)[1] if '_' in name else name


def number(cells, name):
    "Number the labelled equations of a notebook's Markdown cells; the cells, label → number, and what is wrong."
    numbers, wrong, done = {}, [], []
    for text in cells:
        def tagged(match):
            before, formula = match[1], TAG.sub('', match[2])
            if before is None:
                if formula != match[2]: wrong.append(f'{name}: an equation has a tag but no label: {match[2].strip()[:40]}')
                return match[0]
            label = LABEL.search(before)[1]
            if label in numbers: wrong.append(f'{name}: {label} labels two equations')
            numbers[label] = f'{prefix(name)}.{len(numbers) + 1}'
            space = formula[len(formula.rstrip()):]
            return f'{before}$${formula.rstrip()} \\tag{{{numbers[label]}}}{space}$$'
        done.append(EQUATION.sub(tagged, text))
        wrong += [f'{name}: {label} labels no equation' for label in LABEL.findall(text) if label not in numbers]
    return done, numbers, wrong


def refer(cells, name, numbers):
    "Repeat the numbers in the references; the cells, and what is wrong."
    wrong = []
    def shown(match):
        file, label = match[1] or name, match[2]
        if label not in numbers.get(file, {}):
            wrong.append(f'{name}: no equation {label} in {file}')
            return match[0]
        return f'[({numbers[file][label]})]({match[1] or ""}#{label})'
    return [REFERENCE.sub(shown, text) for text in cells], wrong


def renumber(notebooks):
    "Number and refer; file → Markdown cells, and what is wrong."
    done, numbers, wrong = {}, {}, []
    for name, cells in notebooks.items():
        done[name], numbers[name], bad = number(cells, name)
        wrong += bad
    for name, cells in done.items():
        done[name], bad = refer(cells, name, numbers)
        wrong += bad
    return done, numbers, wrong


def main():
    paths = sorted(NBS.glob('*.ipynb'))
    nbs = {p.name: json.loads(p.read_text()) for p in paths}
    markdown = {name: [c for c in nb['cells'] if c['cell_type'] == 'markdown'] for name, nb in nbs.items()}
    done, numbers, wrong = renumber({name: [''.join(c['source']) for c in cells] for name, cells in markdown.items()})
    if wrong: sys.exit('crossref: ' + '\n          '.join(wrong))
    for path in paths:
        for cell, text in zip(markdown[path.name], done[path.name]): cell['source'] = text.splitlines(True)
        text = json.dumps(nbs[path.name], indent=1, ensure_ascii=False, sort_keys=True) + '\n'
        if text != path.read_text(): path.write_text(text)
    print(f'{sum(map(len, numbers.values()))} equations are numbered')


if __name__ == '__main__': main()
