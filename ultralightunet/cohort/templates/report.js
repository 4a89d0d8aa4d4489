// Sorting, filtering and rating for the table of cases. All names are put into the page as text, never as markup.
"use strict";

const body = document.querySelector("tbody");
const rows = Array.from(body.rows);
const control = (id) => document.getElementById(id);
const large = control("large");
const RATINGS = { g: "good", f: "to fix", b: "bad" };
const ORDER = { failed: 0, flagged: 1, waiting: 2, done: 3 };
const key = "ultralight-cohort-" + document.body.dataset.key;

let ratings = new Map();
let here = null;

// ---- ratings: kept by the browser, where it lets a file keep anything

function remember() {
    try {
        localStorage.setItem(key, JSON.stringify(Array.from(ratings)));
    } catch {
        control("shown").value = "This browser keeps nothing: download your ratings before you close the page.";
    }
}

function recall() {
    for (const row of rows)
        if (row.dataset.rated !== undefined)
            ratings.set(row.dataset.case, { rating: row.dataset.rated, note: row.dataset.noted });
    try {
        for (const [name, said] of JSON.parse(localStorage.getItem(key) || "[]")) ratings.set(name, said);
    } catch {
        // Nothing was kept, or something else.
    }
}

function saidOf(row) {
    return ratings.get(row.dataset.case) || { rating: "", note: "" };
}

function show(row) {
    const said = saidOf(row);
    const cell = row.cells[6];
    if (!cell.firstElementChild || cell.firstElementChild.tagName !== "BUTTON") {
        cell.textContent = "";
        for (const rating of Object.values(RATINGS)) {
            const button = document.createElement("button");
            button.type = "button";
            button.dataset.rate = rating;
            button.textContent = rating;
            cell.append(button, " ");
        }
        cell.append(document.createElement("p"));
    }
    for (const button of cell.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.rate === said.rating));
    cell.querySelector("p").textContent = said.note;
}

function rate(row, rating) {
    ratings.set(row.dataset.case, { ...saidOf(row), rating });
    show(row);
    remember();
    tellCount();
}

function note(row, text) {
    if (text === saidOf(row).note) return;
    ratings.set(row.dataset.case, { ...saidOf(row), note: text });
    show(row);
    remember();
}

// ---- the table of ratings

const cell = (text) => (text || "").replace(/[\t\r\n]+/g, " ").trim() || "n/a";

function asTable() {
    const lines = [["case", "rating", "note", "image", "labels", "image_sha256"]];
    for (const row of rows) {
        const said = saidOf(row);
        if (said.rating || said.note)
            lines.push([row.dataset.case, said.rating, said.note, row.dataset.image, row.dataset.labels, row.dataset.sha]);
    }
    return lines.map((line) => line.map(cell).join("\t") + "\n").join("");
}

function download() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([asTable()], { type: "text/tab-separated-values" }));
    link.download = "ratings.tsv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function load(file) {
    const [head, ...lines] = (await file.text()).split(/\r?\n/).filter(Boolean).map((line) => line.split("\t"));
    const at = (line, column) => (head.includes(column) ? line[head.indexOf(column)] || "" : "").replace(/^n\/a$/, "");
    for (const line of lines) ratings.set(at(line, "case"), { rating: at(line, "rating"), note: at(line, "note") });
    rows.forEach(show);
    remember();
    filter();
}

// ---- filters and order

function volumeOf(row) {
    const found = row.querySelector(`[data-class="${control("class").value}"]`);
    return found ? Number(found.dataset.volume) : NaN;
}

function isWanted(row) {
    const state = control("state").value;
    const rated = control("rated").value;
    const said = saidOf(row).rating;
    if (state === "outlier" ? row.dataset.outlier === undefined : state && row.dataset.state !== state) return false;
    if (rated === "none" ? said : rated && said !== rated) return false;
    const [least, most] = [control("least").value, control("most").value];
    if (least || most) {
        const volume = volumeOf(row);
        if (Number.isNaN(volume) || (least && volume < Number(least)) || (most && volume > Number(most))) return false;
    }
    return row.dataset.case.toLowerCase().includes(control("name").value.toLowerCase());
}

function filter() {
    for (const row of rows) row.hidden = !isWanted(row);
    tellCount();
}

function tellCount() {
    const count = (test) => rows.filter(test).length;
    control("shown").value = `${count((row) => !row.hidden)} of ${rows.length} shown, ${count((row) => saidOf(row).rating)} rated`;
}

const VALUES = {
    name: (row) => row.dataset.case.toLowerCase(),
    state: (row) => ORDER[row.dataset.state],
    volume: (row) => volumeOf(row),
    oddity: (row) => -Number(row.dataset.oddity),
    confidence: (row) => Number(row.dataset.confidence),
    rating: (row) => saidOf(row).rating || "~",
};

function sort(head) {
    const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of document.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
    const value = new Map(rows.map((row) => [row, VALUES[head.dataset.sort](row)]));
    const missing = (found) => Number.isNaN(found);
    rows.sort((one, other) => {
        const [a, b] = [value.get(one), value.get(other)];
        if (missing(a) || missing(b)) return missing(a) - missing(b);
        return a < b ? -way : a > b ? way : 0;
    });
    body.append(...rows);
}

// ---- going from case to case

function go(row) {
    if (!row) return;
    if (here) here.classList.remove("here");
    here = row;
    here.classList.add("here");
    if (large.open) enlarge();
    else here.scrollIntoView({ block: "nearest" });
}

function further(step) {
    const visible = rows.filter((row) => !row.hidden);
    const at = visible.indexOf(here);
    return visible[at < 0 ? 0 : Math.min(visible.length - 1, Math.max(0, at + step))];
}

function enlarge() {
    const said = saidOf(here);
    large.querySelector("h2").textContent = here.dataset.case + (said.rating ? ` \u2014 ${said.rating}` : "");
    large.querySelector(".pictures").replaceChildren(...Array.from(here.querySelectorAll("img"), (image) => image.cloneNode()));
    for (const image of large.querySelectorAll("img")) image.loading = "eager";
    const facts = [...here.querySelectorAll(".volumes div, .warning, .failure")].map((entry) => entry.textContent.trim());
    large.querySelector(".facts").textContent = facts.join("; ");
    large.querySelector("textarea").value = said.note;
    if (!large.open) large.showModal();
    if (document.activeElement !== large) large.focus();
}

function press(event) {
    const typing = event.target.matches("input, select, textarea");
    if (event.ctrlKey || event.metaKey || event.altKey || (typing && event.key !== "Escape")) return;
    const rating = RATINGS[event.key];
    if (event.key === "j" || event.key === "ArrowDown" || event.key === "ArrowRight") go(further(1));
    else if (event.key === "k" || event.key === "ArrowUp" || event.key === "ArrowLeft") go(further(-1));
    else if (rating && here) {
        rate(here, rating);
        go(further(1));
    } else if (event.key === "u" && here) {
        rate(here, "");
        go(here);
    } else if (event.key === "n" && here) {
        enlarge();
        large.querySelector("textarea").focus();
    } else if (event.key === "Enter" && here && !large.open && !event.target.matches("button")) enlarge();
    else if (event.key === "Escape" && typing) large.focus();
    else return;
    event.preventDefault();
}

// ---- from here on the page answers

recall();
rows.forEach(show);
for (const head of document.querySelectorAll("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(head));
    head.replaceChildren(button);
}
for (const id of ["state", "rated", "class", "least", "most", "name"]) control(id).addEventListener("input", filter);
control("controls").addEventListener("submit", (event) => event.preventDefault());
control("download").addEventListener("click", download);
control("load").addEventListener("change", (event) => load(event.target.files[0]));
large.tabIndex = -1;
large.querySelector("textarea").addEventListener("input", (event) => note(here, event.target.value));
large.addEventListener("close", () => here.scrollIntoView({ block: "nearest" }));
body.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    go(row);
    if (event.target.dataset.rate) rate(row, saidOf(row).rating === event.target.dataset.rate ? "" : event.target.dataset.rate);
    else if (event.target.tagName === "IMG") enlarge();
});
document.addEventListener("keydown", press);
control("controls").hidden = false;
control("keys").hidden = false;
filter();
