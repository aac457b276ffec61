// The search of the plain renderer, in the place of its fuzzy one: every word asked for must occur. A word counts most in
// the title of a page, then in a heading, then in the text, and the words asked for in a row count more than each alone.
// An underscore is a space, so that `effective rank` finds the function as well.
if (location.protocol === "file:") { // a page opened as a file cannot fetch the index, but load it
  const index = document.createElement("script");
  index.src = document.currentScript.src.replace("fuse.min.js", "index.js");
  document.head.append(index);
}
window.Fuse = class {
  constructor(fetched) {
    const entries = fetched.length ? fetched : window.searchIndex || [];
    this.clean = (s) => (s || "").toLowerCase().replace(/[\s_]+/g, " ").trim();
    const clean = this.clean;
    this.entries = entries.map((item) => ({ item, fields: [[clean(item.title), 12], [clean(item.section), 8], [clean(item.text), 1]] }));
  }
  search(query, { limit = 20 } = {}) {
    const phrase = this.clean(query), words = phrase.split(" ");
    const times = (text, part) => Math.min(3, text.split(part).length - 1);
    const score = ({ fields }) => words.every((w) => fields.some(([text]) => text.includes(w)))
      ? fields.reduce((sum, [text, weight]) => sum + weight * (words.reduce((n, w) => n + times(text, w), 0) / words.length + 5 * times(text, phrase)), 0) : 0;
    return this.entries.map((e) => ({ item: e.item, score: score(e) })).filter((e) => e.score > 0).sort((a, b) => b.score - a.score).slice(0, limit);
  }
};
