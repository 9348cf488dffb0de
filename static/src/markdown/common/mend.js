/** What opens or closes a block of code, also within a list or a quotation. */
const FENCE = /^[\s>]*(?:(?:[-*+]|\d+[.)])\s+)*(`{3,}|~{3,})(.*)$/;
/** A line of nothing but signs: what it will be is not known before the next character. */
const BARE_MARKER = /(^|\n)[ \t>]*(?:[-*+=_#>]+|[|:\- \t]+|\d+[.)]|`+|~+)[ \t]*$/;
/** Where inline text begins anew: behind an empty line, or with a line that is a block of its own. */
const NEW_INLINE = /^\s*$|^\s*(?:[-*+>|]|#{1,6}\s|\d+[.)]\s)/;
const WORD = /[\p{L}\p{N}]/u;

/**
 * The end of a text that still grows, completed so that it looks as it will: emphasis is closed, half a link is its text,
 * half a table is a table. Only for the eye, and only for the last block.
 *
 * @param {string} text
 */
export function mend(text) {
    if (endsInCode(text)) {
        return text.replace(/\n[\s>]*[`~]+$/, "\n");
    }
    return mendTable(mendInline(text.replace(BARE_MARKER, "$1")));
}

/** @param {string} text */
function endsInCode(text) {
    let open = "";
    for (const line of text.split("\n")) {
        const [, marks, info] = line.match(FENCE) ?? [];
        if (!marks) {
            continue;
        }
        if (!open) {
            open = marks[0] === "`" && info.includes("`") ? "" : marks;
        } else if (marks[0] === open[0] && marks.length >= open.length && !info.trim()) {
            open = "";
        }
    }
    return Boolean(open);
}

/** @param {string} text whose last line may be the head of a table that has no body yet */
function mendTable(text) {
    const lines = text.trimEnd().split("\n");
    const head = lines.at(-1).trim();
    if (!head.startsWith("|") || lines.at(-2)?.trim()) {
        return text;
    }
    const cells = head.replace(/^\||\|$/g, "").split("|");
    return [...lines, `|${cells.map(() => "---|").join("")}`].join("\n");
}

/** @param {string} text */
function mendInline(text) {
    const lines = text.split("\n");
    let first = lines.length - 1;
    while (first > 0 && !NEW_INLINE.test(lines[first])) {
        first--;
    }
    const before = lines.slice(0, first).join("\n");
    const last = closeMarks(unlink(lines.slice(first).join("\n")));
    return first ? `${before}\n${last}` : last;
}

/** @param {string} text whose last link or image may lack its end */
function unlink(text) {
    return text
        .replace(/!?\[([^[\]]*)\]\([^()]*$/, "$1")
        .replace(/!?\[([^[\]]*)\]?$/, "$1")
        .replace(/<(?=[a-z]+:[^>\s]*$)/i, "");
}

/** @param {string} text which gets the ends of the emphasis and of the code that it has begun */
function closeMarks(text) {
    const open = [];
    const runs = /\\.|(`+|\*+|_+|~~)/gs;
    for (let match; (match = runs.exec(text)); ) {
        const marks = match[1];
        if (!marks) {
            continue; // a sign that stands for itself
        }
        const isLast = runs.lastIndex === text.length;
        if (marks[0] === "`") {
            const end = endOfCode(text, runs.lastIndex, marks);
            if (end === -1) {
                return isLast ? close(text.slice(0, match.index), open) : close(text + marks, open);
            }
            runs.lastIndex = end;
        } else if (open.at(-1) === marks && !/\s/.test(text[match.index - 1] ?? " ")) {
            open.pop();
        } else if (isLast) {
            return close(text.slice(0, match.index), open);
        } else if (canOpen(text, match.index, marks)) {
            open.push(marks);
        }
    }
    return close(text, open);
}

/**
 * @param {string} text
 * @param {number} from
 * @param {string} marks
 * @returns {number} behind the code that they have begun; -1 where it has no end
 */
function endOfCode(text, from, marks) {
    const runs = /`+/g;
    runs.lastIndex = from;
    for (let match; (match = runs.exec(text)); ) {
        if (match[0] === marks) {
            return runs.lastIndex;
        }
    }
    return -1;
}

/**
 * @param {string} text
 * @param {number} index
 * @param {string} marks
 */
function canOpen(text, index, marks) {
    return (
        marks.length <= 3 &&
        !/\s/.test(text[index + marks.length]) &&
        (marks.length === 2 || !WORD.test(text[index - 1] ?? " "))
    );
}

/**
 * @param {string} text
 * @param {string[]} open
 */
function close(text, open) {
    return open.length ? text.trimEnd() + open.reverse().join("") : text;
}
