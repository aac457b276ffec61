"""Where the measurements of this folder leave their records."""
import json, re
from pathlib import Path

from ait_nb.saved import write_atomically


def leave(record, place, out=None):
    "Write a record to `out`, by default results/<kind>_<device>.json; the path."
    word = re.search(r'[a-z]+\d+', record['device'].lower()) if place.type == 'cuda' else None
    out = Path(out or f"results/{record['kind']}_{word[0] if word else place.type}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, lambda p: p.write_text(json.dumps(record, indent=1) + '\n'))
    return out
