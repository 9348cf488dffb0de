/* global DOMPurify */

import { markup } from "@odoo/owl";

import { loadBundle } from "@web/core/assets";

const SAFE_LINK = /^(https?|mailto):/i;
const SAFE_IMAGE = /^https?:/i;
/** Attributes that the sanitiser would take away, and that make links and images harmless. */
const OWN_ATTRIBUTES = ["referrerpolicy", "target"];

/** @type {Promise<Object>|undefined} */
let loading;

/**
 * The parser, which comes with the first reply that needs it.
 *
 * @returns {Promise<Object>}
 */
export function loadMarkdown() {
    loading ||= loadBundle("ai_discuss.markdown").then(
        () => makeParser(window.markdownit),
        (error) => {
            loading = undefined; // the next reply tries again
            throw error;
        }
    );
    return loading;
}

/**
 * Markdown as models write it, read as the server reads it (services/markdown.py): a reply looks the same before and after
 * it is stored.
 *
 * @param {function} markdownit
 */
export function makeParser(markdownit) {
    const parser = markdownit("commonmark", { breaks: true, html: false, linkify: true });
    parser.enable(["linkify", "strikethrough", "table"]);
    parser.linkify.set({ fuzzyEmail: false, fuzzyLink: false }); // "note.md" is a word, not an address
    parser.validateLink = (url) => SAFE_LINK.test(url);
    const { escapeHtml } = parser.utils;
    const anchor = (href) => `<a href="${escapeHtml(href)}" target="_blank" rel="noreferrer noopener">`;
    Object.assign(parser.renderer.rules, {
        link_open(tokens, index, options, env) {
            env.isInLink = true;
            return anchor(tokens[index].attrGet("href"));
        },
        link_close(tokens, index, options, env) {
            env.isInLink = false;
            return "</a>";
        },
        /** An image becomes a link to it, where it is not to be loaded; within a link, its description. */
        image(tokens, index, options, env, renderer) {
            const source = tokens[index].attrGet("src");
            const label =
                escapeHtml(renderer.renderInlineAsText(tokens[index].children, options, env)) ||
                escapeHtml(source);
            if (env.remoteImages && SAFE_IMAGE.test(source)) {
                return `<img src="${escapeHtml(source)}" alt="${label}" loading="lazy" referrerpolicy="no-referrer">`;
            }
            return env.isInLink ? label : `${anchor(source)}${label}</a>`;
        },
    });
    return parser;
}

/**
 * @param {string} html
 * @returns {ReturnType<typeof markup>} the same, without anything that could act
 */
export function sanitize(html) {
    return markup(DOMPurify.sanitize(html, { ADD_ATTR: OWN_ATTRIBUTES }));
}
