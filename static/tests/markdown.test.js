import { GrowingMarkdown } from "@ai_discuss/markdown/common/growing_markdown";
import { loadMarkdown, sanitize } from "@ai_discuss/markdown/common/markdown";
import { mend } from "@ai_discuss/markdown/common/mend";
import { describe, expect, test } from "@odoo/hoot";
import { preloadBundle } from "@web/../tests/web_test_helpers";

import { SAMPLES } from "./markdown_samples";

describe.current.tags("headless");
preloadBundle("ai_discuss.markdown");

/** How a browser reads it; the order of attributes means nothing. */
function domOf(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    for (const element of template.content.querySelectorAll("*")) {
        const attributes = [...element.attributes].sort((one, two) => (one.name < two.name ? -1 : 1));
        for (const { name, value } of attributes) {
            element.removeAttribute(name);
            element.setAttribute(name, value);
        }
    }
    return template.innerHTML;
}

const HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)>",
    "[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](java\nscript:alert(1)) [d](&#106;avascript:alert(1))",
    "[a](<javascript:alert(1)>) <javascript:alert(1)> [b](vbscript:x) [c](file:///etc/passwd) [d](blob:https://a.b/c)",
    "[a]: javascript:alert(1)\n\n[a] ![a]\n\n[b]: data:text/html;base64,PHNjcmlwdD4=\n\n[b] ![b]",
    "![a](data:image/svg+xml;base64,PHN2Zz4=) ![b](javascript:alert(1)) ![c](/web/session/logout) ![d](//evil.example/x)",
    '![" onerror="alert(1)](https://evil.example/x.svg) [" onclick="alert(1)](https://evil.example/" onclick="alert(1))',
    '```"><img src=x onerror=alert(1)>\n</code></pre><script>alert(1)</script>\n```\n`</code><b>`',
    "| <style>*{}</style> | <iframe src=x> |\n|---|---|\n| <form action=x> | <math><mtext></form><mglyph> |",
    "https://evil.example/\"onmouseover=alert(1) <https://evil.example/'onclick='x> http://a.b/<script>",
    "[a](https://odoo.com 'x\" style=\"position:fixed') [b](mailto:a@b.c?subject=<script>)",
];
const HARMLESS_TAGS = "a blockquote br code em h1 h2 h3 hr img li ol p pre s strong table tbody td th thead tr ul".split(" ");
const HARMLESS_ATTRIBUTE =
    /^(href=(https?|mailto):.*|src=https?:.*|(alt|class=language-).*|target=_blank|rel=noreferrer noopener|loading=lazy|referrerpolicy=no-referrer)$/s;

const joined = (pieces) => pieces.map(({ html }) => html).join("");

test("text looks as the server will format it", async () => {
    const parser = await loadMarkdown();
    for (const { html, text } of SAMPLES) {
        expect(domOf(parser.render(text))).toBe(domOf(html));
    }
});

test("text looks the same grown character by character as written at once", async () => {
    const parser = await loadMarkdown();
    // A link by a name that comes to be known later is one only when the reply is there.
    for (const { text } of SAMPLES.filter((sample) => !sample.text.includes("[1]: "))) {
        const whole = `${text}\n\nEnd.`;
        const growing = new GrowingMarkdown(parser);
        for (let length = 1; length < whole.length; length++) {
            growing.update(whole.slice(0, length));
        }
        expect(domOf(joined(growing.update(whole)))).toBe(domOf(parser.render(whole)));
    }
});

test("the sanitiser takes nothing away from what is harmless already", async () => {
    const parser = await loadMarkdown();
    for (const { text } of SAMPLES) {
        for (const remoteImages of [false, true]) {
            const html = parser.render(text, { remoteImages });
            expect(domOf(String(sanitize(html)))).toBe(domOf(html));
        }
    }
});

test("what could act is taken away", () => {
    expect(String(sanitize('<p onclick="x()">a<script>b</script><iframe src="x"></iframe></p>'))).toBe(
        "<p>a</p>"
    );
});

test("nothing that a model writes can act, at any moment", async () => {
    const parser = await loadMarkdown();
    for (const text of HOSTILE) {
        for (const remoteImages of [false, true]) {
            const growing = new GrowingMarkdown(parser, { remoteImages });
            for (let length = 1; length <= text.length; length++) {
                const template = document.createElement("template");
                template.innerHTML = joined(growing.update(text.slice(0, length)));
                for (const element of template.content.querySelectorAll("*")) {
                    expect(HARMLESS_TAGS).toInclude(element.localName);
                    for (const { name, value } of element.attributes) {
                        expect(`${name}=${value}`).toMatch(HARMLESS_ATTRIBUTE);
                    }
                }
            }
        }
    }
});

test("images are links, unless they are wanted", async () => {
    const parser = await loadMarkdown();
    const text = "![A cat](https://odoo.com/cat.png)";
    expect(joined(new GrowingMarkdown(parser).update(text))).toInclude(">A cat</a>");
    const [image] = new GrowingMarkdown(parser, { remoteImages: true }).update(text);
    expect(String(image.html)).toInclude('src="https://odoo.com/cat.png"');
    expect(String(image.html)).toInclude('referrerpolicy="no-referrer"');
});

test("finished blocks are made once, and stay the same objects", async () => {
    const growing = new GrowingMarkdown(await loadMarkdown());
    const [first] = growing.update("One\n\n- a\n- b\n\nTwo\n");
    const later = growing.update("One\n\n- a\n- b\n\nTwo\n\nThree\n\nFour");
    expect(later[0]).toBe(first);
    expect(later.map(({ key }) => key)).toEqual([0, 1, 2]);
    expect(joined(later)).toBe(
        "<p>One</p>\n<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n<p>Two</p>\n<p>Three</p>\n<p>Four</p>\n"
    );
});

test("how much is made anew is known: nothing of what is finished", async () => {
    const growing = new GrowingMarkdown(await loadMarkdown());
    growing.update("- a\n- b\n");
    expect(growing.growingTags).toBe(6);
    growing.update("- a\n- b\n\nText\n");
    expect(growing.growingTags).toBe(2);
});

test("a text of which a part is taken back is read anew", async () => {
    const growing = new GrowingMarkdown(await loadMarkdown());
    growing.update("One\n\nTwo\n\nThree");
    expect(joined(growing.update("One\n\nNow"))).toBe("<p>One</p>\n<p>Now</p>\n");
});

test("a name for a link counts once its address is complete", async () => {
    const growing = new GrowingMarkdown(await loadMarkdown());
    growing.update("See [it].\n\n[it]: https://odo");
    const text = "See.\n\n[it]: https://odoo.com\n\nSee [it].\n";
    const other = new GrowingMarkdown(await loadMarkdown());
    for (let length = 1; length <= text.length; length++) {
        other.update(text.slice(0, length));
    }
    expect(joined(other.update(text))).toInclude('href="https://odoo.com"');
});

for (const [text, mended] of [
    ["Some **bo", "Some **bo**"],
    ["Some **bold*", "Some **bold**"],
    ["Some **bold**", "Some **bold**"],
    ["Some **", "Some "],
    ["a *b **c", "a *b **c***"],
    ["a ~~b", "a ~~b~~"],
    ["a `b *c", "a `b *c`"],
    ["a `", "a "],
    ["2*3 and 2 * 3 and snake_case", "2*3 and 2 * 3 and snake_case"],
    ["a \\*b", "a \\*b"],
    ["**one\n\ntwo", "**one\n\ntwo"],
    ["- **one**\n- **tw", "- **one**\n- **tw**"],
    ["See [the pa", "See the pa"],
    ["See [the page]", "See the page"],
    ["See [the page](https://od", "See the page"],
    ["See ![a cat](https://od", "See a cat"],
    ["See [it](https://odoo.com)", "See [it](https://odoo.com)"],
    ["See <https://od", "See https://od"],
    ["Text\n-", "Text\n"],
    ["Text\n1.", "Text\n"],
    ["Text\n##", "Text\n"],
    ["Text\n``", "Text\n"],
    ["Text\n---\n", "Text\n---\n"],
    ["```js\nlet a;\n``", "```js\nlet a;\n"],
    ["```js\nlet **a", "```js\nlet **a"],
    ["```\na\n```\n**b", "```\na\n```\n**b**"],
    ["| a | b", "| a | b\n|---|---|"],
    ["Text\n\n| a | b |\n|--", "Text\n\n| a | b |\n|---|---|"],
    ["| a |\n|---|\n| **b", "| a |\n|---|\n| **b**"],
    ["Text | with a bar", "Text | with a bar"],
]) {
    test(`half there: ${JSON.stringify(text)}`, () => {
        expect(mend(text)).toBe(mended);
    });
}
